import { describe, expect, test } from '@jest/globals';
import { detectFormat } from '../../../../adapters/guests/images/image-format.ts';
import { IMAGE_FORMATS } from '../../../../adapters/guests/sources.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';

describe('the first bytes of a file', () => {
  test.each([
    ['a stream of QEMU', stream.head(), 'qemu'],
    ['a libvirt save file', Buffer.from('LibvirtQemudSave'), 'libvirt'],
    ['an unfinished libvirt save file', Buffer.from('LibvirtQemudPart'), 'libvirt-unfinished'],
    ['an ELF core', Buffer.from('7f454c460201', 'hex'), 'elf'],
    ['a kdump', Buffer.from('KDUMP   rest'), 'kdump'],
    ['a flattened kdump', Buffer.from('makedumpfile\0\0\0\0'), 'kdump'],
    ['a LiME dump', Buffer.from('EMiL'), 'lime'],
    ['a Windows dump', Buffer.from('PAGEDU64'), 'windows-dump'],
    ['a disk image', Buffer.from('514649fb00000003', 'hex'), 'disk'],
    ['a zstd file', Buffer.from('28b52ffd', 'hex'), 'compressed'],
    ['real-mode vectors', Buffer.from('53ff00f053ff00f0', 'hex'), 'raw'],
    ['zeros', Buffer.alloc(4096), 'raw'],
    ['less than a magic number', Buffer.from('Q'), 'raw'],
  ])('that are %s tell it', (_, bytes, format) => {
    expect(detectFormat(bytes, IMAGE_FORMATS)).toBe(format);
  });

  test('tell a mapped-ram file from a stream by its capabilities', () => {
    const body = stream.bytesOf(stream.u32(1), stream.name('mapped-ram'));
    const head = stream.head('pc', stream.subsection('configuration/capabilities', body));
    expect(detectFormat(head, IMAGE_FORMATS)).toBe('mapped-ram');
  });
});

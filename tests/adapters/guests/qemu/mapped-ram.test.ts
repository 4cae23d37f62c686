// Streams whose memory lies plain in their file: what is read of them, and what is refused.

import { describe, expect, test } from '@jest/globals';
import { Readable } from 'node:stream';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { bytesOfImage } from '../../../support/guest/images.ts';
import { LIBVIRT_FORMS, libvirtHead } from '../../../support/guest/libvirt-bytes.ts';
import { mappedFile, mappedHead, type MappedRequest } from '../../../support/guest/mapped-bytes.ts';
import { openImage } from '../../../support/guest/open-image.ts';
import { DumpOpener } from '../../../support/guest/opened-dump.ts';
import * as stream from '../../../support/guest/stream-bytes.ts';
import { valueOf } from '../../../support/outcomes.ts';
import { suiteFolder } from '../../../support/disks/suite-folder.ts';

const folder = suiteFolder();
const opener = new DumpOpener(folder);

/** Firmware first, as QEMU may list it; RAM of more pages than a word of the bitmap has. */
const BIOS = [stream.pageOf(9), null, stream.pageOf(10)];
const RAM = Array.from({ length: 130 }, (_, i) => (i % 3 === 1 ? null : stream.pageOf(i)));
const BLOCKS = [
  { name: 'pc.bios', pages: BIOS },
  { name: 'pc.ram', pages: RAM },
];
const bytesOf = (pages: readonly (Uint8Array | null)[]): Buffer =>
  Buffer.concat(pages.map((page) => page ?? Buffer.alloc(PAGE_BYTES)));
const MEMORY = Buffer.concat([bytesOf(RAM), bytesOf(BIOS)]);
const made = (more: Partial<MappedRequest> = {}): Buffer =>
  mappedFile({ blocks: BLOCKS, alignBytes: PAGE_BYTES, ...more });
const sparseSave = (): Buffer => made({ before: libvirtHead({ form: LIBVIRT_FORMS.sparse }) });

describe.each([
  ['with pages at multiples of 4 KiB', made()],
  ['with pages at multiples of 1 MiB', made({ alignBytes: 2 ** 20 })],
  ["behind libvirt's header, as a sparse save", sparseSave()],
])('a mapped-ram file %s', (_, bytes) => {
  test('has its pages in the order of a ledger, zero where the bitmap says so', async () => {
    const { captured, memory } = await opener.opened(bytes);
    expect(memory.equals(MEMORY)).toBe(true);
    expect(captured.memoryMap.blocks).toEqual([
      { name: 'pc.ram', pages: RAM.length },
      { name: 'pc.bios', pages: BIOS.length },
    ]);
    expect(captured).toMatchObject({ mode: 'stream', timeMs: 7000 });
  });

  test('has the devices of a stream whose pages are in its sections', async () => {
    const { captured } = await opener.opened(bytes);
    const { sections, description } = stream.devices();
    expect(Buffer.from(captured.device!.head)).toEqual(stream.head('pc-i440fx-10.0'));
    expect(Buffer.from(captured.device!.sections)).toEqual(sections);
    expect(Buffer.from(captured.device!.description)).toEqual(description);
  });

  test('cut anywhere is refused', async () => {
    for (let cut = 100; cut < bytes.length; cut += 6007)
      expect(await opener.refused(bytes.subarray(0, cut))).toMatch(
        /^(?:STREAM_TRUNCATED|SOURCE_SIZE|SOURCE_FORMAT)/u,
      );
  });
});

test('its file is read where it lies, and told to have changed', async () => {
  const name = 'changing';
  const path = opener.file(made(), name);
  const source = await valueOf(openImage({ path, timeMs: 1, clock: () => 1 }));
  const { image, mayHaveChanged } = await valueOf(source.capture());
  expect(image.pieces?.pages).toHaveLength(BLOCKS.length);
  opener.file(Buffer.concat([made(), Buffer.alloc(4096)]), name);
  expect(await mayHaveChanged?.()).toBe(true);
  source.close();
});

test('it comes through a pipe too', async () => {
  const request = { path: '-', timeMs: 1, clock: () => 1, folder: folder.path };
  const source = await valueOf(openImage({ ...request, stdin: Readable.from([made()]) }));
  const { image } = await valueOf(source.capture());
  expect(bytesOfImage(image).equals(MEMORY)).toBe(true);
  source.close();
});

describe('is refused:', () => {
  const many = Array.from({ length: 65 }, (_, i) => ({ name: `b${i}`, pages: [null] }));
  const at = mappedHead().length;
  test.each([
    ['another version', made({ header: { version: 2 } }), /^STREAM_UNSUPPORTED: .* version 2/u],
    ['pages of 64 KiB', made({ header: { pageBytes: 65_536 } }), /pages of 65536 bytes/u],
    ['a bitmap before its header', made({ header: { bitmapAt: at } }), /a bitmap at/u],
    ['a bitmap behind its pages', made({ header: { bitmapAt: 2 ** 30 } }), /a bitmap at/u],
    ['pages before their bitmap', made({ header: { pagesAt: 0 } }), /and pages at 0/u],
    ['pages at odd places', made({ header: { pagesAt: 2 ** 20 + 1 } }), /and pages at 1048577/u],
    ['pages behind its end', made({ header: { pagesAt: 2 ** 30 } }), /^SOURCE_SIZE/u],
    ['pages where no file reaches', made({ header: { pagesAt: 2 ** 63 } }), /^S/u],
    ['pages beside those of the map', made({ end: ofPage() }), /a page beside RAM/u],
    ['zeros beside those of the map', made({ end: ofZero() }), /a page beside RAM/u],
    ['more blocks than 64', made({ blocks: many }), /as one more than 64/u],
    ['a block twice', made({ blocks: [BLOCKS[0]!, BLOCKS[0]!] }), /"pc.bios" twice/u],
    ['a save that says another form', withForm(7), /a stream of the form 7/u],
  ])('%s', async (_, bytes, expected) => {
    expect(await opener.refused(bytes)).toMatch(expected);
  });

  test('a block of 8 TiB, before anything is taken for it', async () => {
    const bytes = made();
    const length = bytes.indexOf('pc.bios') + 'pc.bios'.length;
    bytes.writeBigUInt64BE(2n ** 43n, length);
    bytes.writeBigUInt64BE(2n ** 43n + 4n, length - 'pc.bios'.length - 9);
    expect(await opener.refused(bytes)).toMatch(/a bitmap at 143 and pages at 4096/u);
  });
});

/** A section with a page of its own. */
function ofPage(): Buffer {
  return stream.end(stream.page(0, stream.pageOf(1), 'pc.ram'));
}

function ofZero(): Buffer {
  return stream.end(stream.zero(0, 'pc.ram'));
}

function withForm(form: number): Buffer {
  return made({ before: libvirtHead({ form }) });
}

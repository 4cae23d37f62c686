import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { hasOption, writableDisksOf } from '../../../../adapters/guests/qemu/qemu-options.ts';

const command = (words: string): readonly string[] => ['qemu-system-x86_64', ...words.split(' ')];

describe('a command line', () => {
  test.each([
    '-m 256 -nodefaults -display none',
    '-cdrom boot.iso',
    '-hda disk.img -snapshot',
    '-drive file=disk.img,snapshot=on',
    '-drive file=disk.img,readonly=on,if=virtio',
    '-drive file=disk.img,readonly',
    '-drive file=boot.iso,media=cdrom',
    '-drive if=pflash,format=raw,readonly=on,file=code.fd',
    '-drive if=none,id=empty',
    '-blockdev driver=file,filename=disk.img,node-name=d,read-only=on',
    '-blockdev {"driver":"file","filename":"a","node-name":"d","read-only":true}',
    '-blockdev null-co,node-name=n',
    '-kernel vmlinuz -initrd initrd.gz -append console=ttyS0',
    '-S -enable-kvm -usb -m 1G',
  ])('with %s has no disk that a guest can change', (words) => {
    expect(writableDisksOf(command(words))).toEqual([]);
  });

  test.each([
    ['-hda disk.img', '-hda disk.img'],
    ['--hdb disk.img', '-hdb disk.img'],
    ['-sd card.img', '-sd card.img'],
    ['-pflash vars.fd', '-pflash vars.fd'],
    ['-drive file=disk.img', '-drive file=disk.img'],
    ['-drive file=disk.img,readonly=off', '-drive file=disk.img,readonly=off'],
    ['-drive file=a,,readonly=on', '-drive file=a,,readonly=on'],
    ['-m 256 disk.img', 'disk.img'],
    ['-S disk.img', 'disk.img'],
    ['-readconfig machine.cfg', '-readconfig machine.cfg'],
    ['-snapshot -blockdev driver=file,filename=d', '-blockdev driver=file,filename=d'],
    ['-blockdev {"driver":"file","filename":"d"}', '-blockdev {"driver":"file","filename":"d"}'],
    ['-blockdev {"driver":', '-blockdev {"driver":'],
  ])('with %s names it', (words, found) => {
    expect(writableDisksOf(command(words))).toEqual([found]);
  });

  test('with a configuration file is judged by what the file says', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pageledger-test-'));
    const [buses, disk] = [join(folder, 'buses.cfg'), join(folder, 'disk.cfg')];
    writeFileSync(buses, '[device "ehci"]\n  driver = "ich9-usb-ehci1"\n');
    writeFileSync(disk, '[machine]\n  type = "pc"\n[drive]\n  file = "disk.img"\n');
    expect(writableDisksOf(command(`-readconfig ${buses}`))).toEqual([]);
    expect(writableDisksOf(command(`-readconfig ${disk}`))).toEqual([`-readconfig ${disk}`]);
    rmSync(folder, { recursive: true });
  });

  test('is searched for options, not for their values', () => {
    expect(hasOption(command('-incoming defer'), 'incoming')).toBe(true);
    expect(hasOption(command('--incoming defer'), 'incoming')).toBe(true);
    expect(hasOption(command('-name -incoming'), 'incoming')).toBe(false);
  });
});

import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { buildInitramfs } from '../../../adapters/guests/demo-guest/initramfs.ts';
import { guestCommand, guestPaths } from '../../../adapters/guests/demo-guest/start-guest.ts';
import { workloadFiles } from '../../../adapters/guests/demo-guest/workload.ts';
import { writableDisksOf } from '../../../adapters/guests/qemu/qemu-options.ts';

interface Member {
  readonly name: string;
  readonly mode: number;
  readonly content: string;
}

/** Reads an archive by the lengths that it states, as a kernel does. */
function membersOf(archive: Buffer): readonly Member[] {
  const members: Member[] = [];
  let at = 0;
  while (at < archive.length) {
    const field = (n: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * n, at + 14 + 8 * n), 16);
    expect(archive.toString('latin1', at, at + 6)).toBe('070701');
    const nameEnd = at + 110 + field(11);
    const from = nameEnd + ((4 - (nameEnd % 4)) % 4);
    const to = from + field(6);
    members.push({
      name: archive.toString('latin1', at + 110, nameEnd - 1),
      mode: field(1),
      content: archive.toString('latin1', from, to),
    });
    at = to + ((4 - (to % 4)) % 4);
  }
  return members;
}

describe("the demonstration guest's first file system", () => {
  test('is an archive that states its own lengths, with content of any length', () => {
    const contents = ['', 'a', 'ab', 'abc', 'abcd', 'abcde'];
    const archive = buildInitramfs(
      contents.map((content, i) => ({ path: `f${'x'.repeat(i)}`, kind: 'file' as const, content })),
    );
    const members = membersOf(gunzipSync(archive));
    expect(members.map((member) => member.content)).toEqual([...contents, '']);
    expect(members.at(-1)!.name).toBe('TRAILER!!!');
  });

  test('holds an init that may be run, and links to busybox', () => {
    const members = membersOf(gunzipSync(buildInitramfs(workloadFiles(Buffer.from('program')))));
    const named = new Map(members.map((member) => [member.name, member]));
    expect(named.get('init')!.mode).toBe(0o100755);
    expect(named.get('init')!.content.startsWith('#!/bin/sh\n')).toBe(true);
    expect(named.get('bin/sh')).toMatchObject({ mode: 0o120755, content: 'busybox' });
    expect(named.get('bin/busybox')!.content).toBe('program');
  });

  test('is the same for the same files', () => {
    const files = workloadFiles(Buffer.from('program'));
    expect(buildInitramfs(files)).toEqual(buildInitramfs(files));
  });
});

describe("the demonstration guest's command", () => {
  const tools = { qemu: 'qemu-system-x86_64', busybox: '/bin/busybox', kernel: '/boot/vmlinuz' };

  test('has no disk, and another name only changes where its console and control lie', () => {
    const first = guestCommand({ tools, folder: '/tmp/a' });
    const second = guestCommand({ tools, folder: '/tmp/a', name: 'other' });
    expect(writableDisksOf(first)).toEqual([]);
    const differing = second.filter((word, i) => word !== first[i]);
    const { qmpPath, serialPath } = guestPaths({ folder: '/tmp/a', name: 'other' });
    expect(differing).toEqual([`file:${serialPath}`, `unix:${qmpPath},server=on,wait=off`]);
  });
});

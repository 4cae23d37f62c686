// A guest that tells what its own kernel says of it: a shell prints /proc/PID/stat of every process,
// round after round, and starts no process for it, so that what was printed before a capture and after
// it is what the capture holds.

import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  buildInitramfs,
  type ArchiveEntry,
} from '../../../adapters/guests/demo-guest/initramfs.ts';
import {
  DemoGuest,
  guestPaths,
  KERNEL_WORDS,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import type { GuestTools } from '../../../adapters/guests/demo-guest/tools.ts';

const APPLETS = ['sh', 'mount', 'awk', 'sleep', 'mkfifo'];

/** Processes of their own: one that sleeps, one that holds an array, and the shell that tells. */
const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
mkfifo /fifo
exec 3<>/fifo >/dev/console 2>&1
sleep 1000000 &
awk 'BEGIN { for (i = 0; i < 100000; i++) cell[i] = i; print "HELD"; fflush(); while (("sleep 1000001" | getline) > 0); }' &
read -t 5 x <&3
n=0
while :; do
  n=$((n + 1))
  echo "ROUND $n"
  while read -r key value unit; do [ "$key" = PageTables: ] && echo "T $value"; done < /proc/meminfo
  for p in /proc/[0-9]*; do
    read -r line < $p/stat && echo "P $line"
    read -r size resident shared rest < $p/statm && echo "A \${p#/proc/} $((resident - shared))"
  done
  echo "DONE $n"
  read -t 2 x <&3
done
`;

const entriesOf = (
  busybox: Uint8Array,
  { init, programs }: ShellGuest,
): readonly ArchiveEntry[] => [
  ...['bin', 'proc', 'dev'].map((path): ArchiveEntry => ({ path, kind: 'folder' })),
  { path: 'dev/console', kind: 'device', mode: 0o600, device: [5, 1] },
  { path: 'bin/busybox', kind: 'file', content: busybox },
  ...APPLETS.map((name): ArchiveEntry => ({
    path: `bin/${name}`,
    kind: 'link',
    content: 'busybox',
  })),
  ...programs.map(({ name, content }): ArchiveEntry => ({
    path: `bin/${name}`,
    kind: 'file',
    content,
  })),
  { path: 'init', kind: 'file', content: init },
];

/** What a guest does, in words of a shell, and with programs of its own. */
export interface ShellGuest {
  readonly init: string;
  readonly programs: readonly { readonly name: string; readonly content: Uint8Array }[];
  /** Words for its kernel. */
  readonly append?: string;
}

export interface ProcGuestRequest {
  readonly tools: GuestTools;
  readonly folder: string;
  readonly name: string;
  /** Words for QEMU's `-cpu`. */
  readonly cpu?: string;
  /** Absent: one. */
  readonly cpus?: number;
  readonly mebibytes?: number;
  /** Whether it tells at first where symbols of its kernel lie. */
  readonly tellsSymbols?: boolean;
}

/** Tells which of its symbols lie where, of those that descriptions need and some others. */
const TELL_SYMBOLS = `echo SYMBOLS
awk '/ (_stext|_etext|init_task|page_offset_base|vmemmap_base|vmalloc_base|__per_cpu_offset|__st(art|op)_BTF|prb|init_uts_ns)$/ { print "K " $1 " " $2 " " $3; n++ } END { print "TOLD " n }' /proc/kallsyms
`;

/** Starts one; right when its control socket is there. */
export const startProcGuest = (request: ProcGuestRequest): Promise<DemoGuest> =>
  startShellGuest(request, {
    init: request.tellsSymbols === true ? INIT.replace('n=0\n', `${TELL_SYMBOLS}n=0\n`) : INIT,
    programs: [],
  });

/** Starts a guest that does what a shell is told; right when its control socket is there. */
export async function startShellGuest(
  request: ProcGuestRequest,
  of: ShellGuest,
): Promise<DemoGuest> {
  const { tools, folder, name, cpu = 'qemu64', cpus = 1, mebibytes = 192 } = request;
  const { qmpPath, serialPath } = guestPaths({ folder, name });
  const initramfs = join(folder, `${name}.gz`);
  await writeFile(initramfs, buildInitramfs(entriesOf(await readFile(tools.busybox), of)));
  const machine = `-machine pc -accel tcg -cpu ${cpu} -smp ${cpus} -m ${mebibytes} -nodefaults -no-user-config`;
  const ports = `-display none -serial file:${serialPath} -qmp unix:${qmpPath},server=on,wait=off`;
  const boot = `-kernel ${tools.kernel} -initrd ${initramfs}`;
  const words = `${machine} ${ports} ${boot}`.split(' ');
  const append = `${KERNEL_WORDS} ${of.append ?? ''}`.trim();
  const argv = [tools.qemu, ...words, '-append', append];
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  const guest = new DemoGuest({ child, argv, qmpPath, serialPath });
  await guest.untilUp();
  return guest;
}

/** A process as /proc/PID/stat tells of it. */
export interface ToldProcess {
  readonly pid: number;
  readonly command: string;
  readonly state: string;
  /** Resident pages. */
  readonly pages: number;
}

const STAT = /^P (\d+) \((.*)\) (\S) (.*)$/u;
/** Place of the resident pages among what follows the state. */
const RESIDENT_AT = 20;

/** What the guest told in a round: its processes, by pid; null: the round is not whole. */
export function toldProcesses(lines: readonly string[], round: number): ToldProcess[] | null {
  const first = lines.indexOf(`ROUND ${round}`);
  const end = lines.indexOf(`DONE ${round}`);
  if (first < 0 || end < 0) return null;
  return lines
    .slice(first, end)
    .flatMap((line) => {
      const match = STAT.exec(line);
      if (match === null) return [];
      const pages = Number(match[4]!.split(' ')[RESIDENT_AT]);
      return [{ pid: Number(match[1]), command: match[2]!, state: match[3]!, pages }];
    })
    .toSorted((a, b) => a.pid - b.pid);
}

/** Resident pages without a file of a process, as the guest told last. */
export const toldAnonymous = (lines: readonly string[], pid: number): number =>
  Number(
    lines
      .findLast((line) => line.startsWith(`A ${pid} `))
      ?.split(' ')
      .at(-1),
  );

/** What the guest told of its symbols, as /proc/kallsyms lists them. */
export const toldSymbols = (lines: readonly string[]): string =>
  lines.flatMap((line) => (line.startsWith('K ') ? [`${line.slice(2)}\n`] : [])).join('');

/** Pages of page tables, as the guest counted them last: some may not have been added up yet. */
export const toldTables = (lines: readonly string[]): number =>
  Number(lines.findLast((line) => line.startsWith('T '))?.slice(2)) / 4;

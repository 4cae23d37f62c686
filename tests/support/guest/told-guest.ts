// A guest that does what it is told on its serial line, and nothing else: so guests that were started from
// one point can be given different work. Its console is kept in a file as well.

import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import {
  buildInitramfs,
  type ArchiveEntry,
} from '../../../adapters/guests/demo-guest/initramfs.ts';
import {
  consoleLine,
  DemoGuest,
  guestPaths,
  KERNEL_WORDS,
} from '../../../adapters/guests/demo-guest/start-guest.ts';
import type { GuestTools } from '../../../adapters/guests/demo-guest/tools.ts';

const APPLETS = ['sh', 'mount', 'awk', 'md5sum', 'stty'];

/** Work is a number and how many lines of it are to be held. */
const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs -o size=60% tmpfs /data
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
echo READY
while read -r number lines; do
  awk -v n="$number" -v lines="$lines" 'BEGIN { for (i = 0; i < lines; i++) printf "%010d%010d\\n", n, i }' > /data/own
  md5sum /data/own > /data/sum
  read -r digest rest < /data/sum
  echo "DONE $number $digest"
done
`;

/** How long a guest may take for work that it was given. */
const WORK_TIMEOUT_MS = 240_000;

export interface ToldGuest {
  readonly tools: GuestTools;
  readonly folder: string;
  readonly name: string;
  readonly memoryMib: number;
}

const talkPath = ({ folder, name }: Pick<ToldGuest, 'folder' | 'name'>): string =>
  join(folder, `${name}.talk`);

/** The words that start one, and clones of it by names of their own. */
export function toldCommand({ tools, folder, name, memoryMib }: ToldGuest): readonly string[] {
  const { serialPath, qmpPath } = guestPaths({ folder, name });
  const talk = talkPath({ folder, name });
  const words = `-machine pc -accel tcg,tb-size=32 -m ${memoryMib} -nodefaults -no-user-config -display none`;
  return [
    tools.qemu,
    ...words.split(' '),
    '-chardev',
    `socket,id=talk,path=${talk},server=on,wait=off,logfile=${serialPath}`,
    '-serial',
    'chardev:talk',
    '-qmp',
    `unix:${qmpPath},server=on,wait=off`,
    '-kernel',
    tools.kernel,
    '-initrd',
    join(folder, 'told.gz'),
    '-append',
    KERNEL_WORDS,
  ];
}

/** Starts one, and waits until it can be told something. */
export async function startToldGuest(guest: ToldGuest): Promise<DemoGuest> {
  const { tools, folder, name } = guest;
  const folders = ['bin', 'proc', 'dev', 'data'];
  const entries: readonly ArchiveEntry[] = [
    ...folders.map((path): ArchiveEntry => ({ path, kind: 'folder' })),
    { path: 'dev/console', kind: 'device', mode: 0o600, device: [5, 1] },
    { path: 'bin/busybox', kind: 'file', content: await readFile(tools.busybox) },
    ...APPLETS.map((applet): ArchiveEntry => ({
      path: `bin/${applet}`,
      kind: 'link',
      content: 'busybox',
    })),
    { path: 'init', kind: 'file', content: INIT },
  ];
  await writeFile(join(folder, 'told.gz'), buildInitramfs(entries));
  const argv = toldCommand(guest);
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  const started = new DemoGuest({ child, argv, ...guestPaths({ folder, name }) });
  await started.untilUp();
  await started.waitForLine(/^READY/u, { timeoutMs: WORK_TIMEOUT_MS });
  return started;
}

/** Work for a guest. */
export interface ToldWork {
  readonly number: number;
  readonly lines: number;
}

const digits = (value: number): string => String(value).padStart(10, '0');

/** What a guest says of work that it has done, where its memory is what it is to be. */
export function doneLine({ number, lines }: ToldWork): string {
  const hash = createHash('md5');
  for (let i = 0; i < lines; i += 1) hash.update(`${digits(number)}${digits(i)}\n`);
  return `DONE ${number} ${hash.digest('hex')}`;
}

/** Tells a guest to do something, and waits until it has; gives what it says. */
export async function workOf(
  guest: Pick<ToldGuest, 'folder' | 'name'>,
  work: ToldWork,
): Promise<string> {
  const socket = connect(talkPath(guest));
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    // What it says is kept in the file too.
    socket.resume();
    socket.write(`${work.number} ${work.lines}\n`);
    const { serialPath } = guestPaths(guest);
    const pattern = new RegExp(`^DONE ${work.number} `, 'u');
    return await consoleLine({ serialPath, pattern, timeoutMs: WORK_TIMEOUT_MS });
  } finally {
    socket.destroy();
  }
}

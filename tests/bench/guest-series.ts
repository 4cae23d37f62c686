// A real guest at work, captured live, and its captures as raw images for other programs. The guest
// is the demonstration's: Debian's kernel, busybox, an awk workload that holds numbers and files in
// memory and changes some of both all the time.

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DemoGuest } from '../../adapters/guests/demo-guest/start-guest.ts';
import { startGuest } from '../../adapters/guests/demo-guest/start-guest.ts';
import type { GuestTools } from '../../adapters/guests/demo-guest/tools.ts';
import { toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { assert } from '../../domain/assert.ts';
import { recordGuest, restoreToFile, run as settled, type CaptureRow } from '../../index.ts';
import type { BenchContext } from './bench.ts';
import { diskBytes, freshFolder, warm, withLedger } from './ledgers.ts';

export interface Series {
  /** What the guest is, for the note of a result. */
  readonly guest: string;
  readonly captures: readonly CaptureRow[];
  /** Bytes on disk that the live captures take, each. */
  readonly liveBytes: readonly number[];
  /** The captures as raw images, oldest first. */
  readonly files: readonly string[];
  readonly mebibytes: number;
}

export const seriesSize = (context: BenchContext): { mebibytes: number; count: number } =>
  context.isQuick ? { mebibytes: 192, count: 3 } : { mebibytes: 512, count: 12 };

/** Starts the guest and waits until it works. Null where QEMU, busybox or a kernel is missing. */
export async function workingGuest(
  context: BenchContext,
  request: { readonly name: string; readonly extra?: readonly string[] },
): Promise<DemoGuest | null> {
  const tools: GuestTools | null = toolsAtHand();
  if (tools === null) return null;
  const folder = freshFolder(context, request.name);
  mkdirSync(folder);
  const { mebibytes: memoryMib } = seriesSize(context);
  const extra = request.extra ?? [];
  const guest = await settled(startGuest({ tools, folder, memoryMib, extra, seed: 3 }));
  await guest.waitForLine(/^T n=5 /u);
  return guest;
}

async function capture(
  context: BenchContext,
  guest: DemoGuest,
): Promise<Omit<Series, 'guest' | 'files'>> {
  const { mebibytes, count } = seriesSize(context);
  const folder = freshFolder(context, 'live');
  const captures: CaptureRow[] = [];
  const sizes: number[] = [];
  const { signal } = new AbortController();
  const listener = {
    onCapture: (row: CaptureRow) => {
      captures.push(row);
      sizes.push(diskBytes(folder));
    },
    onSkip: () => undefined,
    onWarning: (sentence: string) => context.tell(sentence),
  };
  const request = { qmp: guest.qmpPath, everyMs: 3000, count, signal, folder: context.folder };
  await withLedger({ folder }, (ledger) =>
    recordGuest(ledger, { vm: 'guest', group: null }, request, listener),
  );
  sizes[sizes.length - 1] = diskBytes(folder);
  const liveBytes = sizes.map((bytes, i) => bytes - (i === 0 ? 0 : sizes[i - 1]!));
  return { captures, liveBytes, mebibytes };
}

/** Captures a guest live and gives its memory as files. Null where no guest can run here. */
export async function guestSeries(context: BenchContext): Promise<Series | null> {
  const guest = await workingGuest(context, { name: 'guest' });
  if (guest === null) return null;
  context.tell('a guest is captured live');
  let live: Omit<Series, 'guest' | 'files'>;
  try {
    live = await capture(context, guest);
  } finally {
    await guest.kill();
  }
  context.tell('its captures are restored to images');
  const files: string[] = [];
  await withLedger({ folder: join(context.folder, 'live') }, async (ledger) => {
    const entry = ledger.vm('guest');
    for (const row of entry.captures) {
      const path = join(context.folder, `series-${row.capture}.raw`);
      await restoreToFile(ledger, { entry, row }, { path, isForced: true, format: 'raw' });
      files.push(path);
    }
  });
  assert(
    files.every((file) => existsSync(file) && warm(file).length > 0),
    'the images are there',
  );
  const { memoryMib } = { memoryMib: live.mebibytes };
  const written = live.captures.map((row) => row.written).join(', ');
  return {
    ...live,
    files,
    guest: `the demonstration guest with ${memoryMib} MiB (Debian's kernel, busybox, awk workload; emulated), pages written a capture: ${written}`,
  };
}

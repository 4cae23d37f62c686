// A real guest at work, captured live, and its captures as raw images for other programs. The guest
// is Debian's: Redis under load, SQLite and Python, all of which change all the time.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { DemoGuest } from '../../adapters/guests/demo-guest/start-guest.ts';
import { toolsAtHand } from '../../adapters/guests/demo-guest/tools.ts';
import { assert } from '../../domain/values/assert.ts';
import { recordGuest, restoreToFile, type CaptureRow } from '../../index.ts';
import { buildGuest, startBuiltGuest, ticked } from '../support/guest/mixed-guests.ts';
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

interface SeriesSize {
  readonly mebibytes: number;
  readonly count: number;
  /** About the megabytes that the workload holds. */
  readonly scale: number;
}

export const seriesSize = (context: BenchContext): SeriesSize =>
  context.isQuick
    ? { mebibytes: 192, count: 3, scale: 4 }
    : { mebibytes: 512, count: 12, scale: 40 };

/** A guest that runs, and what it is. */
export interface WorkingGuest {
  readonly guest: DemoGuest;
  readonly told: string;
}

const TICKS_BEFORE = 10;

/** Starts the guest and waits until it works. Null where QEMU, a kernel or its packages are missing. */
export async function workingGuest(
  context: BenchContext,
  name: string,
  memoryMib = seriesSize(context).mebibytes,
): Promise<WorkingGuest | null> {
  const { scale } = seriesSize(context);
  const tools = toolsAtHand();
  const built =
    tools === null
      ? { guests: null, reason: 'QEMU, busybox or a kernel is missing' }
      : await buildGuest(tools, { kind: 'database', scale });
  if (built.guests === null) {
    context.tell(`no guest can run here: ${built.reason}`);
    return null;
  }
  context.tell('a guest starts to work');
  const folder = freshFolder(context, name);
  const guest = await startBuiltGuest(built.guests, { folder, memoryMib });
  await ticked(guest, TICKS_BEFORE);
  return { guest, told: built.guests.told };
}

/** Captures a guest some times, into a ledger in a folder of its own. */
export async function captureLive(
  context: BenchContext,
  guest: DemoGuest,
  { name, count }: { readonly name: string; readonly count: number },
): Promise<Pick<Series, 'captures' | 'liveBytes'>> {
  const folder = freshFolder(context, name);
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
  return { captures, liveBytes };
}

/** Captures a guest live and gives its memory as files. Null where no guest can run here. */
export async function guestSeries(context: BenchContext): Promise<Series | null> {
  const working = await workingGuest(context, 'guest');
  if (working === null) return null;
  const { guest, told } = working;
  context.tell('a guest is captured live');
  const { mebibytes, count } = seriesSize(context);
  let live: Pick<Series, 'captures' | 'liveBytes'>;
  try {
    live = await captureLive(context, guest, { name: 'live', count });
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
  const written = live.captures.map((row) => row.written).join(', ');
  return {
    ...live,
    mebibytes,
    files,
    guest: `a guest of ${mebibytes} MiB, emulated: ${told}; pages written a capture: ${written}`,
  };
}

// The demonstration, joined: a real guest recorded live and resumed from an earlier moment; where no
// guest can run here, images that it makes itself.

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Either } from 'fp-ts/lib/Either.js';
import {
  consoleLine,
  consoleLines,
  guestCommand,
  guestPaths,
  startGuest,
  type DemoGuest,
} from '../guests/demo-guest/start-guest.ts';
import { ensureTools, type GuestTools } from '../guests/demo-guest/tools.ts';
import type { LedgerError } from '../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { run } from '../../domain/ports/run.ts';

const TICK = /^T n=\d+/u;

/** What a guest needs here; or why there is none. */
export const demoTools = (
  tell: (sentence: string) => void,
): Promise<Either<LedgerError, GuestTools>> => ensureTools(tell)();

/** A folder of the demonstration's own; `remove` takes it away. */
export function demoFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'pageledger-demo-'));
  // A guest that just ends, or a thread, may write there still.
  const retries = { maxRetries: 10, retryDelay: 20 };
  return { path, remove: () => rmSync(path, { recursive: true, force: true, ...retries }) };
}

/** Starts the guest and waits until its workload has printed some lines. */
export async function startDemoGuest(request: {
  readonly tools: GuestTools;
  readonly folder: string;
}): Promise<DemoGuest> {
  const guest = await run(startGuest(request));
  try {
    await guest.waitForLine(/^T n=2 /u);
    return guest;
  } catch (thrown) {
    // As long as it runs, this process does too.
    await guest.kill();
    throw thrown;
  }
}

/** The command for a second guest like the first, with a console and a control socket of its own. */
export function secondGuest(request: { readonly tools: GuestTools; readonly folder: string }): {
  readonly command: readonly string[];
  readonly ticks: () => readonly string[];
  /** Waits until the guest has printed so many ticks. */
  readonly waitForTicks: (count: number) => Promise<void>;
} {
  const named = { ...request, name: 'resumed' };
  const { serialPath } = guestPaths(named);
  const ticks = (): readonly string[] => ticksOf(consoleLines(serialPath));
  return {
    command: guestCommand(named),
    ticks,
    waitForTicks: async (count) => {
      for (let seen = 0; seen < count; seen = ticks().length)
        await consoleLine({ serialPath, pattern: TICK, from: consoleLines(serialPath).length });
    },
  };
}

/** The workload's lines of a console. */
export const ticksOf = (lines: readonly string[]): readonly string[] =>
  lines.filter((line) => TICK.test(line));

/** Writes a series of memory images: mostly zero, some text, a few pages changed from one to the next. */
export function makeImages(request: {
  readonly folder: string;
  readonly count: number;
  readonly pages: number;
}): readonly string[] {
  const image = Buffer.alloc(request.pages * PAGE_BYTES);
  const write = (page: number, text: string): void => {
    const line = createHash('sha256').update(text).digest('hex');
    image.fill(`${text} ${line}\n`, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    createHash('sha512')
      .update(line)
      .digest()
      .copy(image, page * PAGE_BYTES);
  };
  for (let page = 0; page < request.pages; page += 2) write(page, `page ${page % 1000}`);
  return Array.from({ length: request.count }, (_, i) => {
    const series = i + 1;
    for (let page = series; page < request.pages; page += 61)
      write(page, `page ${page} of image ${series}`);
    const path = join(request.folder, `image-${series}.raw`);
    writeFileSync(path, image);
    return path;
  });
}

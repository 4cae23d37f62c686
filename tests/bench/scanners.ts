// Scanners replayed over a ledger: what KSM and ESX would have found of the sharing that the ledger has
// from the event on that made it, over the same memory of three live guests.

import { isContent } from '../../domain/values/holding.ts';
import { recordGuest, type Ledger } from '../../index.ts';
import { startBuiltGuest, ticked } from '../support/guest/mixed-guests.ts';
import type { Bench, BenchContext } from './bench.ts';
import { freshFolder, withLedger } from './ledgers.ts';
import { figureOf, rowOf, type Row } from './measure.ts';
import { PageScanner, type MemoryChange, type ScanRequest } from './page-scanner.ts';
import { siblingGuest } from './siblings.ts';

const GUESTS = 3;
const MEMORY_MIB = 192;
const MINUTES = [1, 2, 5, 10, 20, 40, 80];

/** KSM as it comes; ESX: each VM once an hour, at most 450 pages a second. */
const ESX_ROUND_SECONDS = 3600;
const KSM_PAGES_PER_SECOND = 5000;

/** Captures the guests in turn, again and again, while all of them work. */
async function recordLive(context: BenchContext, ledger: Ledger): Promise<string | null> {
  const built = await siblingGuest(context);
  if (built === null) return null;
  const rounds = context.isQuick ? 2 : 8;
  const names = Array.from({ length: GUESTS }, (_, i) => `sibling-${i + 1}`);
  context.tell(`${GUESTS} guests start to work`);
  const started = await Promise.all(
    names.map((name) => {
      const folder = freshFolder(context, `scanned-${name}`);
      return startBuiltGuest(built, { folder, memoryMib: MEMORY_MIB });
    }),
  );
  const { signal } = new AbortController();
  const listener = {
    onCapture: () => undefined,
    onSkip: () => undefined,
    onWarning: (sentence: string) => context.tell(sentence),
  };
  try {
    await Promise.all(started.map((guest) => ticked(guest, 2)));
    for (let round = 1; round <= rounds; round += 1) {
      context.tell(`captures ${round}`);
      for (const [i, guest] of started.entries()) {
        const request = {
          qmp: guest.qmpPath,
          everyMs: 1,
          count: 1,
          signal,
          folder: context.folder,
        };
        await recordGuest(ledger, { vm: names[i]!, group: null }, request, listener);
      }
    }
  } finally {
    await Promise.all(started.map((guest) => guest.kill()));
  }
  return built.told;
}

type Memory = Pick<ScanRequest, 'pages' | 'contentCount' | 'changes'>;

/** What memory held by the log, as seconds from the first commit on. */
async function memoryOf({ state }: Ledger): Promise<Memory> {
  const { catalogue, contents, tables } = state;
  const changes: (MemoryChange & { readonly timeMs: number })[] = [];
  let pages = 0;
  for (const entry of catalogue.vms.values()) {
    let width = 0;
    for (const row of entry.captures) {
      const table = await tables.at(entry, contents, row);
      width = table.length;
      // Zeros and patterns are left out: memory that was never touched takes a host nothing.
      const held = Uint32Array.from(table, (holding) => (isContent(holding) ? holding : 0));
      changes.push({ seconds: 0, timeMs: row.recordedAtMs, first: pages, contents: held });
    }
    pages += width;
  }
  const began = Math.min(...changes.map(({ timeMs }) => timeMs));
  const ordered = changes.toSorted((a, b) => a.timeMs - b.timeMs);
  const greatest = changes.reduce(
    (most, { contents: held }) => held.reduce((a, b) => Math.max(a, b), most),
    0,
  );
  return {
    pages,
    contentCount: greatest + 1,
    changes: ordered.map((change) => ({ ...change, seconds: (change.timeMs - began) / 1000 })),
  };
}

function rowsOf(
  memory: Memory,
  scanner: { name: string; pagesPerSecond: number; looksTwice: boolean },
): Row {
  const { name, pagesPerSecond, looksTwice } = scanner;
  const atSeconds = MINUTES.map((minutes) => minutes * 60);
  const scan = { ...memory, pagesPerSecond, looksTwice, atSeconds };
  const { found, meanSeconds, missed } = new PageScanner(scan).run();
  const curve = found
    .map((part, i) => `${(100 * part).toFixed(1)} % after ${MINUTES[i]} min`)
    .join(', ');
  return rowOf({
    what: `mean time until sharing is found, ${name}`,
    measured: figureOf([meanSeconds], 's'),
    note: `${Math.round(pagesPerSecond)} pages a second; found ${curve}; ${missed} pages were changed before`,
  });
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const folder = freshFolder(context, 'scanned');
  return withLedger({ folder }, async (ledger) => {
    const told = await recordLive(context, ledger);
    if (told === null) return [];
    const memory = await memoryOf(ledger);
    const { pages, changes } = memory;
    const seconds = changes.at(-1)!.seconds.toFixed(0);
    const note = `100 % at every moment; ${GUESTS} guests of ${MEMORY_MIB} MiB, ${changes.length} captures in ${seconds} s, after which memory stays as it is; ${told}; contents only, without zeros and patterns`;
    const ours = rowOf({
      what: 'events until sharing is found, this ledger',
      measured: figureOf([0], 'events'),
      target: { sense: 'at most', bound: 0 },
      note,
    });
    const scanners = [
      { name: 'as KSM comes', pagesPerSecond: KSM_PAGES_PER_SECOND, looksTwice: true },
      { name: "KSM's way, 1,000 pages a second", pagesPerSecond: 1000, looksTwice: true },
      {
        name: 'one look at every page an hour, as ESX comes',
        pagesPerSecond: pages / ESX_ROUND_SECONDS,
        looksTwice: false,
      },
      { name: "ESX's way, 450 pages a second", pagesPerSecond: 450, looksTwice: false },
    ];
    return [ours, ...scanners.map((scanner) => rowsOf(memory, scanner))];
  });
}

export const scanners: Bench = {
  name: 'scanners',
  title: 'Scanners replayed over the log',
  isPeer: true,
  run,
};

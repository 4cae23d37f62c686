// What the three scopes of sharing cost and win over the same guests (`--share pattern`, `vm`, `group`):
// processor time a page, pages that need room of their own, bytes stored. And what one link, and one
// sharing that is broken, take, beside Difference Engine's costs a page (OSDI'08, its table: a page
// shared 6.2 microseconds, a sharing broken 25.1).

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES, sharingOf, type CaptureRow } from '../../index.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { seededRandom } from '../support/images.ts';
import { diskBytes, freshFolder, record, warm, withLedger } from './ledgers.ts';
import { figureOf, processorSecondsOf, rowOf, type Row } from './measure.ts';
import { recordSibling, siblingImages, type Siblings } from './siblings.ts';

const SCOPES = ['pattern', 'vm', 'group'] as const;
const SIBLINGS = 3;
const THEIRS = { link: 6.2, broken: 25.1 };

interface Costs {
  readonly nanoseconds: number[];
  residentBytes: number;
  storedBytes: number;
}

async function scopeRows(context: BenchContext, siblings: Siblings): Promise<Row[]> {
  const files = siblings.files.slice(0, SIBLINGS);
  const pages = (files.length * siblings.mebibytes * MIB) / PAGE_BYTES;
  for (const file of files) warm(file);
  const costs = new Map(
    SCOPES.map((share): [string, Costs] => [
      share,
      { nanoseconds: [], residentBytes: 0, storedBytes: 0 },
    ]),
  );
  // Round -1 warms what is compiled, and is not counted.
  for (let round = -1; round < (context.isQuick ? 1 : 5); round += 1)
    for (const share of SCOPES) {
      context.tell(`${files.length} siblings recorded, sharing by ${share}`);
      const folder = freshFolder(context, 'scope');
      const cost = costs.get(share)!;
      await withLedger({ folder }, async (ledger) => {
        const seconds = await processorSecondsOf(async () => {
          for (const [i, file] of files.entries())
            await recordSibling(ledger, { vm: `sibling-${i + 1}`, file, share });
        });
        if (round >= 0) cost.nanoseconds.push((seconds * 1e9) / pages);
        const { unique } = await sharingOf(ledger, { position: ledger.state.next, vm: null });
        cost.residentBytes = unique * PAGE_BYTES;
      });
      cost.storedBytes = diskBytes(folder);
    }
  const memory = figureOf([(pages * PAGE_BYTES) / MIB], 'MiB');
  return SCOPES.flatMap((share) => {
    const { nanoseconds, residentBytes, storedBytes } = costs.get(share)!;
    const told = share === 'pattern' ? { note: `${files.length} guests; ${siblings.told}` } : {};
    const limit = { what: 'their memory', figure: memory };
    return [
      rowOf({
        what: `a page recorded, sharing by ${share}: processor time`,
        measured: figureOf(nanoseconds, 'ns'),
        ...told,
      }),
      rowOf({
        what: `pages that need room of their own, sharing by ${share}`,
        measured: figureOf([residentBytes / MIB], 'MiB'),
        limit,
      }),
      rowOf({
        what: `bytes stored, sharing by ${share}`,
        measured: figureOf([storedBytes / MIB], 'MiB'),
        limit,
      }),
    ];
  });
}

/** An image of pages of which no two are alike and none is of a pattern. */
function distinctImage(path: string, pages: number): string {
  const random = seededRandom(29);
  const bytes = Buffer.alloc(pages * PAGE_BYTES);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(random(2 ** 32), at);
  writeFileSync(path, bytes);
  return path;
}

/** Captures of pages that are all stored, all linked, and whose sharings are then all broken. */
async function pageRows(context: BenchContext): Promise<Row[]> {
  const pages = ((context.isQuick ? 8 : 64) * MIB) / PAGE_BYTES;
  const first = distinctImage(join(context.folder, 'scope-first.raw'), pages);
  const zeros = join(context.folder, 'scope-zeros.raw');
  writeFileSync(zeros, Buffer.alloc(readFileSync(first).length));
  const times = { stored: [0], linked: [0], broken: [0] };
  for (let sample = -1; sample < (context.isQuick ? 1 : 7); sample += 1) {
    if (sample === 0) for (const kept of Object.values(times)) kept.length = 0;
    const folder = freshFolder(context, 'scope-pages');
    await withLedger({ folder, threads: 0 }, async (ledger) => {
      for (const [kind, vm, file, count] of [
        ['stored', 'one', first, (row: CaptureRow) => row.stored],
        ['linked', 'other', first, (row: CaptureRow) => row.merged],
        ['broken', 'other', zeros, (row: CaptureRow) => row.pattern],
      ] as const) {
        const seconds = await processorSecondsOf(() =>
          record(ledger, { vm, files: [file] }, (row) => {
            assert(count(row) === pages, `every page is ${kind}`);
          }),
        );
        times[kind].push((seconds * 1e6) / pages);
      }
    });
  }
  const figure = (kind: keyof typeof times) => figureOf(times[kind], 'microseconds a page');
  const unit = 'microseconds a page';
  return [
    rowOf({
      what: 'a page of new content, stored: read, identified, packed, its event durable',
      measured: figure('stored'),
      note: 'random bytes, which do not pack',
    }),
    rowOf({
      what: 'a link: read, identified, found, its event durable',
      measured: figure('linked'),
      limit: { what: 'Difference Engine, a page shared', figure: figureOf([THEIRS.link], unit) },
      note: 'theirs was measured on hardware of 2008 and begins with both pages at hand',
    }),
    rowOf({
      what: 'a sharing broken by a write of zeros: read, its event durable',
      measured: figure('broken'),
      limit: {
        what: 'Difference Engine, a sharing broken',
        figure: figureOf([THEIRS.broken], unit),
      },
      note: 'theirs makes the copy for the guest, which here the guest has',
    }),
  ];
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const siblings = await siblingImages(context);
  const scopes = siblings === null ? [] : await scopeRows(context, siblings);
  return [...scopes, ...(await pageRows(context))];
}

export const scopes: Bench = {
  name: 'scopes',
  title: 'Scopes of sharing, and what a link costs',
  run,
};

// Audit queries: `history` and `who` on ten million page events, against random reads of as many
// blocks of the index; `diff` of two points of a 1 GiB VM, against comparing what is compared.

import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFiles } from '../../adapters/files/files.ts';
import { assert } from '../../domain/values/assert.ts';
import { FIRST_CONTENT, isContent } from '../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import {
  diffOf,
  historyOf,
  openLedger,
  pageIndexOf,
  restoreToFile,
  whatIfOf,
  whoHolds,
  type Ledger,
} from '../../index.ts';
import { identifierIn } from '../../projections/questions/row-lister.ts';
import { seededRandom } from '../support/images.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { diskBytes, freshFolder, guestImage, record, warm, withLedger } from './ledgers.ts';
import { figureOf, rowOf, sampled, secondsOf, type Row } from './measure.ts';
import { writeHistory } from './synthetic-history.ts';

const BLOCK_BYTES = 16 * 1024;
/** Blocks of a run that a look-up reads: its last one, one of its directory, and the records'. */
const BLOCKS_A_RUN = 3;
const LOOKUP_AT_MOST = 10;
const BUILD_AT_LEAST = 0.5;
const DIFF_AT_MOST = 4;
const DIFF_BYTES_AT_LEAST = 0.1;

/** Block files of the index. */
function indexFiles(folder: string): string[] {
  const root = join(folder, 'projections', 'page-index');
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => join(root, name))
    .filter((path) => statSync(path).isFile() && statSync(path).size % BLOCK_BYTES === 0);
}

/** Seconds that random reads of warm blocks take, through the file port, each file opened anew. */
const randomReads = (files: readonly string[], random: (below: number) => number) =>
  secondsOf(async () => {
    const block = Buffer.alloc(BLOCK_BYTES);
    for (const path of files) {
      const file = await nodeFiles.open(path, 'read');
      const blocks = (await file.sizeBytes()) / BLOCK_BYTES;
      for (let i = 0; i < BLOCKS_A_RUN; i += 1)
        await file.read(block, random(blocks) * BLOCK_BYTES);
      await file.close();
    }
  });

async function lookups(context: BenchContext): Promise<Row[]> {
  const events = context.isQuick ? 400_000 : 10_000_000;
  const pages = context.isQuick ? 16_384 : 262_144;
  const samples = context.isQuick ? 5 : 101;
  const folder = freshFolder(context, 'audit');
  context.tell(`a history of ${events} page events`);
  const made = await withLedger({ folder, threads: 0 }, (ledger) =>
    writeHistory(ledger, { events, pages, seed: 3 }),
  );
  const seconds = await withLedger({ folder, threads: 0 }, async (ledger) => {
    await ledger.state.catchUp({ heavy: true });
    for (const vm of made.vms)
      for (const { damage } of ledger.vm(vm).captures)
        assert(damage === null, 'what is asked about can be read');
    return secondsOf(() => pageIndexOf(ledger).versions('one', 0));
  });
  const files = indexFiles(folder);
  for (const file of files) warm(file);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  const rows: Row[] = [
    rowOf({
      what: 'making the page index',
      measured: figureOf([made.events / seconds / 1e6], 'M page events/s'),
      target: { sense: 'at least', bound: BUILD_AT_LEAST },
      note: `${made.events} page events; ${(bytes / made.events).toFixed(1)} bytes each, in ${files.length / 3} segments; the log takes ${(diskBytes(join(folder, 'log')) / made.events).toFixed(1)}`,
    }),
  ];
  const random = seededRandom(5);
  await withLedger({ folder, threads: 0 }, async (ledger) => {
    await pageIndexOf(ledger).versions('one', 0);
    const runs = (name: string): string[] => files.filter((file) => file.endsWith(name));
    const limit = (of: readonly string[]) => sampled(samples, () => randomReads(of, random));
    const vm = () => made.vms[random(made.vms.length)]!;
    let versions = 0;
    const histories = await sampled(samples, async () => {
      const entry = ledger.vm(vm());
      const gfn = random(made.pages);
      return secondsOf(async () => {
        versions += (await historyOf(ledger, entry, gfn)).length;
      });
    });
    assert(versions > samples, 'pages have a history');
    rows.push(
      rowOf({
        what: '`history` of a random page, as a library call',
        measured: figureOf(histories, 's'),
        limit: {
          what: 'random reads of 3 blocks of each of its files',
          figure: figureOf(await limit([...runs('versions'), ...runs('holdings')]), 's'),
        },
        target: { sense: 'at most', bound: LOOKUP_AT_MOST },
        note: `${(versions / samples).toFixed(1)} versions each`,
      }),
    );
    let holders = 0;
    const answers = await sampled(samples, async () => {
      const identifier = await someIdentifier(ledger, { vm: vm(), gfn: random(made.pages) });
      return secondsOf(async () => {
        holders += (await whoHolds(ledger, { identifier, at: null })).holders.length;
      });
    });
    assert(holders >= samples, 'somebody holds what a page held');
    rows.push(
      rowOf({
        what: '`who` of a random identifier, as a library call',
        measured: figureOf(answers, 's'),
        limit: {
          what: 'random reads of 3 blocks of each of its files',
          figure: figureOf(await limit([...runs('identifiers'), ...runs('holdings')]), 's'),
        },
        target: { sense: 'at most', bound: LOOKUP_AT_MOST },
        note: `${(holders / samples).toFixed(1)} holdings each`,
      }),
    );
    const whatIfSeconds = await secondsOf(() => whatIfOf(ledger));
    rows.push(
      rowOf({
        what: '`sharing --what-if` over the whole history',
        measured: figureOf([made.events / whatIfSeconds / 1e6], 'M page events/s'),
      }),
    );
  });
  rmSync(folder, { recursive: true });
  return rows;
}

/** The identifier of some content that a page held. */
async function someIdentifier(
  ledger: Ledger,
  page: { readonly vm: string; readonly gfn: number },
): Promise<string> {
  for (let gfn = page.gfn; ; gfn = gfn === 0 ? ledger.state.contents.count : gfn - 1) {
    const versions = await pageIndexOf(ledger).versions(page.vm, gfn);
    const held = versions.find(({ holding }) => isContent(holding))?.holding;
    if (held !== undefined) return identifierIn(ledger.column, held)!;
    assert(
      held === undefined && gfn < FIRST_CONTENT + ledger.state.contents.count,
      'pages are few',
    );
  }
}

async function diffs(context: BenchContext): Promise<Row[]> {
  const mebibytes = context.isQuick ? 8 : 1024;
  const samples = context.isQuick ? 3 : 11;
  const folder = freshFolder(context, 'diffed');
  const images = [guestImage(context, mebibytes, 31), guestImage(context, mebibytes, 32)];
  await withLedger({ folder }, (ledger) => record(ledger, { vm: 'guest', files: images }));
  const ledger = await openLedger({ url: folder, mode: 'read' });
  const rows: Row[] = [];
  try {
    const entry = ledger.vm('guest');
    const [a, b] = entry.captures.map((row) => ({ entry, row }));
    const count = async (withBytes: boolean): Promise<number> => {
      let pages = 0;
      for await (const differing of diffOf(ledger, { a: a!, b: b!, withBytes }))
        pages += differing.length;
      return pages;
    };
    const differing = await count(false);
    const pages = (mebibytes * MIB) / PAGE_BYTES;
    const { state } = ledger;
    const tables = await sampled(samples, () =>
      secondsOf(async () => {
        const one = await state.tables.at(entry, state.contents, a!.row);
        const other = await state.tables.at(entry, state.contents, b!.row);
        let differ = 0;
        for (let gfn = 0; gfn < one.length; gfn += 1) if (one[gfn] !== other[gfn]) differ += 1;
        assert(differ === differing, 'tables tell what differs');
      }),
    );
    const plain = await sampled(samples, () => secondsOf(() => count(false)));
    rows.push(
      rowOf({
        what: `\`diff\` of two points of a VM of ${mebibytes} MiB`,
        measured: figureOf(plain, 's'),
        limit: { what: 'both page tables, compared', figure: figureOf(tables, 's') },
        target: { sense: 'at most', bound: DIFF_AT_MOST },
        note: `${differing} of ${pages} pages differ`,
      }),
    );
    const restored = await sampled(context.isQuick ? 1 : 3, () =>
      secondsOf(async () => {
        for (const point of [a!, b!]) {
          const path = join(context.folder, 'diffed.raw');
          await restoreToFile(ledger, point, { path, isForced: true, format: 'raw' });
        }
      }),
    );
    const whole = await sampled(context.isQuick ? 1 : 2, () => secondsOf(() => count(true)));
    rows.push(
      rowOf({
        what: `\`diff --bytes\` of the same`,
        measured: figureOf(whole, 's'),
        limit: { what: 'both points restored to a file', figure: figureOf(restored, 's') },
        inverse: true,
        target: { sense: 'at least', bound: DIFF_BYTES_AT_LEAST },
        note: `all bytes of ${differing} pages on either side decoded`,
      }),
    );
  } finally {
    await ledger.close();
  }
  rmSync(folder, { recursive: true });
  return rows;
}

export const auditQueries: Bench = {
  name: 'audit-queries',
  title: 'Questions about pages',
  run: async (context) => [...(await lookups(context)), ...(await diffs(context))],
};

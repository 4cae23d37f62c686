// Audit queries: the history of a page, who holds a content, what differs between two points, how
// memory is shared, and the log's filters, against what was recorded, page by page.

import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  classesAt,
  diffOf,
  historyOf,
  openLedger,
  PAGE_BYTES,
  patternClassName,
  readPages,
  sharingOf,
  whatIfOf,
  whoHolds,
  type Ledger,
} from '../../../index.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { pageAt } from '../../support/images.ts';
import { gather } from '../../support/outcomes.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';
import {
  makeTracedLedger,
  TRACED,
  TRACED_ORDER,
  TRACED_PAGES,
  tracedTimeMs,
} from '../../support/ledgers/traced-ledger.ts';

const GROUP_OF: Readonly<Record<string, string>> = { a: 'default', b: 'default', c: 'apart' };
const VMS = Object.keys(TRACED);

/** A page's content, inside its group. */
const contentOf = (vm: string, page: Uint8Array): string =>
  `${GROUP_OF[vm]} ${Buffer.from(page).toString('base64')}`;
const ZEROS = Buffer.alloc(PAGE_BYTES);
const isZeros = (page: Uint8Array): boolean => ZEROS.equals(page);
/** Made pages either repeat a few bytes or are random. */
const isPattern = (page: Uint8Array): boolean => new Set(page).size < 8;

interface Captured {
  readonly vm: string;
  readonly capture: number;
  readonly memory: Uint8Array;
}

/** All captures in their order. */
const CAPTURED: readonly Captured[] = TRACED_ORDER.map((vm, n) => {
  const capture = TRACED_ORDER.slice(0, n + 1).filter((other) => other === vm).length;
  return { vm, capture, memory: TRACED[vm]![capture - 1]! };
});

/** The newest captures of all VMs after the first `count`. */
function latestAfter(count: number): Captured[] {
  const latest = new Map(CAPTURED.slice(0, count).map((captured) => [captured.vm, captured]));
  return [...latest.values()];
}

/** Pages that hold a content then, as `vm/gfn`. */
function holdersAfter(count: number, content: string): string[] {
  const holders: string[] = [];
  for (const { vm, memory } of latestAfter(count))
    for (let gfn = 0; gfn < TRACED_PAGES; gfn += 1)
      if (contentOf(vm, pageAt(memory, gfn)) === content) holders.push(`${vm}/${gfn}`);
  return holders;
}

/** All of a flow; of so few pages there is one window, so their ranges stay valid. */
const allOf = async <A>(windows: AsyncIterable<readonly A[]>): Promise<A[]> =>
  (await gather(windows)).flat();

describe('audit queries', () => {
  let folder: TemporaryFolder;
  let url: string;
  let commands: LedgerCommands;
  const withLedger = async <A>(work: (ledger: Ledger) => Promise<A>, at = url): Promise<A> => {
    const ledger = await openLedger({ url: at, mode: 'read', threads: 0 });
    try {
      return await work(ledger);
    } finally {
      await ledger.close();
    }
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    url = join(folder.path, 'ledger');
    commands = new LedgerCommands(url);
    await makeTracedLedger({ url, scratch: folder.path });
  });
  afterAll(() => folder.remove());

  test('`history` has every version of every page, and who shared it then and now', () =>
    withLedger(async (ledger) => {
      for (const vm of VMS)
        for (let gfn = 0; gfn < TRACED_PAGES; gfn += 1) {
          const found = await historyOf(ledger, ledger.vm(vm), gfn);
          const expected = CAPTURED.flatMap(({ vm: of, capture, memory }, n) => {
            if (of !== vm) return [];
            const page = pageAt(memory, gfn);
            const before = capture === 1 ? null : pageAt(TRACED[vm]![capture - 2]!, gfn);
            if (before !== null && Buffer.from(before).equals(page)) return [];
            const content = contentOf(vm, page);
            const isFirst = holdersEver(n, content) === 0;
            const stored = isFirst && isStoredHere(n, gfn, content) ? 'stored' : 'merged';
            const now = holdersAfter(CAPTURED.length, content);
            const isKept = !isPattern(page);
            return [
              {
                capture,
                outcome: isKept ? stored : 'pattern',
                sharers: isKept ? holdersAfter(n + 1, content).length - 1 : 0,
                sharersNow: isKept ? now.filter((other) => other !== `${vm}/${gfn}`).length : 0,
              },
            ];
          });
          const told = found.map(({ capture, outcome, sharers, sharersNow }) => ({
            capture,
            outcome,
            sharers,
            sharersNow,
          }));
          expect({ vm, gfn, versions: told }).toEqual({ vm, gfn, versions: expected });
        }
    }));

  /** Pages that held a content in the first `count` captures. */
  function holdersEver(count: number, content: string): number {
    let held = 0;
    for (let n = 1; n <= count; n += 1) held += holdersAfter(n, content).length;
    return held;
  }

  /** Whether the page is the first of its capture that holds the content. */
  function isStoredHere(n: number, gfn: number, content: string): boolean {
    const { vm, memory } = CAPTURED[n]!;
    for (let other = 0; other < gfn; other += 1)
      if (contentOf(vm, pageAt(memory, other)) === content) return false;
    return true;
  }

  test('`who` names the pages that hold a content at each moment, and from when to when', async () => {
    const [version] = await commands.json('history', '--vm', 'a', '--page', '2');
    const identifier = version!['identifier'] as string;
    const rows = await commands.json('who', '--identifier', identifier.slice(0, 8));
    const plain = rows.map(({ vm, gfn, group, from, to }) => ({ vm, gfn, group, from, to }));
    expect(plain).toEqual([
      { vm: 'a', gfn: 2, group: 'default', from: 1, to: 2 },
      { vm: 'b', gfn: 4, group: 'default', from: 1, to: null },
      { vm: 'a', gfn: 2, group: 'default', from: 3, to: null },
    ]);
    const content = contentOf('a', pageAt(TRACED['a']![0]!, 2));
    await withLedger(async (ledger) => {
      for (let n = 0; n < CAPTURED.length; n += 1) {
        const { holders } = await whoHolds(ledger, { identifier, at: { timeMs: tracedTimeMs(n) } });
        expect(holders.map(({ vm, gfn }) => `${vm}/${gfn}`).toSorted()).toEqual(
          holdersAfter(n + 1, content).toSorted(),
        );
      }
    });
  });

  test('identifiers of equal pages in two groups are unrelated, and `who` crosses none', async () => {
    const [one] = await commands.json('history', '--vm', 'a', '--page', '0');
    const [other] = await commands.json('history', '--vm', 'c', '--page', '0');
    expect(one!['identifier']).not.toBe(other!['identifier']);
    const holders = await commands.json('who', '--identifier', other!['identifier'] as string);
    expect(holders.map(({ vm, gfn }) => `${String(vm)}/${String(gfn)}`)).toEqual(['c/0', 'c/1']);
    expect(other!['sharers']).toBe(1);
  });

  test('`diff` gives exactly the bytes that make one point of another, in one group or two', () =>
    withLedger(async (ledger) => {
      const pointOf = ({ vm, capture }: Captured) => {
        const entry = ledger.vm(vm);
        return { entry, row: entry.capture(capture)! };
      };
      for (const one of CAPTURED)
        for (const other of CAPTURED) {
          const points = { a: pointOf(one), b: pointOf(other) };
          const made = one.memory.slice();
          const pages: number[] = [];
          for (const { gfn, ranges } of await allOf(
            diffOf(ledger, { ...points, withBytes: true }),
          )) {
            pages.push(gfn);
            for (const { offset, before, after } of ranges!) {
              const at = gfn * PAGE_BYTES + offset;
              expect(Buffer.from(before).equals(made.subarray(at, at + before.length))).toBe(true);
              made.set(after, at);
            }
          }
          expect(Buffer.from(made).equals(other.memory)).toBe(true);
          const gfns = Array.from({ length: TRACED_PAGES }, (_, gfn) => gfn);
          const differing = gfns.filter(
            (gfn) => !Buffer.from(pageAt(one.memory, gfn)).equals(pageAt(other.memory, gfn)),
          );
          expect(pages).toEqual(differing);
          const without: number[] = [];
          for (const { gfn, ranges } of await allOf(
            diffOf(ledger, { ...points, withBytes: false }),
          )) {
            without.push(gfn);
            expect(ranges).toBeNull();
          }
          expect(without).toEqual(differing);
        }
    }));

  test('memory at a point is a table of classes, and pages are read from it', () =>
    withLedger(async (ledger) => {
      for (const [vm, memories] of Object.entries(TRACED))
        for (const [i, memory] of memories.entries()) {
          const entry = ledger.vm(vm);
          const point = { entry, row: ledger.resolve(entry, `@${i + 1}`) };
          const { holdings, classes } = await classesAt(ledger, point);
          const gfns = Array.from(holdings, (_, gfn) => gfn).toReversed();
          const bytes = Buffer.from(await readPages(ledger, point, gfns));
          for (const [k, gfn] of gfns.entries()) {
            const page = pageAt(memory, gfn);
            expect(bytes.subarray(k * 4096, (k + 1) * 4096).equals(page)).toBe(true);
            expect([gfn, patternClassName(classes[gfn]!) === 'zero']).toEqual([gfn, isZeros(page)]);
          }
          await expect(readPages(ledger, point, [holdings.length])).rejects.toThrow('not in VM');
        }
    }));

  test('`diff --bytes` shows ranges to programs and a hex view to people', async () => {
    const rows = await commands.json('diff', '--vm', 'b', '@1', '@2', '--bytes');
    const before = pageAt(TRACED['b']![0]!, 3)[4090]!.toString(16).padStart(2, '0');
    expect(rows).toEqual([
      {
        vm: 'b',
        gfn: 3,
        address: '0x3000',
        absent: null,
        ranges: [{ offset: 4090, length: 1, before, after: '07' }],
      },
    ]);
    const text = (await commands.bytes('diff', '--vm', 'b', '@1', '@2', '--bytes')).toString();
    expect(text).toContain('page 3 at 0x3000: 1 byte in 1 range');
    expect(text).toMatch(new RegExp(`0ffa - ${before} +\\|.\\|\\n +0ffa \\+ 07`, 'u'));
    const [vm, at] = ['a', 'b/@1'];
    const pages = (await commands.json('diff', '--vm', vm, '@1', at)).map(({ gfn }) => gfn);
    expect(pages).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test('`sharing` counts every page once, and tells what a VM shares with others', async () => {
    const contents = new Map<string, Set<string>>();
    const pages = latestAfter(CAPTURED.length).flatMap(({ vm, memory }) =>
      Array.from({ length: TRACED_PAGES }, (_, gfn) => ({ vm, page: pageAt(memory, gfn) })),
    );
    for (const { vm, page } of pages.filter(({ page: of }) => !isPattern(of))) {
      const vms = contents.get(contentOf(vm, page)) ?? new Set();
      contents.set(contentOf(vm, page), vms.add(vm));
    }
    const held = pages.filter(({ page }) => !isPattern(page)).length;
    const pairs = [...contents.values()].reduce((sum, vms) => sum + vms.size, 0);
    const zero = pages.filter(({ page }) => isZeros(page)).length;
    const [counts] = await commands.json('sharing');
    expect(counts).toMatchObject({
      vms: 3,
      pages: pages.length,
      zero,
      pattern: pages.length - held - zero,
      unique: contents.size,
      mergedIntra: held - pairs,
      mergedInter: pairs - contents.size,
      patterns: { byte: 2, word32: 1 },
    });
    const [of] = await commands.json('sharing', '--vm', 'a');
    expect(of).toMatchObject({ vms: 1, sharedWith: [{ vm: 'b', contents: 1 }], leftPrivate: 1 });
    const sharers = await commands.json('sharing', '--vm', 'a', '--page', '2');
    expect(sharers.map(({ vm, gfn }) => [vm, gfn])).toEqual([
      ['b', 4],
      ['a', 2],
    ]);
    const text = (await commands.bytes('sharing')).toString();
    expect(text).toMatch(/of them patched/u);
    expect(text).toMatch(/saved \(\d+\.\d %\)/u);
  });

  test('`sharing` counts a patch where a page was kept as one', () =>
    withLedger(async (ledger) => {
      const { patched, unique } = await sharingOf(ledger, {
        position: ledger.state.next,
        vm: null,
      });
      // The edited pages of a and b differ from what they were in a few bytes.
      expect(patched).toBe(2);
      expect(patched).toBeLessThan(unique);
    }));

  test('the projection `sharing` counts as the command does, patches among them', () =>
    withLedger(async (ledger) => {
      let moments = 0;
      for await (const message of ledger.states({ projection: 'sharing' })) {
        if (message._tag !== 'state') break;
        const { position } = message;
        const { vms, pages, zero, pattern, unique, mergedIntra, mergedInter, patched, heldLarge } =
          await sharingOf(ledger, { position, vm: null });
        const counts = { vms, pages, zero, pattern, unique, mergedIntra, mergedInter, patched };
        expect(message.view()).toEqual({ ...counts, heldLarge, unknown: 0 });
        moments += 1;
      }
      expect(moments).toBeGreaterThan(CAPTURED.length);
    }));

  test('`sharing --what-if` counts what other settings would store', async () => {
    const rows = await commands.json('sharing', '--what-if');
    const distinct = new Set<string>();
    const distinctOfVm = new Set<string>();
    let writes = 0;
    for (const [n, { vm, capture, memory }] of CAPTURED.entries())
      for (let gfn = 0; gfn < TRACED_PAGES; gfn += 1) {
        const page = pageAt(memory, gfn);
        const before = CAPTURED.slice(0, n).findLast((other) => other.vm === vm);
        const isWritten =
          before === undefined || !Buffer.from(pageAt(before.memory, gfn)).equals(page);
        if (!isWritten || isPattern(page)) continue;
        writes += 1;
        distinct.add(contentOf(vm, page));
        distinctOfVm.add(`${vm} ${contentOf(vm, page)}`);
        expect(capture).toBeGreaterThan(0);
      }
    const pagesOf = Object.fromEntries(rows.map(({ setting, pages }) => [setting, pages]));
    expect(pagesOf).toMatchObject({
      'as recorded': distinct.size,
      'no patches': distinct.size,
      'patterns only': writes,
      'no sharing between VMs': distinctOfVm.size,
    });
    const bytesOf = new Map(rows.map((row) => [row['setting'], Number(row['storedBytes'])]));
    expect(bytesOf.get('no patches')).toBeGreaterThan(bytesOf.get('as recorded')!);
    expect(bytesOf.get('patterns only')).toBeGreaterThan(bytesOf.get('no sharing between VMs')!);
    expect(rows.map(({ isEstimate }) => isEstimate)).toEqual([false, true, true, true, true, true]);
    expect(Number(pagesOf['pages of 64 KiB'])).toBeGreaterThan(0);
    await withLedger(async (ledger) => expect(await whatIfOf(ledger)).toHaveLength(rows.length));
  });

  test('the log of a VM, and between positions, is what the whole log says of them', async () => {
    const all = await commands.json('log', '--pages');
    for (const vm of VMS)
      expect(await commands.json('log', '--pages', '--vm', vm)).toEqual(
        all.filter((row) => row['vm'] === vm),
      );
    const positions = [...new Set(all.map(({ position }) => BigInt(position as string)))];
    const [from, to] = [positions[4]!, positions[8]!];
    const isWithin = (row: JsonRow): boolean => {
      const position = BigInt(row['position'] as string);
      return position >= from && position <= to;
    };
    const bounds = ['--from', String(from), '--to', String(to)];
    expect(await commands.json('log', '--pages', ...bounds)).toEqual(all.filter(isWithin));
    expect(await commands.json('log', '--pages', '--vm', 'a', ...bounds)).toEqual(
      all.filter((row) => isWithin(row) && row['vm'] === 'a'),
    );
  });

  test.each<readonly [string, readonly string[], number, RegExp]>([
    ['an identifier that is none', ['who', '--identifier', 'xyz'], 2, /64 hex digits/u],
    ['too few digits', ['who', '--identifier', '0123456'], 2, /at least 8/u],
    ['an unknown identifier', ['who', '--identifier', '01234567'], 5, /no content/u],
    ['a page without its VM', ['sharing', '--page', '1'], 2, /give --vm/u],
    ['a page that is not there', ['sharing', '--vm', 'a', '--page', '48'], 5, /0 to 47/u],
    ['a what-if of one VM', ['sharing', '--what-if', '--vm', 'a'], 2, /whole history/u],
    ['a point of no VM', ['diff', '--vm', 'a', '@1', 'nobody/@1'], 5, /no VM nobody/u],
    ['a point that is none', ['diff', '--vm', 'a', '@1', 'b/x'], 2, /not a point/u],
    ['a capture that is not there', ['diff', '--vm', 'a', '@1', '@9'], 5, /no capture/u],
  ])('%s is refused', async (_name, words, exitCode, message) => {
    const outcome = await commands.run(words);
    expect(outcome.stderr).toMatch(message);
    expect(outcome.stdout.toString()).toBe('');
    expect(outcome.exitCode).toBe(exitCode);
  });
});

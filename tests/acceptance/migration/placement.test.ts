// Where a guest would go: the host that has most of its memory, as the hosts of one ledger said.

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { advertise, advertisementOf, pointsHeld } from '../../../adapters/wiring/hosts/contents.ts';
import { contentsAtHand } from '../../../adapters/wiring/hosts/at-hand.ts';
import { placeGuest } from '../../../adapters/wiring/hosts/placement.ts';
import { joinHost, type Ledger } from '../../../index.ts';
import type { PacksAtHand } from '../../../domain/ports/page-store.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { pagesIn } from '../../../domain/values/regions.ts';
import { LedgerCommands, type JsonRow } from '../../support/command-line.ts';
import { makeImage } from '../../support/images.ts';
import { recordFiles, withLedger, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 256;
const MIX = { zero: 1, text: 2, random: 5, repeated: 0, duplicate: 0 };
const HARDWARE = { cores: 4, memoryBytes: 2 ** 30, cpu: 'a CPU', features: [], qemu: '7.2.22' };

let folder: TemporaryFolder;
let url: string;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  url = `${folder.path}/ledger`;
});
afterEach(() => folder.remove());

/** The guest that is to move, one that has nine tenths of its memory, one that has a third, and a stranger. */
async function recordGuests(ledger: Ledger): Promise<void> {
  const guest = makeImage({ seed: 1, pages: PAGES, mix: MIX });
  const other = makeImage({ seed: 2, pages: PAGES, mix: MIX });
  const mixOf = (share: number): Buffer => {
    const cut = Math.floor(PAGES * share) * PAGE_BYTES;
    return Buffer.concat([guest.subarray(0, cut), other.subarray(cut)]);
  };
  const vms = { web: guest, sibling: mixOf(0.9), cousin: mixOf(0.3), stranger: other };
  for (const [vm, image] of Object.entries(vms)) {
    const files = writeImages({ folder: folder.path, name: vm, images: [image] });
    await recordFiles(ledger, { vm, files });
  }
}

async function say(ledger: Ledger, host: string, vm: string): Promise<void> {
  const points = pointsHeld([ledger.vm(vm)]);
  await advertise(ledger, host, await advertisementOf(ledger, points));
}

const join = (ledger: Ledger, host: string, of: Partial<typeof HARDWARE> = {}) =>
  joinHost(ledger, { host, address: null, distances: [], hardware: { ...HARDWARE, ...of } });

test('a guest goes to the host that has most of it, of those that can have it', async () => {
  await withLedger({ url, mode: 'create' }, async (ledger) => {
    await recordGuests(ledger);
    for (const [host, vm] of [
      ['one', 'sibling'],
      ['two', 'cousin'],
      ['three', 'stranger'],
    ] as const) {
      await join(ledger, host);
      await say(ledger, host, vm);
    }
    await join(ledger, 'four');
    const web = ledger.vm('web');
    const point = { entry: web, row: ledger.resolve(web, 'latest') };
    const { hosts, chosen } = await placeGuest(ledger, point, { by: 'pages', from: 'home' });
    expect(chosen).toBe('one');
    expect(hosts.map(({ host }) => host)).toEqual(['one', 'two', 'four', 'three']);
    const [one, two, four, three] = hosts;
    expect([four!.pages, three!.pages]).toEqual([0, 0]);
    // A region that is cut off at the end of what is in common is lost.
    const contents = four!.moveBytes / PAGE_BYTES;
    expect(one!.pages).toBeGreaterThan(0.8 * contents);
    expect(one!.pages).toBeLessThanOrEqual(0.95 * contents);
    expect(two!.pages).toBeGreaterThan(0.2 * contents);
    expect(one!.moveBytes).toBe((contents - one!.pages) * PAGE_BYTES);
    expect(one!.from).toEqual({
      target: one!.pages * PAGE_BYTES,
      bucket: 0,
      source: one!.moveBytes,
    });

    // With fewer cores than the guest has memory for, it is not chosen.
    await join(ledger, 'one', { memoryBytes: 1000 });
    const again = await placeGuest(ledger, point, { by: 'regions', from: 'home' });
    expect(again.chosen).toBe('two');
    const fromThere = await placeGuest(ledger, point, { by: 'used', from: 'two' });
    expect(fromThere.hosts.map(({ host }) => host)).not.toContain('two');
  });
});

test('of packs in a bucket a host tells what its cache has, and the rest comes from there', async () => {
  await withLedger({ url, mode: 'create' }, async (ledger) => {
    await recordGuests(ledger);
    const { contents } = ledger.state;
    const atHand = async (isKept: PacksAtHand) => {
      const store = { ...ledger.store, atHand: () => Promise.resolve(isKept) };
      const isHeld = await contentsAtHand({ store, state: ledger.state });
      const points = pointsHeld([ledger.vm('web')]);
      const told = await advertisementOf(ledger, points, { isHeld });
      return { isHeld: isHeld!, pages: pagesIn(told.regions) };
    };
    expect(await contentsAtHand({ store: ledger.store, state: ledger.state })).toBeNull();
    const all = await atHand(() => true);
    const none = await atHand(() => false);
    expect([all.pages > 200, none.pages]).toEqual([true, 0]);
    // The first blocks of each pack.
    const some = await atHand(({ endBytes }) => endBytes < 200_000);
    const held = Array.from({ length: contents.count }, (_, content) => some.isHeld(content));
    expect(held).toContain(true);
    expect(held).toContain(false);
    expect(some.pages).toBeGreaterThan(0);
    expect(some.pages).toBeLessThan(all.pages);
  });
});

test('the command line says what a host holds, and where a guest would go', async () => {
  await withLedger({ url, mode: 'create' }, recordGuests);
  const ledger = new LedgerCommands(url);
  await ledger.json('host', 'join', '--host', 'one');
  await ledger.json('host', 'join', '--host', 'two', '--distance', 'home=3');
  const advertised = await ledger.json('host', 'advertise', '--host', 'one', '--vm', 'sibling');
  expect(advertised).toMatchObject([
    { summary: 'host advertise', host: 'one', points: 1, told: true },
  ]);
  expect(await ledger.json('host', 'advertise', '--host', 'one', '--vm', 'sibling')).toMatchObject([
    { told: false },
  ]);
  const rows: readonly JsonRow[] = await ledger.json(
    'migrate',
    '--vm',
    'web',
    '--plan',
    '--from',
    'home',
  );
  expect(rows.map((row) => [row['host'], row['chosen'], row['distance']])).toEqual([
    ['one', rows[0]!['eligible'], null],
    ['two', false, 3],
  ]);
  expect(Number(rows[0]!['pages'])).toBeGreaterThan(100);
  const [ranked] = await ledger.json('log', '--type', 'CandidatesRanked');
  expect(ranked).toMatchObject({ vm: 'web', type: 'CandidatesRanked' });
  expect(await ledger.errorOf('migrate', '--vm', 'web')).toEqual([2, 'BAD_USAGE']);
});

// Hosts that have a ledger each tell each other what they hold, so that either can say where a guest would
// go; and what a peer tells that cannot be is not taken.

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Advertiser } from '../../../adapters/faces/link/advertiser.ts';
import { hearContents, tellContents } from '../../../adapters/faces/link/contents.ts';
import type { FrameKind, Link } from '../../../adapters/faces/link/frames.ts';
import { BODIES, bodyOf, readBody } from '../../../adapters/faces/link/messages.ts';
import { greet } from '../../../adapters/faces/link/source.ts';
import {
  advertise,
  advertisementOf,
  pointsHeld,
  toldOf,
} from '../../../adapters/wiring/hosts/contents.ts';
import { placeGuest } from '../../../adapters/wiring/hosts/placement.ts';
import { changeSince } from '../../../adapters/wiring/hosts/told-changes.ts';
import { hostsOf, joinHost, openLedger, type Ledger } from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import {
  linkTo,
  siblingOf,
  taking,
  type TakingLedger,
} from '../../support/ledgers/linked-ledgers.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const HARDWARE = { cores: 4, memoryBytes: 2 ** 30, cpu: 'a CPU', features: [], qemu: '7.2.22' };
const MIX = { zero: 0, text: 1, random: 3, repeated: 0, duplicate: 0 };
const factsOf = (host: string) => ({ host, address: null, distances: [], ...HARDWARE });

let folder: TemporaryFolder;
let one: Ledger;
let two: TakingLedger;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  one = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
  const images = [makeImage({ seed: 1, pages: 128, mix: MIX })];
  const files = writeImages({ folder: folder.path, name: 'web', images });
  await recordFiles(one, { vm: 'web', files });
  two = await taking(await siblingOf(one), `${folder.path}/two.sock`);
  await recordFiles(two.ledger, { vm: 'sibling', files });
  for (const [ledger, host] of [
    [one, 'one'],
    [two.ledger, 'two'],
  ] as const) {
    await joinHost(ledger, { host, address: null, distances: [], hardware: HARDWARE });
    await advertise(ledger, host, await advertisementOf(ledger, pointsHeld(ledger.vms())));
  }
});
afterEach(async () => {
  await two.close();
  await two.ledger.close();
  await one.close();
  await folder.remove();
});

async function withLink<A>(work: (link: Link) => Promise<A>): Promise<A> {
  const link = await linkTo(two.path);
  try {
    await greet(link, { from: 'one', to: 'two', ledger: one.id });
    return await work(link);
  } finally {
    link.close();
  }
}

const exchange = (): Promise<boolean> =>
  withLink(async (link) => {
    await tellContents(link, one, { host: 'one' });
    return hearContents(link, one, { peer: 'two', facts: null });
  });

const toldBy = (ledger: Ledger) =>
  ledger.state.catalogue.hosts.get('one')?.state.advertised?.digest;

test('both know afterwards what the other holds, and are told once', async () => {
  expect(await exchange()).toBe(true);
  for (const ledger of [one, two.ledger])
    expect(hostsOf(ledger).map(({ host, advertised }) => [host, advertised?.pages])).toEqual([
      ['one', 128],
      ['two', 128],
    ]);
  const web = one.vm('web');
  const point = { entry: web, row: one.resolve(web, 'latest') };
  const { hosts, chosen } = await placeGuest(one, point, { by: 'pages', from: 'one' });
  expect(chosen).toBe('two');
  expect(hosts).toMatchObject([{ host: 'two', pages: 128, moveBytes: 0 }]);
  expect(await exchange()).toBe(false);
});

test('who was told before is told what has changed since, and that nothing has', async () => {
  const options = { ledger: one, host: 'one', vms: null, leastPages: 1 };
  const advertiser = new Advertiser(options);
  await advertiser.tell();
  const tell = async (by = advertiser): Promise<number> =>
    (await by.exchange(() => linkTo(two.path))).bytes;
  const first = await tell();
  const again = await tell();
  expect(again).toBeLessThan(first / 2);
  const image = makeImage({ seed: 1, pages: 128, mix: MIX });
  image.fill(0x5a, 8, 3000);
  const files = writeImages({ folder: folder.path, name: 'next', images: [image] });
  await recordFiles(one, { vm: 'web', files });
  expect(await advertiser.tell()).toMatchObject({ isNew: true, points: 2 });
  const changed = await tell();
  expect(changed).toBeGreaterThan(again);
  expect(changed).toBeLessThan(first);
  expect(toldBy(two.ledger)).toBe(toldBy(one));
  // Who has nothing at hand of what it told before tells all of it.
  await recordFiles(one, { vm: 'other', files });
  const forgetful = new Advertiser(options);
  await advertiser.tell();
  expect(await tell(forgetful)).toBeGreaterThan(changed);
  expect(toldBy(two.ledger)).toBe(toldBy(one));
});

test('a change is one of what was said to be known, though more is told meanwhile', async () => {
  const advertiser = new Advertiser({ ledger: one, host: 'one', vms: null, leastPages: 1 });
  await exchange();
  await withLink(async (link) => {
    await link.send('contents', bodyOf(factsOf('one')));
    const { digest } = readBody(BODIES.known, await link.expect('known'));
    expect(digest).toBe(toldBy(one));
    const images = [makeImage({ seed: 2, pages: 128, mix: MIX })];
    const files = writeImages({ folder: folder.path, name: 'next', images });
    await recordFiles(one, { vm: 'web', files });
    await advertiser.tell();
    await advertiser.exchange(() => linkTo(two.path));
    const { bytes } = (await toldOf(one, 'one'))!;
    await link.send('change', new Uint8Array(0));
    await link.send('part', changeSince(digest, bytes, advertiser.earlier)!);
    await link.send('sent', new Uint8Array(0));
    expect(await hearContents(link, one, { peer: 'two', facts: null })).toBe(false);
  });
  expect(toldBy(two.ledger)).toBe(toldBy(one));
});

test.each<readonly [string, readonly (readonly [FrameKind, Uint8Array])[], RegExp]>([
  [
    'of another host',
    [
      ['contents', bodyOf(factsOf('three'))],
      ['sent', new Uint8Array(0)],
    ],
    /tells of host three/u,
  ],
  ['without saying what it is', [['part', new Uint8Array(9)]], /out of turn/u],
  [
    'what is no advertisement',
    [
      ['contents', bodyOf(factsOf('one'))],
      ['part', new Uint8Array(99)],
      ['sent', new Uint8Array(0)],
    ],
    /version 0/u,
  ],
  [
    'what has changed of nothing',
    [
      ['contents', bodyOf(factsOf('one'))],
      ['change', new Uint8Array(0)],
      ['part', new Uint8Array(9)],
      ['sent', new Uint8Array(0)],
    ],
    /changed of nothing/u,
  ],
  [
    'twice that it tells changes',
    [
      ['contents', bodyOf(factsOf('one'))],
      ['change', new Uint8Array(0)],
      ['change', new Uint8Array(0)],
    ],
    /out of turn/u,
  ],
  [
    'more than there can be',
    [
      ['contents', bodyOf(factsOf('one'))],
      ...Array.from({ length: 7 }, () => ['part', new Uint8Array(2 ** 21)] as const),
    ],
    /bytes/u,
  ],
])('a peer that tells %s is not believed', async (_what, frames, why) => {
  const before = hostsOf(two.ledger);
  const said = await withLink(async (link) => {
    for (const [kind, body] of frames) await link.send(kind, body).catch(() => undefined);
    let frame = await link.next().catch(() => null);
    if (frame?.kind === 'known') frame = await link.next().catch(() => null);
    return frame?.kind === 'refused'
      ? readBody(BODIES.refused, frame.body).message
      : two.told.at(-1);
  });
  expect(said).toMatch(why);
  expect(hostsOf(two.ledger)).toEqual(before);
});

// What hosts say of their clones of a point that is served to them, as its ledger takes it: over a socket,
// from a host that speaks the truth and from one that does not.

import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FarServer } from '../../../../adapters/faces/nbd/far-memory.ts';
import { masterExports } from '../../../../adapters/faces/nbd/master-exports.ts';
import { serveNbd } from '../../../../adapters/faces/nbd/server.ts';
import { tellServer } from '../../../../adapters/faces/nbd/told-clones.ts';
import { ToldLooks } from '../../../../adapters/faces/nbd/told-looks.ts';
import type { SocketServer } from '../../../../adapters/faces/sockets/socket-server.ts';
import { mappedBlockOf } from '../../../../adapters/wiring/clones/clone-base.ts';
import { FarClones, type ToldLook } from '../../../../adapters/wiring/clones/far-clones.ts';
import { countsOfClone, fileKey, type SeenClone } from '../../../../domain/host-memory.ts';
import { rangesOf } from '../../../../domain/values/capture-ranges.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { pagesIn, type PageRanges } from '../../../../domain/values/page-ranges.ts';
import { openLedger, type Ledger } from '../../../../index.ts';
import { recordImage } from '../../../support/ledgers/recorded-images.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const PAGES = 4096;
const [A, B] = ['00000000000000aa', '00000000000000bb'] as const;
const holderOf = (process: number) =>
  ({ host: 'far', machine: null, boot: 'b', space: 's', process, started: 1 }) as const;
const [OF_A, OF_B] = [holderOf(41), holderOf(42)];
const FILE = '/tmp/pageledger-base-far/memory';
const BASE = { vm: 'web', capture: 1, file: FILE };

describe('clones of another host', () => {
  let folder: TemporaryFolder;
  let ledger: Ledger;
  let server: SocketServer | null = null;
  let far: FarServer;

  /** Serves the point, for hosts to tell of their clones. */
  async function serving(ways: { readonly rangesMax?: number } = {}): Promise<void> {
    const entry = ledger.vm('web');
    const point = { entry, row: ledger.resolve(entry, '@1') };
    const clones = new FarClones(ledger, { point, block: mappedBlockOf(point) }, ways);
    server = await serveNbd(far.at, {
      exports: masterExports({
        master: { vm: 'web', capture: 1, block: mappedBlockOf(point) },
        memory: () => Promise.reject(new TypeError('nobody reads here')),
        devices: new Uint8Array(0),
        identifiers: null,
        seal: null,
        told: (told) => clones.note(told),
      }),
      onFailure: () => undefined,
      onTurnedAway: () => undefined,
    });
  }
  const stopped = async (): Promise<void> => {
    await server?.close();
    server = null;
  };
  const seen = (clone: string, mapped: PageRanges, own: PageRanges = []): SeenClone => ({
    clone,
    base: BASE,
    mapped,
    own,
  });
  const looks = async (): Promise<ToldLooks> => {
    const told = new ToldLooks(far, BASE);
    for (const [lease, holder] of [
      [A, OF_A],
      [B, OF_B],
    ] as const) {
      await tellServer(far, {
        what: 'began',
        kind: 'mapped',
        lease,
        holder,
        qmp: '/q',
        privatePages: null,
      });
      told.add(lease, holder);
    }
    return told;
  };
  const memoryOf = (lease: string) => ledger.state.hostMemory.clones.get(lease)!;
  const look = (more: Partial<ToldLook>): ToldLook => ({
    what: 'saw',
    lease: A,
    holder: OF_A,
    file: FILE,
    gone: [],
    came: [],
    own: [],
    dropped: 0,
    ...more,
  });

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
  });
  beforeEach(async () => {
    ledger = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
    const image = new Uint8Array(PAGES * PAGE_BYTES);
    await recordImage(ledger, { vm: 'web', image, folder: folder.path });
    far = { at: { kind: 'unix', path: join(folder.path, 'sock') }, key: null };
    await serving();
  });
  afterEach(async () => {
    await stopped();
    await ledger.close();
  });
  afterAll(() => folder.remove());

  test('are told of by what they fetch, what is their own, and what they drop', async () => {
    const told = await looks();
    await told.say([seen(A, [[0, 99]], [[200, 209]]), seen(B, [[50, 149]])]);
    await told.say([seen(A, [[0, 9]], [[200, 209]]), seen(B, [[50, 149]])]);
    await told.say([seen(A, [[0, 19]], [[200, 209]]), seen(B, [[50, 149]])]);
    await told.dropped(A, 41);
    expect(countsOfClone(ledger.state.hostMemory, A)).toEqual({
      server: 110,
      host: 0,
      evicted: 40,
      refetched: 10,
    });
    expect(countsOfClone(ledger.state.hostMemory, B)).toMatchObject({ server: 50, host: 50 });
    for (const lease of [A, B]) {
      const { held, own, counts } = told.memory.clones.get(lease)!;
      expect(memoryOf(lease)).toMatchObject({ host: 'far', held, own, counts });
    }
    const [row] = ledger.vm('web').clones;
    expect(row).toMatchObject({ clone: A, dropped: 41 });
    // A file of another host is never one of this, whatever that host calls itself.
    expect(memoryOf(A).file).toBe(fileKey('far', { ...BASE, file: `far:${FILE}` }));
  });

  test('are told of in parts where that is more than a name holds', async () => {
    const told = await looks();
    const scattered = rangesOf(Array.from({ length: PAGES / 4 }, (_, i) => 4 * i));
    const own = scattered.map(([first]) => [first + 2, first + 2] as const);
    await told.say([seen(A, scattered, own), seen(B, [])]);
    expect(memoryOf(A)).toMatchObject({ held: scattered, own });
    await told.say([seen(A, [], own), seen(B, [])]);
    expect(memoryOf(A)).toMatchObject({ held: [], own });
    expect(countsOfClone(ledger.state.hostMemory, A).evicted).toBe(pagesIn(scattered));
  });

  test('are told of again once their server is back, with all that it missed', async () => {
    const told = await looks();
    await told.say([seen(A, [[0, 9]]), seen(B, [])]);
    await stopped();
    await told.say([seen(A, [[0, 19]]), seen(B, [])]);
    await told.dropped(A, 5);
    await told.say([seen(A, [[10, 29]], [[40, 40]]), seen(B, [[25, 25]])]);
    expect(memoryOf(A)).toMatchObject({ held: [[0, 9]], own: [] });
    await serving();
    await told.say([seen(A, [[10, 29]], [[40, 40]]), seen(B, [[25, 25]])]);
    await told.dropped(A, 2);
    expect(memoryOf(A)).toMatchObject({ held: [[10, 29]], own: [[40, 40]] });
    expect(memoryOf(B)).toMatchObject({ held: [[25, 25]] });
    expect(ledger.vm('web').clones[0]).toMatchObject({ clone: A, dropped: 7 });
  });

  test('of which one was ended here are told of but for that one', async () => {
    const told = await looks();
    await tellServer(far, {
      what: 'ended',
      kind: 'mapped',
      lease: A,
      holder: OF_A,
      qmp: '/q',
      privatePages: 3,
    });
    await told.say([seen(A, [[0, 9]]), seen(B, [[0, 9]])]);
    await told.say([seen(A, [[0, 9]]), seen(B, [[0, 12]])]);
    expect(ledger.state.hostMemory.clones.has(A)).toBe(false);
    expect(memoryOf(B)).toMatchObject({ held: [[0, 12]] });
  });

  test.each<[string, Partial<ToldLook>]>([
    ['nobody knows', { lease: '00000000000000cc' }],
    ['is of another process', { holder: OF_B }],
    ['has pages that its memory has not', { came: [[PAGES - 1, PAGES]] }],
    ['wrote pages that its memory has not', { own: [[2 ** 40, 2 ** 40]] }],
    ['lost pages that its memory has not', { gone: [[PAGES, PAGES]] }],
    ['dropped more than its memory', { dropped: PAGES + 1 }],
  ])('of which one %s are not believed', async (_, wrong) => {
    await looks();
    const before = ledger.state.next;
    const telling = tellServer(far, look({ came: [[0, 9]], ...wrong }));
    await expect(telling).rejects.toMatchObject({ code: 'PEER_REFUSED' });
    expect(ledger.state.next).toBe(before);
  });

  test('are told of up to a bound for all of them, and run on', async () => {
    await stopped();
    await serving({ rangesMax: 100 });
    const told = await looks();
    const scattered = rangesOf(Array.from({ length: 60 }, (_, i) => 2 * i));
    await told.say([seen(A, scattered), seen(B, [[0, 0]])]);
    await told.say([seen(A, [...scattered, [200, 200]]), seen(B, [[0, 9]])]);
    expect([memoryOf(A).held, memoryOf(B).held]).toEqual([scattered, [[0, 0]]]);
    await tellServer(far, {
      ...look({}),
      what: 'ended',
      kind: 'mapped',
      qmp: '/q',
      privatePages: 1,
    });
    expect(ledger.state.hostMemory.clones.has(A)).toBe(false);
  });

  test('cannot say of a second file what they have, nor the same twice', async () => {
    await looks();
    await tellServer(far, look({ came: [[0, 9]] }));
    const before = ledger.state.next;
    await tellServer(far, look({ came: [[0, 9]] }));
    await tellServer(far, look({ file: '/another', came: [[20, 29]], gone: [[0, 9]] }));
    expect(ledger.state.next).toBe(before);
    expect(ledger.state.hostMemory.files.size).toBe(1);
  });
});

// What the log tells beside captures, of leases, clones, hosts and guests that moved, holds where history
// begins behind it: for who folded it all along, who begins with the baseline, and in a copy.

import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  compact,
  copyLedger,
  dropVm,
  forgetHistory,
  forgetPoints,
  hostsOf,
  holdPoint,
  joinHost,
  leaveHost,
  leasesOf,
  openLedger,
  openRecorder,
  verify,
  type Ledger,
} from '../../../index.ts';
import { thisHolder } from '../../../adapters/files/processes.ts';
import {
  advertise,
  advertisementOf,
  pointsHeld,
  toldOf,
} from '../../../adapters/wiring/hosts/contents.ts';
import { decideOnMigration, migrationOf } from '../../../adapters/wiring/hosts/migrations.ts';
import { decideClones, type ClonesCommand } from '../../../domain/clones.ts';
import { decodeControl } from '../../../domain/events/control.ts';
import { pointsStream } from '../../../domain/events/streams.ts';
import type { AdvertisedPart } from '../../../domain/hosts.ts';
import { sharedMemory } from '../../../domain/ports/guests.ts';
import { valueOf } from '../../../domain/ports/run.ts';
import { flatMap } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { makeImage } from '../../support/images.ts';
import {
  eventsOf,
  recordFiles,
  restored,
  withLedger,
  writeImages,
} from '../../support/ledgers/recorded-images.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const MIX = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
const IMAGES = [1, 2, 3, 4].map((seed) => makeImage({ seed, pages: 16, mix: MIX }));
const HARDWARE = { cores: 4, memoryBytes: 2 ** 33, cpu: 'a CPU', features: [], qemu: '7.2.22' };
const KEEP_LAST = { keep: { last: 1 } } as const;
const [CLONE, PARKED, WOKEN] = ['c', 'd', 'e'].map((digit) => digit.repeat(16)) as [
  string,
  string,
  string,
];
const MOVE = { vm: 'web', migration: 'f'.repeat(16), capture: 4 };

let folder: TemporaryFolder;
let files: readonly string[];
let ledger: Ledger;
beforeEach(async () => {
  folder = await makeTemporaryFolder();
  files = writeImages({ folder: folder.path, name: 'image', images: IMAGES });
  ledger = await openLedger({ url: 'memory:', mode: 'create', threads: 0 });
});
afterEach(async () => {
  await ledger.close();
  await folder.remove();
});

const record = (vm: string): Promise<unknown> => recordFiles(ledger, { vm, files });

const tell = async (host: string): Promise<unknown> =>
  advertise(ledger, host, await advertisementOf(ledger, pointsHeld(ledger.vms())));

const joinAs = (host: string): Promise<boolean> =>
  joinHost(ledger, { host, address: null, distances: [], hardware: HARDWARE });

/** Lets a VM's history go, all but its last capture, which is the newest of the ledger. */
async function letGo(vm: string): Promise<void> {
  await forgetPoints(ledger, { vm, ...KEEP_LAST });
  await forgetHistory(ledger, { vm, isDryRun: false });
}

const clones = (command: ClonesCommand): Promise<unknown> =>
  ledger.decide(pointsStream('web'), () => decideClones(ledger.vm('web').held)(command));

const startClone = (lease: string): Promise<unknown> =>
  clones({
    _tag: 'StartClone',
    vm: 'web',
    capture: 3,
    newest: 4,
    lease,
    kind: 'mapped',
    block: 'pc.ram',
    qmp: '/run/one.sock',
    ledger: ledger.id!,
    holder: thisHolder(),
  });

/** What is told of the workgroup. */
async function workgroupOf(one: Ledger): Promise<unknown> {
  await one.state.catchUp({ heavy: false });
  const hosts = hostsOf(one).map(({ host, facts }) => ({ host, facts }));
  const told = await Promise.all(hosts.map(async ({ host }) => (await toldOf(one, host))?.bytes));
  return { hosts, told, moved: migrationOf(one, 'web') };
}

async function heldIn(): Promise<unknown> {
  await ledger.state.catchUp({ heavy: false });
  const { leases, clones: running, parked, points } = ledger.vm('web');
  return { leases, running, parked, held: points.leases };
}

const toldIn = async (): Promise<unknown> =>
  structuredClone([await workgroupOf(ledger), await heldIn()]);

test('points stay held, clones and hosts known, and who runs a guest, behind history that goes', async () => {
  await record('web');
  const entry = ledger.vm('web');
  await holdPoint(ledger, { entry, row: ledger.resolve(entry, '@2') }, { kind: 'mount' });
  for (const lease of [CLONE, PARKED]) await startClone(lease);
  await clones({
    _tag: 'ParkClone',
    vm: 'web',
    clone: PARKED,
    as: 'parked',
    at: 1,
    privatePages: 3,
  });
  for (const host of ['one', 'two']) await joinAs(host);
  await tell('one');
  const start = {
    _tag: 'StartMigration',
    ...MOVE,
    from: 'one',
    to: 'two',
    kind: 'live',
  } as const;
  await decideOnMigration(ledger, 'web', start);
  await decideOnMigration(ledger, 'web', { _tag: 'HandOver', ...MOVE });
  await record('db');
  const told = await toldIn();
  await letGo('db');
  expect(ledger.state.catalogue.history!.position).toBe(ledger.vm('db').gone!.position);
  expect(await toldIn()).toEqual(told);
  await ledger.state.rebuild();
  expect(await toldIn()).toEqual(told);
  expect(told).toMatchObject([
    { hosts: [{ host: 'one' }, { host: 'two' }], moved: { phase: 'handedOver' } },
    { leases: [{ capture: 2 }, { lease: CLONE }], parked: [{ clone: PARKED }] },
  ]);
  expect(leasesOf(ledger.vms()).map(({ fate }) => fate)).toEqual(['alive', 'alive']);
  // What is held stays, whoever forgets and compacts without grace.
  await forgetPoints(ledger, KEEP_LAST);
  await compact(ledger, { graceMs: 0, isDryRun: false });
  for (const capture of [2, 3]) {
    const of = { vm: 'web', at: `@${capture}`, folder: folder.path };
    expect((await restored(ledger, of)).equals(IMAGES[capture - 1]!)).toBe(true);
  }
  // A parked clone is woken as one.
  await startClone(WOKEN);
  await clones({ _tag: 'WakeClone', vm: 'web', clone: PARKED, lease: WOKEN });
  expect(ledger.vm('web').parked).toEqual([]);
  await withLedger({ url: 'memory:', mode: 'create' }, async (copy) => {
    await copyLedger({ from: ledger, to: copy });
    expect(await workgroupOf(copy)).toEqual(await workgroupOf(ledger));
    expect(leasesOf(copy.vms())).toEqual([]);
  });
  expect((await verify(ledger, () => undefined)).findings).toEqual([]);
});

test('what hosts told before they told it anew leaves the log, and what they told last stays', async () => {
  const tellings = async (): Promise<unknown> => {
    const rows: unknown[] = [];
    for await (const { items } of ledger.log.read({ from: 0n }))
      for (const item of items)
        if (item._tag === 'event' && item.event.type === 'ContentsAdvertised') {
          const decoded = valueOf(decodeControl(item.event)).data as AdvertisedPart;
          rows.push([decoded.host, decoded.generation]);
        }
    return rows;
  };
  const moves = () => eventsOf(ledger, { type: 'MigrationFailed' });
  for (const host of ['one', 'two', 'left']) await joinAs(host);
  for (let i = 0; i < files.length; i += 1) {
    await recordFiles(ledger, { vm: 'web', files: files.slice(i, i + 1) });
    for (const host of ['one', 'two', 'left']) await tell(host);
    const migration = String(i).repeat(16);
    const start = { ...MOVE, migration, capture: 1, from: 'one', to: 'two', kind: 'live' };
    await decideOnMigration(ledger, 'web', { _tag: 'StartMigration', ...start });
    const why = 'target-gone';
    const failed = { _tag: 'FailMigration', vm: 'web', migration, why, by: 'nothing' } as const;
    await decideOnMigration(ledger, 'web', failed);
  }
  await leaveHost(ledger, 'left');
  await record('db');
  // One of them tells of what came behind that, and the other has told nothing anew.
  await tell('two');
  const told = await workgroupOf(ledger);
  expect(await moves()).toHaveLength(files.length);
  await letGo('db');
  expect(await tellings()).toEqual([
    ['one', files.length],
    ['two', files.length + 1],
  ]);
  expect(await moves()).toEqual([]);
  await ledger.state.rebuild();
  expect(await workgroupOf(ledger)).toEqual(told);
  await withLedger({ url: 'memory:', mode: 'create' }, async (copy) => {
    await copyLedger({ from: ledger, to: copy });
    expect(await workgroupOf(copy)).toEqual(told);
  });
  // And so it goes on: what is told next stands for that.
  await recordFiles(ledger, { vm: 'web', files: files.slice(0, 1) });
  await tell('one');
  await record('db');
  await letGo('db');
  expect(await tellings()).toEqual([
    ['two', files.length + 1],
    ['one', files.length + 1],
  ]);
  expect(await joinAs('left')).toBe(true);
  expect((await verify(ledger, () => undefined)).findings).toEqual([]);
});

test('of a VM that was dropped its name is known on, and not how its guest was started', async () => {
  const argv = ['qemu-system-x86_64', '-m', '128', '-name', 'x'.repeat(64)];
  const memory = new SharedArrayBuffer(IMAGES[0]!.length);
  new Uint8Array(memory).set(IMAGES[0]!);
  const pageCount = memory.byteLength / PAGE_BYTES;
  const captured = {
    image: { file: sharedMemory(memory), offsetBytes: 0, pageCount, zeros: null, label: 'guest' },
    memoryMap: flatMap(pageCount),
    device: null,
    argv,
    timeMs: 0,
    pauseMs: null,
    mode: 'image',
    source: 'guest',
  } as const;
  const recordGuest = async (vm: string): Promise<void> => {
    const recorder = await openRecorder(ledger, { vm, group: null });
    await recorder.record(captured).finally(() => recorder.close());
  };
  for (const vm of ['dropped', 'kept']) await recordGuest(vm);
  await dropVm(ledger, 'dropped');
  await record('db');
  await forgetPoints(ledger, { vm: 'db', ...KEEP_LAST });
  await forgetHistory(ledger, { isDryRun: false });
  await ledger.state.rebuild();
  expect(ledger.vm('kept').argvAt(1)).toEqual(argv);
  expect(ledger.vm('kept').state.argv).toEqual(argv);
  const { state, commandLines, retired } = ledger.vm('dropped');
  expect([state.captures, state.isRetired, retired === null]).toEqual([1, true, false]);
  expect([state.argv, commandLines]).toEqual([null, []]);
  await expect(recordGuest('dropped')).rejects.toMatchObject({
    refusal: { _tag: 'VmRetired' },
  });
  expect((await verify(ledger, () => undefined)).findings).toEqual([]);
});

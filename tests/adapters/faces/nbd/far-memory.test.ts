// Memory that comes from another host: with the key of its group alone where it comes over TCP, never
// otherwise than it is known by, and waited for while nobody gives it.

import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { FarClient } from '../../../../adapters/faces/nbd/far-client.ts';
import { FarMemory, readMaster } from '../../../../adapters/faces/nbd/far-memory.ts';
import { masterExports, servedBytes } from '../../../../adapters/faces/nbd/master-exports.ts';
import { OPTION } from '../../../../adapters/faces/nbd/protocol.ts';
import { serveNbd } from '../../../../adapters/faces/nbd/server.ts';
import { tellServer } from '../../../../adapters/faces/nbd/told-clones.ts';
import type { ListenAddress } from '../../../../adapters/faces/sockets/listen-address.ts';
import type { SocketServer } from '../../../../adapters/faces/sockets/socket-server.ts';
import { pageCheckBy } from '../../../../adapters/wiring/clones/far-point.ts';
import { sealBy, serverKeyOf } from '../../../../adapters/wiring/clones/master-memory.ts';
import type { ToldClone, ToldLook } from '../../../../adapters/wiring/clones/far-clones.ts';
import { createPageEngine } from '../../../../adapters/kernels/engine/page-engine.ts';
import { deriveEngineKeys } from '../../../../adapters/kernels/keys.ts';
import { assert } from '../../../../domain/values/assert.ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { CountingRelay } from '../../../support/clients/counting-relay.ts';
import { CLIENT_FLAGS, goData, optionBytes } from '../../../support/clients/nbd-client.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../support/disks/temporary-folder.ts';

const PAGES = 64;
const GROUP = { group: 'default', key: new Uint8Array(32).fill(7) };
const OTHER = { group: 'default', key: new Uint8Array(32).fill(8) };
const MASTER = { vm: 'web', capture: 3, block: 'pc.ram' };
const DEVICES = Buffer.from('devices');
const NEVER = new AbortController().signal;
const LOOPBACK: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 0 };
const silent = { onAway: () => undefined, onBack: () => undefined };

const memory = Buffer.alloc(PAGES * PAGE_BYTES);
for (let page = 0; page < PAGES; page += 1)
  memory.fill(`page ${page} `, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);

describe('a memory server', () => {
  let folder: TemporaryFolder;
  let identifiers: Uint8Array;
  let server: SocketServer | null = null;
  const failures: string[] = [];
  const clones: (ToldClone | ToldLook)[] = [];
  const at = (name: string): ListenAddress => ({ kind: 'unix', path: join(folder.path, name) });

  /** Serves memory, which may be another than its identifiers say. */
  async function serving(
    address: ListenAddress,
    of: {
      readonly bytes?: Uint8Array;
      readonly isKeyed?: boolean;
      readonly vm?: string;
      readonly sizeBytes?: number;
      /** What is made of the parts after they were sealed. */
      readonly changed?: (part: Uint8Array) => Uint8Array;
      readonly sealedBy?: typeof GROUP;
      /** The master that they are sealed as; absent: the one that is served. */
      readonly sealedAs?: string;
    } = {},
  ): Promise<ListenAddress> {
    const { bytes = memory, isKeyed = false, vm = MASTER.vm, sizeBytes = bytes.length } = of;
    const { changed = (part) => part, sealedBy = GROUP, sealedAs } = of;
    const served = { ...servedBytes(bytes), sizeBytes };
    const sealed = sealBy(sealedBy);
    const parts = { identifiers, devices: DEVICES };
    server = await serveNbd(address, {
      exports: masterExports({
        master: { ...MASTER, vm },
        memory: () =>
          Promise.resolve({
            served,
            history: null,
            name: '',
            description: '',
            isFixed: true,
            isForWriting: true,
            hold: () => Promise.resolve(),
            close: () => undefined,
          }),
        devices: changed(DEVICES),
        identifiers: changed(identifiers),
        seal: (part, master) => sealed(part, sealedAs ?? master, parts[part]),
        told: (clone) => {
          if (clone.holder.host === 'unwelcome')
            return Promise.reject(new LedgerError('PEER_REFUSED', 'too many', {}));
          clones.push(clone);
          return Promise.resolve();
        },
      }),
      ...(isKeyed ? { key: serverKeyOf(GROUP) } : {}),
      onFailure: (message) => failures.push(message),
      onTurnedAway: () => undefined,
    });
    return server.address;
  }
  const stopped = async (): Promise<void> => {
    await server?.close();
    server = null;
  };

  beforeAll(async () => {
    folder = await makeTemporaryFolder();
    const engine = createPageEngine({ threads: 0 });
    await engine.useKeys(deriveEngineKeys(GROUP.key));
    identifiers = engine.identify(memory).identifiers.slice();
  });
  afterEach(stopped);
  afterAll(() => folder.remove());

  test('gives its memory, and all else of the guest, to who has the key, over TCP too', async () => {
    const address = await serving(LOOPBACK, { isKeyed: true });
    const from = { at: address, key: serverKeyOf(GROUP) };
    const far = await FarMemory.open(from, { check: await pageCheckBy(GROUP), waiting: silent });
    expect([far.master, far.sizeBytes]).toEqual([MASTER, memory.length]);
    const parts = Array.from({ length: 8 }, (_, i) => far.read(8 * i, 8, NEVER));
    expect(Buffer.concat(await Promise.all(parts)).equals(memory)).toBe(true);
    far.close();
    expect(await readMaster(from, await pageCheckBy(GROUP))).toMatchObject({
      master: MASTER,
      devices: DEVICES,
    });
  });

  test('gives nothing to who has no key, or another one', async () => {
    const address = await serving(LOOPBACK, { isKeyed: true });
    for (const key of [null, serverKeyOf(OTHER), { ...serverKeyOf(GROUP), identity: 'another' }])
      for (const name of ['memory', 'devices', 'identifiers'])
        await expect(FarClient.open(address, { name, key })).rejects.toMatchObject({
          code: 'PEER_REFUSED',
        });
    expect(failures.join()).toContain('no common key');
  });

  test('without a key is none for who has one: nothing is taken from it', async () => {
    const address = await serving(LOOPBACK);
    const opening = FarClient.open(address, { name: 'memory', key: serverKeyOf(GROUP) });
    await expect(opening).rejects.toMatchObject({ code: 'PEER_REFUSED' });
  });

  test('is told of clones, by names that are what they are to be, and by nobody else', async () => {
    const address = await serving(LOOPBACK, { isKeyed: true });
    const from = { at: address, key: serverKeyOf(GROUP) };
    const holder = { host: 'far', machine: null, boot: 'b', space: 's', process: 7, started: 12 };
    const told = {
      what: 'began',
      kind: 'mapped',
      lease: '0123456789abcdef',
      qmp: '/tmp/q',
      privatePages: null,
      holder,
    } as const;
    await tellServer(from, told);
    await tellServer(from, { ...told, what: 'ended', privatePages: 9 });
    const look = {
      what: 'saw',
      lease: told.lease,
      holder,
      file: '/tmp/base',
      gone: [[0, 0]],
      came: [
        [2, 9],
        [40, 40],
      ],
      own: [],
      dropped: 3,
    } as const;
    await tellServer(from, look);
    const both = [told, { ...told, what: 'ended', privatePages: 9 }, look];
    expect(clones).toEqual(both);
    const unwelcome = { ...told, holder: { ...holder, host: 'unwelcome' } };
    await expect(tellServer(from, unwelcome)).rejects.toThrow(/too many/u);
    for (const wrong of [
      { ...told, lease: 'x' },
      { ...told, what: 'began anew' },
      { ...told, kind: 'woken' },
      { ...told, qmp: 'q'.repeat(256) },
      { ...told, privatePages: -1 },
      { ...told, holder: { ...holder, process: 1.5 } },
      { ...look, gone: '0', came: '2 0', own: '' },
      { ...look, gone: '-1', came: '', own: '' },
      { ...look, gone: [[0, 0]], came: '', own: '' },
      { ...look, gone: '', came: '', own: 'a'.repeat(9) },
      null,
    ])
      await expect(
        FarClient.open(address, { name: `clone/${JSON.stringify(wrong)}`, key: from.key }),
      ).rejects.toThrow(/no export/u);
    await expect(tellServer({ at: address, key: null }, told)).rejects.toMatchObject({
      code: 'PEER_REFUSED',
    });
    expect(clones).toEqual(both);
  });

  test('that claims more memory than hosts have is refused before anything is kept for it', async () => {
    const from = { at: await serving(at('huge'), { sizeBytes: 2 ** 52 }), key: null };
    const check = await pageCheckBy(GROUP);
    for (const opening of [
      readMaster(from, check),
      FarMemory.open(from, { check: null, waiting: silent }),
      FarMemory.open(from, { check, waiting: silent }),
    ])
      await expect(opening).rejects.toThrow(/claims a memory of \d+ bytes/u);
  });

  test.each<[string, Parameters<typeof serving>[1]]>([
    [
      'changed what it gives beside the pages',
      { changed: (part) => Uint8Array.from(part, (byte, i) => (i === 5 ? byte ^ 1 : byte)) },
    ],
    ['sealed that by another key', { sealedBy: OTHER }],
    ['gives what was sealed as that of another point', { sealedAs: 'another@3 pc.ram' }],
  ])('that %s is not believed by who has the key', async (_, of) => {
    const address = await serving(at('unsealed'), of);
    const from = { at: address, key: null };
    const check = await pageCheckBy(GROUP);
    const unsealed = /nobody made who has the key/u;
    await expect(readMaster(from, check)).rejects.toThrow(unsealed);
    await expect(FarMemory.open(from, { check, waiting: silent })).rejects.toThrow(unsealed);
    expect((await readMaster(from, null)).devices.length).toBe(DEVICES.length);
  });

  test('that lies about a page is never believed, and is once it tells the truth', async () => {
    const lie = Buffer.from(memory);
    lie[5 * PAGE_BYTES + 17]! ^= 1;
    await serving(at('lying'), { bytes: lie });
    const told: string[] = [];
    const waiting = {
      onAway: ({ message }: Error) => void told.push(message),
      onBack: () => void told.push('back'),
    };
    const check = await pageCheckBy(GROUP);
    const far = await FarMemory.open({ at: at('lying'), key: null }, { check, waiting });
    expect(Buffer.from(await far.read(6, 9, NEVER))).toEqual(
      memory.subarray(6 * PAGE_BYTES, 15 * PAGE_BYTES),
    );
    const reading = far.read(4, 3, NEVER);
    expect(await Promise.race([reading, pause(100, 'waits')])).toBe('waits');
    await stopped();
    await serving(at('lying'));
    expect(Buffer.from(await reading)).toEqual(memory.subarray(4 * PAGE_BYTES, 7 * PAGE_BYTES));
    expect(told).toEqual([expect.stringContaining('else than page 5 of web@3'), 'back']);
    far.close();
  });

  test('that is away is waited for, however often, and so is one that serves another point', async () => {
    await serving(at('away'));
    const far = await FarMemory.open(
      { at: at('away'), key: null },
      { check: null, waiting: silent },
    );
    for (let round = 0; round < 3; round += 1) {
      await stopped();
      if (round === 1) await serving(at('away'), { vm: 'another' });
      const reading = far.read(round, 2, NEVER);
      expect(await Promise.race([reading, pause(50, 'waits')])).toBe('waits');
      await stopped();
      await serving(at('away'));
      const wanted = memory.subarray(round * PAGE_BYTES, (round + 2) * PAGE_BYTES);
      expect(Buffer.from(await reading)).toEqual(wanted);
    }
    const ending = new AbortController();
    await stopped();
    const reading = far.read(0, 1, ending.signal);
    ending.abort();
    await expect(reading).rejects.toThrow('aborted');
    far.close();
  });

  test('that breaks off in the middle of an answer is asked again, and half of it is never used', async () => {
    await serving(at('whole'));
    const relay = await CountingRelay.open(join(folder.path, 'cut'), join(folder.path, 'whole'));
    const check = await pageCheckBy(GROUP);
    const far = await FarMemory.open({ at: at('cut'), key: null }, { check, waiting: silent });
    // In what it greets with, in what it says of the memory, between pages.
    for (const passed of [11, 60, 9 * PAGE_BYTES]) {
      relay.passedMax = passed;
      const reading = far.read(3, 20, NEVER);
      expect(await Promise.race([reading, pause(100, 'waits')])).toBe('waits');
      relay.passedMax = null;
      const wanted = memory.subarray(3 * PAGE_BYTES, 23 * PAGE_BYTES);
      expect(Buffer.from(await reading).equals(wanted)).toBe(true);
    }
    far.close();
    await relay.close();
  });

  test('serves who has the key while a crowd without it says nothing, breaks off or goes on and on', async () => {
    const address = await serving(LOOPBACK, { isKeyed: true });
    assert(address.kind === 'tcp', 'it listens there');
    const startTls = Buffer.concat([CLIENT_FLAGS, optionBytes(OPTION.startTls)]);
    const said = [
      Buffer.alloc(0),
      startTls,
      startTls.subarray(0, 13),
      Buffer.concat([startTls, Buffer.alloc(2 ** 20, 0x16)]),
      Buffer.concat([CLIENT_FLAGS, optionBytes(OPTION.go, goData('memory'))]),
      Buffer.concat([CLIENT_FLAGS, ...Array(500).fill(optionBytes(OPTION.list))]),
    ];
    const got: Buffer[] = [];
    const crowd = Array.from({ length: 20 * said.length }, (_, i) => {
      const socket = connect(address.port, address.host);
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => got.push(bytes));
      socket.write(said[i % said.length]!);
      return socket;
    });
    await Promise.all(crowd.map((socket) => once(socket, 'data')));
    const from = { at: address, key: serverKeyOf(GROUP) };
    const far = await FarMemory.open(from, { check: await pageCheckBy(GROUP), waiting: silent });
    expect(Buffer.from(await far.read(0, PAGES, NEVER)).equals(memory)).toBe(true);
    far.close();
    for (const socket of crowd) socket.destroy();
    const text = Buffer.concat(got);
    for (const kept of ['page 1 ', MASTER.vm, 'devices']) expect(text.includes(kept)).toBe(false);
    expect(failures.filter((message) => !message.includes('no common key'))).toEqual([]);
  });
});

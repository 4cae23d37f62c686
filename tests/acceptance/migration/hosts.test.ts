// The hosts of a workgroup: who is in it, and what each says of itself.

import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { hardwareHere } from '../../../adapters/guests/hardware.ts';
import { hostsOf, joinHost, leaveHost, openLedger, type Ledger } from '../../../index.ts';
import { LedgerCommands } from '../../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const HARDWARE = { cores: 4, memoryBytes: 2 ** 33, cpu: 'a CPU', features: [], qemu: '7.2.22' };
const request = (host: string) => ({ host, address: null, distances: [], hardware: HARDWARE });

describe('the workgroup', () => {
  let ledger: Ledger;
  beforeEach(async () => {
    ledger = await openLedger({ url: 'memory:', mode: 'create' });
  });
  afterEach(() => ledger.close());

  const names = (): string[] => hostsOf(ledger).map(({ host }) => host);

  test('has the hosts that joined and did not leave', async () => {
    await joinHost(ledger, request('two'));
    await joinHost(ledger, request('one'));
    expect(names()).toEqual(['one', 'two']);
    await leaveHost(ledger, 'two');
    expect(names()).toEqual(['one']);
    await joinHost(ledger, request('two'));
    expect(names()).toEqual(['one', 'two']);
  });

  test('is told once what a host is, and again where that has changed', async () => {
    expect(await joinHost(ledger, request('one'))).toBe(true);
    expect(await joinHost(ledger, request('one'))).toBe(false);
    expect(await joinHost(ledger, { ...request('one'), address: 'tcp:127.0.0.1:7070' })).toBe(true);
    expect(hostsOf(ledger)[0]!.facts).toMatchObject({ ...HARDWARE, address: 'tcp:127.0.0.1:7070' });
  });

  test('refuses to let a host go that is not in it', async () => {
    await expect(leaveHost(ledger, 'one')).rejects.toMatchObject({
      refusal: { _tag: 'HostUnknown', host: 'one' },
    });
  });
});

test('a host says of its hardware what the system does', async () => {
  const { cores, memoryBytes, features, qemu } = await hardwareHere();
  expect(cores).toBe(availableParallelism());
  expect(memoryBytes).toBeGreaterThan(0);
  expect(features).toEqual(features.toSorted());
  expect(qemu ?? '7.2').toMatch(/^\d+\.\d+/u);
});

describe('the command line', () => {
  let folder: TemporaryFolder;
  beforeEach(async () => {
    folder = await makeTemporaryFolder();
  });
  afterEach(() => folder.remove());

  test('joins, lists and leaves', async () => {
    const ledger = new LedgerCommands(`${folder.path}/ledger`);
    await ledger.json('init');
    expect(await ledger.errorOf('host', 'join', '--address', 'nowhere')).toEqual([2, 'BAD_USAGE']);
    await ledger.json('host', 'join', '--host', 'one', '--distance', 'two=3');
    expect(await ledger.json('host', 'list')).toEqual([
      expect.objectContaining({
        host: 'one',
        address: null,
        distances: [{ host: 'two', distance: 3 }],
        regions: null,
      }),
    ]);
    await ledger.json('host', 'leave', '--host', 'one');
    expect(await ledger.json('host', 'list')).toEqual([]);
    expect(await ledger.errorOf('host', 'leave', '--host', 'one')).toEqual([5, 'HOST_UNKNOWN']);
  });

  test('tells no more once it is interrupted, also while it tells', async () => {
    const ledger = new LedgerCommands(`${folder.path}/ledger`);
    await ledger.json('init');
    await ledger.json('host', 'join', '--host', 'one');
    const silent = `${folder.path}/silent`;
    const peer = createServer().listen(silent);
    const reached = once(peer, 'connection') as Promise<[Socket]>;
    const listen = ['--listen', `unix:${folder.path}/one`, '--host', 'one'];
    const telling = ['--advertise-every', '1h', '--peer', `unix:${silent}`];
    const serving = ledger.start(['host', 'serve', ...listen, ...telling, ...telling.slice(2)]);
    try {
      const [told] = await reached;
      serving.signal('SIGINT');
      // Until the handler of the signal has run nobody knows of it.
      await ledger.json('host', 'list');
      told.destroy();
      expect((await serving.ended).stderr).toMatch(/was not told/u);
    } finally {
      serving.signal('SIGKILL');
      peer.close();
    }
  });
});

// Points that are served while the object store with their pages is away: whoever reads waits, is told
// of no failure, and reads on when it is there again.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Exports } from '../../../adapters/faces/nbd/exports.ts';
import { COMMAND } from '../../../adapters/faces/nbd/protocol.ts';
import { serveNbd } from '../../../adapters/faces/nbd/server.ts';
import type { SocketServer } from '../../../adapters/faces/sockets/socket-server.ts';
import { openLedger, type Ledger } from '../../../index.ts';
import { makeImage } from '../../support/images.ts';
import { NbdClient } from '../../support/clients/nbd-client.ts';
import { recordFiles, writeImages } from '../../support/ledgers/recorded-images.ts';
import { startGate, type Gate, type GateState } from '../../support/s3-server/gate.ts';
import { describeWithS3, S3_TIMEOUT_MS } from '../../support/s3-server/s3-server.ts';
import { startSharedWorld, type SharedWorld } from '../../support/ledgers/shared-world.ts';

const OUTAGES = ['busy', 'gone'] as const satisfies readonly GateState[];
const MIX = { zero: 0, text: 0, random: 1, repeated: 0, duplicate: 0 };
const PAGES = 64;

describeWithS3('points whose object store is away', () => {
  let world: SharedWorld;
  let gate: Gate;
  let ledger: Ledger;
  let server: SocketServer;
  const path = (): string => join(world.folder, 'nbd.sock');
  const images = OUTAGES.map((_, seed) => makeImage({ seed, pages: PAGES, mix: MIX }));
  const told: string[] = [];
  const failures: string[] = [];

  beforeAll(async () => {
    world = await startSharedWorld('double');
    gate = await startGate(world.s3.endpoint);
    const pageStore = world.pageStore.replace(world.s3.endpoint, gate.endpoint);
    const open = (host: string, mode: 'create' | 'use'): Promise<Ledger> =>
      openLedger({ ...world.host(host).options, pageStore, mode, threads: 0, patienceMs: 200 });
    const recorder = await open('recorder', 'create');
    const files = writeImages({ folder: world.folder, name: 'image', images });
    await recordFiles(recorder, { vm: 'web', files });
    await recorder.close();
    // Which has no page of them yet.
    ledger = await open('reader', 'use');
    const exports = new Exports({
      ledger,
      vm: null,
      listed: 'named',
      use: { kind: 'server', restored: { how: 'nbd' } },
      waiting: { onAway: ({ code }) => told.push(code), onBack: () => told.push('back') },
    });
    const ways = {
      exports,
      onFailure: (message: string) => failures.push(message),
      onTurnedAway: () => undefined,
    };
    server = await serveNbd({ kind: 'unix', path: path() }, ways);
  }, S3_TIMEOUT_MS);
  afterAll(async () => {
    await server.close();
    await ledger.close();
    await gate.close();
    await world.remove();
  }, S3_TIMEOUT_MS);

  test.each(OUTAGES.map((state, i) => [state, i] as const))(
    'are read late and whole where it is %s',
    async (state, i) => {
      told.length = 0;
      const client = await NbdClient.opened(path(), `web/@${i + 1}`);
      await gate.set(state);
      let isAnswered = false;
      const reading = async () => {
        const answer = await client.do({ command: COMMAND.read, lengthBytes: images[i]!.length });
        isAnswered = true;
        return answer;
      };
      const read = reading();
      while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      // As long as it takes: beyond the patience of a single request, again and again.
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      expect([isAnswered, told]).toEqual([false, ['STORE_UNREACHABLE']]);
      await gate.set('open');
      const { bytes, error } = await read;
      expect([error, bytes.equals(images[i]!)]).toEqual([0, true]);
      expect([told, failures]).toEqual([['STORE_UNREACHABLE', 'back'], []]);
      client.close();
    },
    S3_TIMEOUT_MS,
  );
});

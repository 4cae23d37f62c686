// What keeps a way to a guest's QEMU, beside a QEMU that a test plays: whoever comes later is answered
// through it, and nothing of it is left when it is ended, however early.

import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  askKeeper,
  connectionToKeep,
  endKeeper,
  startKeeper,
  type Keeper,
} from '../../../../../adapters/guests/qemu/postcopy/keeper.ts';
import { MONITOR_SOCKET } from '../../../../../adapters/guests/qemu/postcopy/sockets.ts';
import {
  makeTemporaryFolder,
  type TemporaryFolder,
} from '../../../../support/disks/temporary-folder.ts';
import {
  answer,
  GREETING,
  greeting,
  serveFakeQmp,
  type FakeQmp,
} from '../../../../support/guest/fake-qmp.ts';

const URI = 'unix:/nowhere/migration.sock';
const PAUSED = 'Migrate recover can only be run when postcopy is paused.';
const EVENT = '{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}\r\n';

const keeperBeside = async (qmpPath: string): Promise<Keeper> =>
  startKeeper(qmpPath, await connectionToKeep(qmpPath));

describe('the keeper of a way to QEMU', () => {
  let folder: TemporaryFolder;
  let qmpPath: string;
  let qemu: FakeQmp | null = null;

  beforeEach(async () => {
    folder = await makeTemporaryFolder();
    qmpPath = join(folder.path, 'qmp.sock');
  });
  afterEach(async () => {
    await qemu?.close();
    qemu = null;
    await folder.remove();
  });

  /** Waits until whoever asks a keeper is answered. */
  async function answered(): Promise<string> {
    for (;;) {
      const said = await askKeeper(qmpPath, URI);
      if (said !== null) return said;
    }
  }

  /** A QEMU that says events, and takes back a guest the second time that it is asked. */
  async function playQemu(): Promise<void> {
    let times = 0;
    qemu = await serveFakeQmp(
      join(folder.path, MONITOR_SOCKET),
      greeting((command, socket) => {
        socket.write(EVENT.repeat(20));
        times += 1;
        if (times > 1) answer(socket, command, {});
        else socket.write(`${JSON.stringify({ id: command.id, error: { desc: PAUSED } })}\r\n`);
      }),
    );
  }

  test('passes on what QEMU is asked and answers, for one after the other, past events', async () => {
    await playQemu();
    const keeper = await keeperBeside(qmpPath);
    expect(await answered()).toBe(PAUSED);
    expect(await answered()).toBe('');
    // Somebody else, who has not started it, ends it as well.
    const ended = new Promise((resolve) => {
      keeper!.ref();
      keeper!.once('exit', resolve);
    });
    await endKeeper(qmpPath, null);
    await ended;
    expect(await askKeeper(qmpPath, URI)).toBeNull();
  });

  test('ends also where it has only been started', async () => {
    await playQemu();
    const keeper = await keeperBeside(qmpPath);
    await endKeeper(qmpPath, keeper);
    expect(keeper!.signalCode).toBe('SIGTERM');
    expect(await askKeeper(qmpPath, URI)).toBeNull();
    // It has ended: that is no failure.
    await endKeeper(qmpPath, keeper);
  });

  test('comes in the place of one that was killed, and ends with QEMU', async () => {
    await playQemu();
    const killed = await keeperBeside(qmpPath);
    expect(await answered()).toBe(PAUSED);
    process.kill(-killed!.pid!, 'SIGKILL');
    const keeper = await keeperBeside(qmpPath);
    expect(await answered()).toBe('');
    const ended = new Promise((resolve) => {
      keeper!.ref();
      keeper!.once('exit', resolve);
    });
    await qemu!.close();
    await ended;
    expect(await askKeeper(qmpPath, URI)).toBeNull();
  });

  test('is none where QEMU takes nothing out of band, is not there, or ends', async () => {
    expect(await keeperBeside(qmpPath)).toBeNull();
    const refuses = join(folder.path, 'refuses');
    mkdirSync(refuses);
    qemu = await serveFakeQmp(join(refuses, MONITOR_SOCKET), (socket) => {
      socket.write(GREETING);
      socket.once('data', () =>
        socket.write('{"id": "ready", "error": {"class": "GenericError", "desc": "no"}}\r\n'),
      );
    });
    expect(await keeperBeside(join(refuses, 'qmp.sock'))).toBeNull();
    expect(readdirSync(refuses)).toEqual([MONITOR_SOCKET]);
    await qemu.close();
    qemu = await serveFakeQmp(join(folder.path, MONITOR_SOCKET), (socket) => socket.destroy());
    expect(await keeperBeside(qmpPath)).toBeNull();
  });
});

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LoopbackSocket } from '../../../../adapters/guests/qemu/loopback-socket.ts';

/** Waits for a port on its standard input, connects, and says something. */
const CALLER = `
  process.stdin.on('data', (port) => {
    const socket = require('node:net').connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('mine');
  });
`;

describe('a port that one process is let in by', () => {
  let caller: ChildProcess;
  let listening: LoopbackSocket;
  let port: number;
  let taken: Promise<Socket>;

  beforeEach(async () => {
    caller = spawn(process.execPath, ['-e', CALLER], { stdio: ['pipe', 'ignore', 'ignore'] });
    listening = await LoopbackSocket.listen(caller.pid!);
    ({ port } = listening);
    taken = new Promise((resolve) => {
      listening.onConnection(resolve);
    });
  });
  afterEach(() => {
    listening.close();
    caller.kill('SIGKILL');
  });

  const call = (): unknown => caller.stdin!.write(`${port}\n`);
  async function heardOf(socket: Socket): Promise<string> {
    const [said] = (await once(socket.resume(), 'data')) as [Buffer];
    socket.destroy();
    return String(said);
  }

  test('takes its connection', async () => {
    call();
    expect(await heardOf(await taken)).toBe('mine');
  });

  test('closes what anybody else connects, and takes its own afterwards', async () => {
    const closed = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')].map(
      (other) =>
        new Promise((resolve) => {
          other.on('error', () => undefined).on('close', resolve);
          other.write('forged');
        }),
    );
    await Promise.all(closed);
    call();
    expect(await heardOf(await taken)).toBe('mine');
  });

  test('takes one connection only', async () => {
    call();
    (await taken).destroy();
    const late = connect(port, '127.0.0.1');
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
  });
});

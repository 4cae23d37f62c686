// A QEMU that stands at its first instruction, started as somebody starts one: only its process id's
// file and its standing still are ours.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { delay } from '../../../adapters/guests/qemu/migration-control.ts';
import { connectQmp, type QmpClient } from '../../../adapters/guests/qemu/qmp-client.ts';

export interface StillGuestOptions {
  readonly qemu: string;
  readonly folder: string;
  /** Words behind the program's; `QMP` in them stands for the path of the control socket. */
  readonly words: readonly string[];
}

/** Works with a QEMU through its control socket. */
export async function withQmp<A>(path: string, work: (qmp: QmpClient) => Promise<A>): Promise<A> {
  const qmp = await connectQmp({ path, connectTimeoutMs: 60_000 });
  try {
    return await work(qmp);
  } finally {
    qmp.close();
  }
}

/** Whether somebody takes connections there: QEMU binds a socket, which is seen, a moment before it listens. */
const isListening = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path);
    const tell = (is: boolean) => (): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', tell(true)).once('error', tell(false));
  });

export class StillGuest {
  readonly qmpPath: string;
  readonly #pidPath: string;

  private constructor(qmpPath: string, pidPath: string) {
    this.qmpPath = qmpPath;
    this.#pidPath = pidPath;
  }

  /** Starts one; resolves when it can be reached. */
  static async start({ qemu, folder, words }: StillGuestOptions): Promise<StillGuest> {
    const qmpPath = join(folder, 'still.qmp');
    const pidPath = join(folder, 'still.pid');
    for (const path of [qmpPath, pidPath]) rmSync(path, { force: true });
    const named = words.map((word) => word.replaceAll('QMP', qmpPath));
    const process = spawn(qemu, [...named, '-S', '-pidfile', pidPath], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    process.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    while (!existsSync(pidPath) || !(await isListening(qmpPath))) {
      const isGone = process.exitCode !== null && process.exitCode !== 0;
      if (isGone || process.signalCode !== null)
        throw new TypeError(`QEMU does not start: ${said}`);
      await delay(10);
    }
    return new StillGuest(qmpPath, pidPath);
  }

  /** Ends it; resolves when it has gone. */
  async kill(): Promise<void> {
    const pid = readFileSync(this.#pidPath, 'utf8').trim();
    process.kill(Number(pid), 'SIGKILL');
    while (existsSync(`/proc/${pid}/exe`)) await delay(10);
  }
}

// A process of its own that holds a point of a ledger until it is told to let go, or is killed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LeaseKind } from '../../../index.ts';

const LIBRARY = fileURLToPath(new URL('../../../index.js', import.meta.url));

const SCRIPT = `
const { holdPoint, openLedger } = await import(process.argv[1]);
const [url, vm, at, kind] = process.argv.slice(2);
const ledger = await openLedger({ url, mode: 'use', threads: 0 });
const entry = ledger.vm(vm);
const held = await holdPoint(ledger, { entry, row: ledger.resolve(entry, at) }, { kind });
process.stdout.write(held.id + '\\n');
process.stdin.resume().once('end', async () => {
  await held.release();
  await ledger.close();
});
`;

export interface HoldingProcess {
  readonly id: string;
  readonly processId: number;
  /** Lets it release the point, and waits for its end. */
  release(): Promise<void>;
  /** Kills it before it can release anything. */
  kill(): Promise<void>;
}

/** Starts a process that holds a point, once it does. */
export async function holdInProcess(of: {
  readonly url: string;
  readonly vm: string;
  readonly at: string;
  readonly kind: LeaseKind;
}): Promise<HoldingProcess> {
  const words = ['--input-type=module', '-e', SCRIPT, LIBRARY, of.url, of.vm, of.at, of.kind];
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const [line] = (await Promise.race([once(child.stdout, 'data'), ended])) as unknown[];
  if (!Buffer.isBuffer(line)) throw new TypeError('the process ended before it held the point');
  return {
    id: line.toString().trim(),
    processId: child.pid!,
    async release() {
      child.stdin.end();
      await ended;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

// A process of its own that parks a clone, and is killed at a step of that.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * `captured`: what the clone has of its own was read, and nothing is in the ledger. `recorded`: its capture
 * is committed, and it may go on. `standing`: it stands for good, which nobody was told. `said`: the ledger
 * has it as parked, and its process has not ended.
 */
export const PARKING_STEPS = ['captured', 'recorded', 'standing', 'said'] as const;
export type ParkingStep = (typeof PARKING_STEPS)[number];

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const SCRIPT = `
const [root, url, id, step] = process.argv.slice(1);
const { LIVE_GUESTS } = await import(root + 'adapters/guests/sources.js');
const { cloneNamed, parkClone, parkedAs } = await import(
  root + 'adapters/wiring/clones/parking.js'
);
const { openLedger } = await import(root + 'index.js');
const dieAt = async (reached) => {
  if (reached !== step) return;
  process.stdout.write(reached);
  process.kill(process.pid, 'SIGKILL');
  await new Promise(() => undefined);
};
const parked = LIVE_GUESTS.parked;
LIVE_GUESTS.parked = (request) => async () => {
  const found = await parked(request)();
  const guest = found.right;
  const { stand, quit } = guest;
  guest.stand = async () => {
    await dieAt('recorded');
    await stand();
    await dieAt('standing');
  };
  guest.quit = async () => {
    await dieAt('said');
    await quit();
  };
  await dieAt('captured');
  return found;
};
const ledger = await openLedger({ url, mode: 'write', threads: 0 });
const clone = cloneNamed(ledger, id);
await parkClone(ledger, clone, { as: parkedAs(clone), onWarning: () => undefined });
`;

/** Parks a clone of a ledger until that step, where it is killed. */
export async function parkUntil(
  step: ParkingStep,
  { url, id }: { readonly url: string; readonly id: string },
): Promise<void> {
  const words = ['--input-type=module', '-e', SCRIPT, ROOT, url, id, step];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (said !== step || signal !== 'SIGKILL')
    throw new TypeError(`parking ended with ${signal ?? code} before it was ${step}`);
}

// A private folder that ends with the process that made it, however that ends: what a process leaves
// that was killed, the next one removes that makes one. In the folder lies who holds it.

import { lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRight } from 'fp-ts/lib/Either.js';
import { holder } from '../../domain/events/control-codecs.ts';
import { fateOf } from '../../domain/values/lease.ts';
import { lookUp, thisHolder, thisHost } from '../files/processes.ts';
import { PrivateFolder } from './private-folder.ts';

const NAME_START = 'pageledger-held-';
const HOLDER_FILE = 'holder.json';
const HOLDER_BYTES_MAX = 4096;
const OWNERS_OWN = 0o600;
/** Places whose names any client takes as one word, with room for a socket's name behind them. */
const FITTING = /^[\w/.-]{1,63}$/u;

/** Where such folders are made: clients take others of its names apart. */
const heldPlace = (): string => (FITTING.test(tmpdir()) ? tmpdir() : '/tmp');

/** Whether a folder is ours and was left by a process that is known to have ended. */
function isLeft(path: string): boolean {
  try {
    const found = lstatSync(path);
    // What is somebody else's is theirs, whatever it says.
    if (!found.isDirectory() || found.uid !== process.getuid?.()) return false;
    const file = join(path, HOLDER_FILE);
    if (lstatSync(file).size > HOLDER_BYTES_MAX) return false;
    const said = holder.decode(JSON.parse(readFileSync(file, 'utf8')));
    return isRight(said) && fateOf(said.right, thisHost(), lookUp) === 'dead';
  } catch {
    return false;
  }
}

/** Removes what processes left that were killed; the place. What cannot be removed stays. */
function swept(place: string): string {
  try {
    for (const name of readdirSync(place)) {
      const path = join(place, name);
      if (name.startsWith(NAME_START) && isLeft(path))
        rmSync(path, { recursive: true, force: true });
    }
  } catch {
    // Whoever makes a folder there hears why that cannot be.
  }
  return place;
}

/** A private folder of this process. */
export class HeldFolder extends PrivateFolder {
  readonly #removeNow = (): void => super.remove();

  /** `within`: where it is made; absent: where temporary files are. */
  constructor(within = heldPlace()) {
    super({ within: swept(within), nameStart: NAME_START });
    // A guest's memory may lie here.
    process.once('exit', this.#removeNow);
    const said = JSON.stringify(holder.encode(thisHolder()));
    writeFileSync(join(this.path, HOLDER_FILE), said, { mode: OWNERS_OWN });
  }

  override remove(): void {
    process.off('exit', this.#removeNow);
    super.remove();
  }
}

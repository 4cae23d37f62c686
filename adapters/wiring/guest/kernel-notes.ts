// Where in a VM's memory kernels tell of themselves: looked for in all pages once, then in those that
// changed. Kept as derived state: `guests/VM/notes`, JSON.

import * as t from 'io-ts';
import { decodeState, StateUnfit } from '../../../projections/models/state-bytes.ts';
import { guestStateName } from './guest-state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { PointMemory } from './point-memory.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

const VERSION = 2;
/** Captures that are remembered: those that questions go back and forth between. */
const LOOKED_MAX = 8;

/** A capture that was looked through, its commit, and the frames that may tell of a kernel. */
const Looked = t.strict({ capture: t.number, commit: t.string, frames: t.array(t.number) });
type Looked = t.TypeOf<typeof Looked>;

/** Captures that were looked through, the one that was last at the end. */
const Notes = t.strict({ version: t.literal(VERSION), looked: t.array(Looked) });

export class KernelNotes {
  readonly #ledger: Ledger;
  readonly #point: VmPoint;

  constructor(ledger: Ledger, point: VmPoint) {
    this.#ledger = ledger;
    this.#point = point;
  }

  get #name(): string {
    return guestStateName(this.#point.entry.vm, 'notes');
  }

  async #kept(): Promise<readonly Looked[]> {
    const bytes = await this.#ledger.stateFiles.load(this.#name);
    if (bytes === null) return [];
    try {
      return decodeState(new TextDecoder().decode(bytes), Notes).looked;
    } catch (thrown) {
      if (thrown instanceof StateUnfit) return [];
      throw thrown;
    }
  }

  /** Of captures that were looked through, the nearest one that is still there. */
  #nearest(kept: readonly Looked[]): Looked | null {
    const { entry, row } = this.#point;
    const apart = ({ capture }: Looked): number => Math.abs(capture - row.capture);
    const [nearest] = kept
      .filter(({ capture, commit }) => {
        const isSame = entry.capture(capture)?.id === commit;
        return isSame && !entry.isForgotten(capture);
      })
      .toSorted((a, b) => apart(a) - apart(b));
    return nearest ?? null;
  }

  /** What a capture's pages hold. */
  #tableOf({ capture }: Looked): Promise<Uint32Array> {
    const { entry } = this.#point;
    const { tables, contents } = this.#ledger.state;
    return tables.at(entry, contents, entry.capture(capture)!);
  }

  /** Whether this capture was looked through. */
  async haveThis(): Promise<boolean> {
    return (await this.#kept()).some(({ commit }) => commit === this.#point.row.id);
  }

  /** Frames that told of a kernel, or may have, where captures were looked through before. */
  async known(): Promise<readonly number[]> {
    return [...new Set((await this.#kept()).flatMap(({ frames }) => frames))];
  }

  /** Frames that may tell of a kernel, ascending. */
  async in(memory: PointMemory): Promise<readonly number[]> {
    const kept = await this.#kept();
    const { row } = this.#point;
    const same = kept.find(({ commit }) => commit === row.id);
    if (same !== undefined) return same.frames;
    const nearest = this.#nearest(kept);
    const earlier = nearest === null ? null : await this.#tableOf(nearest);
    const found = await memory.noteFrames(earlier);
    const frames = [...new Set([...(nearest?.frames ?? []), ...found])].toSorted((a, b) => a - b);
    const looked = [...kept, { capture: row.capture, commit: row.id, frames }].slice(-LOOKED_MAX);
    const bytes = new TextEncoder().encode(JSON.stringify({ version: VERSION, looked }));
    await this.#ledger.stateFiles.save(this.#name, bytes);
    return frames;
  }
}

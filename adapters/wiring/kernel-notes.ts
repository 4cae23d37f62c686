// Where in a VM's memory kernels tell of themselves: looked for in all pages once, then in those that
// changed. Kept as derived state: `guests/VM/notes`, JSON.

import * as t from 'io-ts';
import { decodeState, StateUnfit } from '../../projections/models/state-bytes.ts';
import { guestStateName } from './guest-state.ts';
import type { Ledger } from './ledger.ts';
import type { PointMemory } from './point-memory.ts';
import type { VmPoint } from './vm-point.ts';

const VERSION = 1;

const Notes = t.strict({
  version: t.literal(VERSION),
  /** The capture that was looked through, and its commit. */
  capture: t.number,
  commit: t.string,
  frames: t.array(t.number),
});
type Notes = t.TypeOf<typeof Notes>;

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

  async #kept(): Promise<Notes | null> {
    const bytes = await this.#ledger.stateFiles.load(this.#name);
    if (bytes === null) return null;
    try {
      return decodeState(new TextDecoder().decode(bytes), Notes);
    } catch (thrown) {
      if (thrown instanceof StateUnfit) return null;
      throw thrown;
    }
  }

  /** The table of the capture that was looked through; null: there is none any more. */
  async #tableOf({ capture, commit }: Notes): Promise<Uint32Array | null> {
    const { entry } = this.#point;
    const row = entry.capture(capture);
    if (row === undefined || row.id !== commit || entry.isForgotten(capture)) return null;
    const { tables, contents } = this.#ledger.state;
    return tables.at(entry, contents, row);
  }

  /** Frames that told of a kernel, or may have, where a capture was looked through before. */
  async known(): Promise<readonly number[]> {
    return (await this.#kept())?.frames ?? [];
  }

  /** Frames that may tell of a kernel, ascending. */
  async in(memory: PointMemory): Promise<readonly number[]> {
    const kept = await this.#kept();
    const { row } = this.#point;
    if (kept?.commit === row.id) return kept.frames;
    const earlier = kept === null ? null : await this.#tableOf(kept);
    const known = kept === null || earlier === null ? [] : kept.frames;
    const found = await memory.noteFrames(earlier);
    const frames = [...new Set([...known, ...found])];
    const ascending = frames.toSorted((a, b) => a - b);
    const notes = {
      version: VERSION,
      capture: row.capture,
      commit: row.id,
      frames: ascending,
    };
    const bytes = new TextEncoder().encode(JSON.stringify(notes));
    await this.#ledger.stateFiles.save(this.#name, bytes);
    return ascending;
  }
}

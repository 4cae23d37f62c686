// A projection's state and where in the log it stands, as it is kept between runs. It is bound to the
// projection's name and version, to the ledger, to the last event read and to how contents are numbered: whatever does not fit is not there, and the log is folded from its start.

import * as t from 'io-ts';
import { assert } from '../../domain/values/assert.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { isName } from '../../domain/events/streams.ts';
import { decodeState, StateReader, StateUnfit, StateWriter } from '../models/state-bytes.ts';
import { position } from '../models/capture-codecs.ts';
import { assemblerState } from '../models/catalogue-state.ts';
import { rowsOf, type AssemblerState, type CaptureChange, type Change } from '../commits.ts';
import { stateBytes, stateOf } from '../models/half.ts';
import { foldedKinds } from '../models/folded-kinds.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { holdingsOf } from '../table.ts';
import type { Folded, Projection } from '../projection.ts';

const FORMAT = 2;
/** Page events folded since the state was kept, after which it is kept again. */
const SAVE_ROWS = 1_000_000;

const orNull = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);
const HEAD = t.strict({
  ledger: t.string,
  name: t.string,
  version: t.number,
  from: assemblerState,
  applied: orNull(position),
  timeMs: t.number,
  /** Of the ledger's contents: their numbers stand in states. */
  packs: t.number,
  numbering: position,
});

export interface ProjectedPorts {
  /** The ledger's id; null where it is not known: then nothing is kept. */
  readonly ledger: string | null;
  readonly files: StateFiles;
  readonly state: LedgerState;
}

/** A state and the change it is after. */
export interface Projected<S> {
  readonly position: Position;
  readonly timeMs: number;
  /** Valid until the next one is asked for: a projection may change it in place. */
  readonly state: S;
}

const fileOf = (projection: Projection<unknown>): string =>
  `projected/${projection.name}/${projection.version}`;

const isThenable = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  'then' in value &&
  typeof value.then === 'function';

export class ProjectedState<S> {
  readonly #ports: ProjectedPorts;
  readonly #projection: Projection<S>;
  readonly #folded: Folded;
  #state: S;
  #from: AssemblerState;
  /** Changes up to here are in the state, also those that come after `#from`. */
  #applied: Position | null = null;
  #timeMs = 0;
  #unsavedRows = 0;
  #isSaved = true;
  /**
   * Neither what damage left is kept (a log that is put back from a copy is folded anew), nor what a
   * projection left that failed.
   */
  #isSound = true;

  constructor(ports: ProjectedPorts, projection: Projection<S>) {
    assert(isName(projection.name), `a projection is named as a VM is, not ${projection.name}`);
    assert(
      Number.isSafeInteger(projection.version) && projection.version >= 0,
      `the version of the projection ${projection.name} is a whole number from 0`,
    );
    const isWhole = (projection.save === undefined) === (projection.load === undefined);
    assert(isWhole, `the projection ${projection.name} has both save and load, or none`);
    this.#ports = ports;
    this.#projection = projection;
    this.#state = projection.initial();
    const { state } = ports;
    this.#from = state.start;
    this.#folded = {
      kinds: (change, columns) => foldedKinds(state, change, columns),
      holdings: (columns) => holdingsOf(state.contents, columns),
      rewritten: ({ name }) => state.contents.rewritten(name)?.holdings ?? new Uint32Array(0),
      isHeldLarge: (holding) => state.contents.held.isLarge(holding),
    };
  }

  /** Where the log is read on from. */
  get from(): AssemblerState {
    return this.#from;
  }

  /** Whether nothing was folded yet. */
  get isAnew(): boolean {
    return this.#applied === null && this.#from === this.#ports.state.start;
  }

  /** The state as it is now; null before the first change. */
  get projected(): Projected<S> | null {
    if (this.#applied === null) return null;
    return { position: this.#applied, timeMs: this.#timeMs, state: this.#state };
  }

  /** Takes up the kept state, if it is one of this log. The ledger's own state is at the log's head. */
  async load(): Promise<void> {
    const bytes = await this.#ports.files.load(fileOf(this.#projection));
    if (bytes === null) return;
    try {
      const reader = new StateReader(bytes);
      if (reader.u32() !== FORMAT) return;
      const head = decodeState(reader.text(), HEAD);
      const { name, version } = this.#projection;
      const { ledger } = this.#ports;
      if (head.name !== name || head.version !== version || head.ledger !== ledger) return;
      const { state } = this.#ports;
      // What lies before history was folded of events that are not there any more.
      if (head.from.next < state.start.next) return;
      if (head.from.next > state.next || !(await state.isInLog(head.from))) return;
      if (state.contents.numbering(head.packs) !== head.numbering) return;
      this.#state = stateOf(this.#projection, reader.column());
      this.#from = head.from;
      this.#applied = head.applied;
      this.#timeMs = head.timeMs;
    } catch (thrown) {
      if (!(thrown instanceof StateUnfit)) throw thrown;
    }
  }

  /** Folds a change that the ledger's own state has come past; null for one that is folded already. */
  apply(change: Change): Projected<S> | null {
    const isDamage = change._tag === 'damage';
    // Damage bears the place where records are missing, which may lie before what was folded since.
    if (!isDamage && this.#applied !== null && change.position <= this.#applied) return null;
    const isSound = this.#isSound && !isDamage;
    this.#isSound = false;
    const next = this.#folding(change);
    if (next !== undefined) this.#state = next;
    this.#isSound = isSound;
    this.#isSaved = false;
    if (this.#applied === null || change.position > this.#applied) this.#applied = change.position;
    if (change._tag === 'control' || change._tag === 'baseline') this.#timeMs = change.timeMs;
    if (change._tag === 'capture') this.#note(change);
    return this.projected;
  }

  /** What the projection makes of a change; a failure there is its author's, and says so. */
  #folding(change: Change): S | void {
    const { name } = this.#projection;
    const at = { projection: name, position: change.position };
    let next: S | void;
    try {
      next = this.#projection.apply(this.#state, change, this.#folded);
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new LedgerError(
        'PROJECTION_FAILED',
        `the projection ${name} failed at position ${change.position}: ${why}; its state is as it was kept last: mend it and follow on`,
        at,
        thrown,
      );
    }
    if (!isThenable(next)) return next;
    throw new LedgerError(
      'PROJECTION_FAILED',
      `the projection ${name} gave a promise at position ${change.position}, and a state or nothing was expected: apply is not asynchronous; do what takes time in who follows its states`,
      at,
    );
  }

  #note(change: CaptureChange): void {
    this.#timeMs = change.committed.timeMs;
    if (change.damage !== null) this.#isSound = false;
    this.#unsavedRows += rowsOf(change);
  }

  /** All changes before this place are folded. */
  reach(from: AssemblerState): void {
    if (from.next === this.#from.next) return;
    this.#from = from;
    this.#isSaved = false;
  }

  /** Whether so much was folded that the state is better kept now. */
  get isWorthSaving(): boolean {
    return this.#unsavedRows >= SAVE_ROWS;
  }

  /** Keeps the state, if it is news. */
  async save(): Promise<void> {
    const { ledger } = this.#ports;
    if (ledger === null || this.#isSaved || !this.#isSound) return;
    const { name, version } = this.#projection;
    const { contents } = this.#ports.state;
    const packs = contents.written;
    const head = HEAD.encode({
      ledger,
      name,
      version,
      from: this.#from,
      applied: this.#applied,
      timeMs: this.#timeMs,
      packs,
      numbering: contents.numbering(packs)!,
    });
    const writer = new StateWriter().u32(FORMAT).text(JSON.stringify(head));
    writer.column(stateBytes(this.#projection, this.#state));
    await this.#ports.files.save(fileOf(this.#projection), writer.bytes());
    this.#isSaved = true;
    this.#unsavedRows = 0;
  }
}

// The models of the fold come in two halves (fold.ts): this is where one stands, and its state file.
// All models of a half are in one file, each with its name, version and bytes, behind what they are
// bound to: one that misses, or that is of another version, makes the half be folded anew.

import { isLedgerError } from '../../domain/values/ledger-error.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { Projection } from '../projection.ts';
import { LOG_START, type AssemblerState } from '../commits.ts';
import { assemblerState } from './catalogue-state.ts';
import { decodeState, StateUnfit, StateReader, StateWriter } from './state-bytes.ts';

const FORMAT = 5;

/** Where a half stands. */
export interface Half {
  /** Where folding goes on. */
  from: AssemblerState;
  /** Changes up to here are folded already. */
  applied: Position;
}

/** Nothing is folded yet. */
export const START_HALF = (): Half => ({ from: LOG_START, applied: -1n });

/** How contents are numbered, which states speak of by their numbers. */
export interface Numbering {
  readonly packs: number;
  readonly numbering: bigint;
}

/** A model of a half with its state. */
export interface Modelled {
  readonly model: Projection<unknown, never, unknown>;
  readonly state: unknown;
}

/** The bytes of a half's state file. */
export function halfBytes(half: Half, of: Numbering, models: readonly Modelled[]): Uint8Array {
  const from = assemblerState.encode(half.from);
  const writer = new StateWriter()
    .u32(FORMAT)
    .text(JSON.stringify(from))
    .u64(half.applied + 1n)
    .u32(of.packs)
    .u64(of.numbering)
    .u32(models.length);
  for (const { model, state } of models)
    writer.text(model.name).u32(model.version).column(stateBytes(model, state));
  return writer.bytes();
}

/** The bytes of a projection's state: its own, or JSON. */
export const stateBytes = <S>(projection: Projection<S, never, unknown>, state: S): Uint8Array =>
  projection.save?.(state) ?? new TextEncoder().encode(JSON.stringify(state));

/** The state of a projection's bytes. StateUnfit whatever the projection finds wrong with them. */
export function stateOf<S>(projection: Projection<S, never, unknown>, bytes: Uint8Array): S {
  try {
    if (projection.load !== undefined) return projection.load(bytes);
    const state: S = JSON.parse(new TextDecoder().decode(bytes));
    return state;
  } catch (thrown) {
    if (isLedgerError(thrown)) throw thrown;
    throw new StateUnfit(`the projection ${projection.name} cannot read its state`);
  }
}

export interface SavedHalf extends Half, Numbering {
  /** The state of a model. StateUnfit where it has none, or one of another version. */
  readonly state: <S>(model: Projection<S, never, unknown>) => S;
}

/** What `halfBytes` made bytes of; StateUnfit where they are of another format, or none. */
export function halfOf(bytes: Uint8Array): SavedHalf {
  const reader = new StateReader(bytes);
  if (reader.u32() !== FORMAT) throw new StateUnfit('another format');
  const from = decodeState(reader.text(), assemblerState);
  const applied = reader.u64() - 1n;
  const numbering = { packs: reader.u32(), numbering: reader.u64() };
  const states = new Map<string, { readonly version: number; readonly bytes: Uint8Array }>();
  for (let left = reader.u32(); left > 0; left -= 1)
    states.set(reader.text(), { version: reader.u32(), bytes: reader.part() });
  return {
    from,
    applied,
    ...numbering,
    state: (model) => {
      const saved = states.get(model.name);
      if (saved?.version !== model.version) throw new StateUnfit(`${model.name} is not in it`);
      return stateOf(model, saved.bytes);
    },
  };
}

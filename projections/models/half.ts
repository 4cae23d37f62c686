// The models of the fold come in two halves (fold.ts): this is where one stands, and its state file.
// All models of a half but contents are in one file, each with its name, version and bytes, behind what
// they are bound to: one that misses, or that is of another version, makes the half be folded anew.
// Contents, most of what a large ledger's state is, have a file of their own, which that of the light
// half names: it is written only where they changed, and who needs no contents does not read it.

import { isLedgerError } from '../../domain/values/ledger-error.ts';
import type { StateBytes } from '../../domain/ports/derived-files.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import type { Projection } from '../projection.ts';
import { LOG_START, type AssemblerState } from '../commits.ts';
import { assemblerState } from './catalogue-state.ts';
import type { Model } from './folding.ts';
import { wholeOf } from './kept-bytes.ts';
import { decodeState, StateUnfit, StateReader, StateWriter } from './state-bytes.ts';

const FORMAT = 6;
const CONTENTS_FORMAT = 2;

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

/** Contents that a half is bound to, and the name of the file that they are kept in. */
export interface KeptContents extends Numbering {
  readonly file: string;
}

/**
 * The name of contents as they are where a half stands: folding the same log gives the same ones, and an
 * event's id is of no other past.
 */
export const contentsFile = ({ from: { next, last } }: Half): string =>
  `${next}-${last?.id ?? 'start'}`;

/** A model whose state is kept: as bytes in memory, or as it is written and read where it lies. */
export type KeptModel<S> = Projection<S, never, unknown> & Pick<Model<S>, 'write' | 'read'>;

/** The bytes of the file of contents. */
export const contentsBytes = <S>(model: KeptModel<S>, state: S): StateWriter =>
  new StateWriter().u32(CONTENTS_FORMAT).u32(model.version).columnOf(writtenState(model, state));

/** What `contentsBytes` made bytes of; StateUnfit where they are of another format or version. */
export function contentsIn<S>(model: KeptModel<S>, bytes: StateBytes): S {
  const reader = new StateReader(bytes);
  if (reader.u32() !== CONTENTS_FORMAT || reader.u32() !== model.version)
    throw new StateUnfit('contents of another format');
  return stateIn(model, reader.kept());
}

/** A model of a half with its state. */
export interface Modelled {
  readonly model: KeptModel<unknown>;
  readonly state: unknown;
}

/** The bytes of a half's state file. */
export function halfBytes(half: Half, of: KeptContents, models: readonly Modelled[]): StateWriter {
  const from = assemblerState.encode(half.from);
  const writer = new StateWriter()
    .u32(FORMAT)
    .text(JSON.stringify(from))
    .u64(half.applied + 1n)
    .u32(of.packs)
    .u64(of.numbering)
    .text(of.file)
    .u32(models.length);
  for (const { model, state } of models)
    writer.text(model.name).u32(model.version).columnOf(writtenState(model, state));
  return writer;
}

const writtenState = <S>(model: KeptModel<S>, state: S): StateWriter =>
  model.write?.(state) ?? new StateWriter().raw(stateBytes(model, state));

/** The bytes of a projection's state: its own, or JSON. */
export const stateBytes = <S>(projection: Projection<S, never, unknown>, state: S): Uint8Array =>
  projection.save?.(state) ?? new TextEncoder().encode(JSON.stringify(state));

/** What a projection makes of its bytes. StateUnfit whatever it finds wrong with them. */
function taken<S>({ name }: { readonly name: string }, load: () => S): S {
  try {
    return load();
  } catch (thrown) {
    if (isLedgerError(thrown)) throw thrown;
    throw new StateUnfit(`the projection ${name} cannot read its state`);
  }
}

/** The state of a projection's bytes. StateUnfit whatever the projection finds wrong with them. */
export const stateOf = <S>(projection: Projection<S, never, unknown>, bytes: Uint8Array): S =>
  taken(projection, () => {
    if (projection.load !== undefined) return projection.load(bytes);
    const state: S = JSON.parse(new TextDecoder().decode(bytes));
    return state;
  });

/** The same of a model, which may leave parts of the bytes where they lie. */
const stateIn = <S>(model: KeptModel<S>, bytes: StateBytes): S =>
  model.read === undefined
    ? stateOf(model, wholeOf(bytes))
    : taken(model, () => model.read!(bytes));

export interface SavedHalf extends Half {
  readonly contents: KeptContents;
  /** The state of a model. StateUnfit where it has none, or one of another version. */
  readonly state: <S>(model: KeptModel<S>) => S;
}

/** What `halfBytes` made bytes of; StateUnfit where they are of another format, or none. */
export function halfOf(bytes: StateBytes): SavedHalf {
  const reader = new StateReader(bytes);
  if (reader.u32() !== FORMAT) throw new StateUnfit('another format');
  const from = decodeState(reader.text(), assemblerState);
  const applied = reader.u64() - 1n;
  const contents = { packs: reader.u32(), numbering: reader.u64(), file: reader.text() };
  const states = new Map<string, { readonly version: number; readonly bytes: StateBytes }>();
  for (let left = reader.u32(); left > 0; left -= 1)
    states.set(reader.text(), { version: reader.u32(), bytes: reader.kept() });
  return {
    from,
    applied,
    contents,
    state: (model) => {
      const saved = states.get(model.name);
      if (saved?.version !== model.version) throw new StateUnfit(`${model.name} is not in it`);
      return stateIn(model, saved.bytes);
    },
  };
}

// The list of segments, a state file: what the page index has, and of which past of which ledger. It
// is bound as other derived state is: to the ledger's id, the last commit that was indexed, the number
// of commits before it, and how contents are numbered. What does not fit is not there.

import * as t from 'io-ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import { decodeState, StateUnfit } from '../models/state-bytes.ts';
import { position } from '../models/capture-codecs.ts';
import { assemblerState } from '../models/catalogue-state.ts';
import type { AssemblerState } from '../commits.ts';
import type { LedgerState } from '../models/ledger-state.ts';
import { INDEX_PREFIX, type Segment } from './segments.ts';

const FORMAT = 3;
const FILE = `${INDEX_PREFIX}list`;

const LIST = t.strict({
  format: t.literal(FORMAT),
  ledger: t.string,
  from: assemblerState,
  /** The last commit; its id and position tell this past of the log from another. */
  commit: t.strict({ vm: t.string, capture: t.number, position, id: t.string }),
  captures: t.number,
  packs: t.number,
  contents: t.number,
  numbering: position,
  revivals: t.number,
  /** The event that says where history begins; null: with the log. */
  history: t.union([t.string, t.null]),
  vms: t.array(t.string),
  segments: t.array(
    t.strict({
      from: position,
      to: position,
      level: t.number,
      contents: t.tuple([t.number, t.number]),
    }),
  ),
});

/** What is indexed. */
export interface Indexed {
  /** Where the log is read on from. */
  readonly from: AssemblerState;
  /** The last commit. */
  readonly commit: t.TypeOf<typeof LIST>['commit'];
  /** Written packs, and contents, whose identifiers are indexed. */
  readonly packs: number;
  readonly contents: number;
  /** Names by number. */
  readonly vms: readonly string[];
  readonly segments: readonly Segment[];
}

/**
 * Contents that a later one has come to stand for, after they were released and used again: what was
 * indexed under their numbers before is found under another since.
 */
export function revivalsIn({ aliases }: LedgerState['contents']): number {
  let count = 0;
  for (const [alias, first] of aliases) if (first > alias) count += 1;
  return count;
}

/** Commits up to a position; null where anything before it was lost: then nothing is kept. */
export function wholeCaptures(state: LedgerState, end: bigint): number | null {
  let captures = 0;
  for (const { rows } of state.catalogue.vms.values()) {
    const count = rows.indexAt(end) + 1;
    if (!rows.areWhole(count)) return null;
    captures += count;
  }
  return captures;
}

export async function saveList(
  { state, files, ledger }: { state: LedgerState; files: StateFiles; ledger: string },
  indexed: Indexed,
): Promise<void> {
  const { from, commit, packs, contents, vms, segments } = indexed;
  const captures = wholeCaptures(state, commit.position);
  const numbering = state.contents.numbering(packs);
  if (captures === null || numbering === null) return;
  const list = LIST.encode({
    format: FORMAT,
    ledger,
    from,
    commit,
    captures,
    packs,
    contents,
    numbering,
    revivals: revivalsIn(state.contents),
    history: state.catalogue.history?.id ?? null,
    vms: [...vms],
    segments: segments.map((segment) => ({
      ...segment,
      contents: [segment.contents[0], segment.contents[1]],
    })),
  });
  await files.save(FILE, new TextEncoder().encode(JSON.stringify(list)));
}

/** What is indexed of this ledger's past; null: nothing. */
export async function loadList({
  state,
  files,
  ledger,
}: {
  readonly state: LedgerState;
  readonly files: StateFiles;
  readonly ledger: string;
}): Promise<Indexed | null> {
  const bytes = await files.load(FILE);
  if (bytes === null) return null;
  try {
    const list = decodeState(new TextDecoder().decode(bytes), LIST);
    const { commit, from } = list;
    // Another process may have come further than this one looked.
    if (from.next > state.next) await state.catchUp({ heavy: false });
    const row = state.catalogue.vms.get(commit.vm)?.capture(commit.capture);
    const isOfPast =
      list.ledger === ledger &&
      from.next <= state.next &&
      row?.position === commit.position &&
      row.id === commit.id &&
      state.contents.numbering(list.packs) === list.numbering &&
      revivalsIn(state.contents) === list.revivals &&
      list.history === (state.catalogue.history?.id ?? null) &&
      wholeCaptures(state, commit.position) === list.captures;
    return isOfPast ? list : null;
  } catch (thrown) {
    if (thrown instanceof StateUnfit) return null;
    throw thrown;
  }
}

/** Forgets everything that is indexed. */
export async function dropIndex(files: StateFiles): Promise<void> {
  for (const name of await files.list(INDEX_PREFIX)) await files.drop(name);
}

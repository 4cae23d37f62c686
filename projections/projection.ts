// A projection: a named fold of the ledger's changes into a state. The ledger's own read models are
// projections (fold.ts has their list), and so are those that a user of the library writes
// (docs/events.md, "Projections"), which `subscribe` runs: replay, then live, with their states kept
// between runs.

import type { PackRewritten } from '../domain/events/pack-rewritten.ts';
import type { PageColumns } from '../domain/events/pages-written.ts';
import type { CaptureChange, Change } from './commits.ts';

/**
 * `Seen` is what it sees beside the changes: of a user's projection, what the fold says of a batch.
 * `Waits` is what `apply` may give beside a state: a promise only for models of the ledger itself.
 */
export interface Projection<S, Seen = Folded, Waits = void> {
  /** Its state is kept under this name: `[A-Za-z0-9][A-Za-z0-9._-]*`. */
  readonly name: string;
  /** A whole number from 0. Another version folds the log anew; their states do not disturb each other. */
  readonly version: number;
  initial(): S;
  /** The state after a change: the same one changed in place, where nothing is returned, or another. */
  apply(state: S, change: Change, seen: Seen): S | undefined | void | Waits;
  /** Bytes to keep, and the state of such bytes. Absent: the state is JSON. Give both or none. */
  save?(state: S): Uint8Array;
  /** May throw, or give what `save` never had: then the log is folded anew. */
  load?(bytes: Uint8Array): S;
  /** What programs read of the state, as JSON. Absent: the state itself. */
  view?(state: S): unknown;
}

/** What the fold of the log says of a capture's batches, where it differs from what was recorded. */
export interface Folded {
  /** Kinds of the rows (pages-written.ts), as decided in log order. */
  kinds(change: CaptureChange, columns: PageColumns): Uint8Array;
  /**
   * What each row's page holds: below FIRST_CONTENT a pattern, else a content. Equal pages of a group
   * have equal numbers, and a number never changes its meaning. UNKNOWN: lost; UNTOLD: its source did
   * not tell.
   */
  holdings(columns: PageColumns): Uint32Array;
  /** What each slot of a pack holds that compaction wrote. */
  rewritten(pack: Pick<PackRewritten, 'name'>): Uint32Array;
  /** Whether a content is held large, of one page alone whatever others hold; it stays so. */
  isHeldLarge(holding: number): boolean;
}

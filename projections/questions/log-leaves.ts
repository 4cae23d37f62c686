// The leaves of the log's tree (docs/format.md, "The head of a log"), in log order: of events that left
// the log a baseline keeps the hashes of the whole subtrees that they were, so that heads of before are
// proven still; of those that stay, the events themselves are hashed.
//
// In a baseline, one after another: 0 and how many events stay (u32), or 1, the level of a subtree (u8)
// and its hash (32 bytes); a subtree of level n is 2^n leaves.

import { leafOf } from '../../domain/evidence.ts';
import { leafHash, nodeHash, TREE_HASH_BYTES, type Sha256 } from '../../domain/merkle-tree.ts';
import type { EventLog, Position, StoredEvent } from '../../domain/ports/event-log.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import type { Baseline } from '../models/baseline.ts';
import { StateUnfit } from '../models/state-bytes.ts';

const KEPT = 0;
const GONE = 1;
const KEPT_BYTES = 5;
const GONE_BYTES = 2 + TREE_HASH_BYTES;
const LEVEL_MAX = 52;

/** Events that stay, or a subtree of such that went. */
type LeafItem =
  | { readonly _tag: 'kept'; readonly count: number }
  | { readonly _tag: 'gone'; readonly level: number; readonly hash: Uint8Array };

/** A leaf of the log's tree, or leaves that left the log. */
export type LogLeaf =
  | { readonly _tag: 'event'; readonly event: StoredEvent }
  | { readonly _tag: 'gone'; readonly level: number; readonly hash: Uint8Array };

function* itemsOf(bytes: Uint8Array): Generator<LeafItem> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length;) {
    const isKept = bytes[at] === KEPT;
    const lengthBytes = isKept ? KEPT_BYTES : GONE_BYTES;
    if (at + lengthBytes > bytes.length) throw new StateUnfit('leaves end early');
    if (isKept) yield { _tag: 'kept', count: view.getUint32(at + 1, true) };
    else {
      const level = bytes[at + 1]!;
      if (bytes[at] !== GONE || level > LEVEL_MAX) throw new StateUnfit('no leaves');
      yield { _tag: 'gone', level, hash: bytes.slice(at + 2, at + GONE_BYTES) };
    }
    at += lengthBytes;
  }
}

function bytesOf(items: readonly LeafItem[]): Uint8Array {
  const sizeBytes = items.reduce(
    (sum, { _tag }) => sum + (_tag === 'kept' ? KEPT_BYTES : GONE_BYTES),
    0,
  );
  const bytes = new Uint8Array(sizeBytes);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const item of items) {
    bytes[at] = item._tag === 'kept' ? KEPT : GONE;
    if (item._tag === 'kept') view.setUint32(at + 1, item.count, true);
    else {
      bytes[at + 1] = item.level;
      bytes.set(item.hash, at + 2);
    }
    at += item._tag === 'kept' ? KEPT_BYTES : GONE_BYTES;
  }
  return bytes;
}

/** Events from a position on; what is damaged cannot be vouched for. */
export async function* eventsFrom(log: EventLog, from: Position): AsyncGenerator<StoredEvent> {
  for await (const { items } of log.read({ from }))
    for (const item of items) {
      if (item._tag === 'damage')
        throw new LedgerError(
          'LOG_DAMAGED',
          `${item.damage.reason}; a log with damage has no head: verify the ledger, and restore the log from a copy`,
          { position: item.damage.position, stream: item.damage.stream },
        );
      yield item.event;
    }
}

/** Events of a log that stay, though its store may show what went for a while. */
async function* keptEvents(log: EventLog, baseline: Baseline | null): AsyncGenerator<StoredEvent> {
  for await (const event of eventsFrom(log, 0n))
    if (event.revision >= (baseline?.streams.get(event.stream) ?? 0)) yield event;
}

/** All leaves of a log's tree, those that went as they are told of. */
export async function* leavesOf(log: EventLog, baseline: Baseline | null): AsyncGenerator<LogLeaf> {
  const events = keptEvents(log, baseline);
  for (const item of itemsOf(baseline?.leaves ?? new Uint8Array(0))) {
    if (item._tag === 'gone') yield item;
    else
      for (let left = item.count; left > 0; left -= 1) {
        const next = await events.next();
        if (next.done === true) return;
        yield { _tag: 'event', event: next.value };
      }
  }
  for await (const event of events) yield { _tag: 'event', event };
}

/** A part of the tree, as a baseline tells of it. */
interface Part {
  readonly level: number;
  /** Null: a leaf in it stays. */
  readonly hash: Uint8Array | null;
  readonly items: readonly LeafItem[];
}

function joined(sha256: Sha256, left: Part, right: Part): Part {
  const level = left.level + 1;
  if (left.hash === null || right.hash === null)
    return { level, hash: null, items: [...left.items, ...right.items] };
  const hash = nodeHash(sha256, left.hash, right.hash);
  return { level, hash, items: [{ _tag: 'gone', level, hash }] };
}

/** One run where several follow each other. */
function compacted(items: readonly LeafItem[]): LeafItem[] {
  const made: LeafItem[] = [];
  for (const item of items) {
    const last = made.at(-1);
    if (item._tag === 'kept' && last?._tag === 'kept')
      made[made.length - 1] = { _tag: 'kept', count: last.count + item.count };
    else made.push(item);
  }
  return made;
}

/** What a baseline tells of the leaves up to a place, once the events before these revisions are gone. O(log). */
export async function goneLeaves(
  { log, sha256 }: { readonly log: EventLog; readonly sha256: Sha256 },
  of: {
    readonly before: Baseline | null;
    readonly streams: ReadonlyMap<string, number>;
    readonly until: Position;
  },
): Promise<Uint8Array> {
  const parts: Part[] = [];
  for await (const leaf of leavesOf(log, of.before)) {
    if (leaf._tag === 'event' && leaf.event.position >= of.until) break;
    let part = partOf(sha256, leaf, of.streams);
    for (let last = parts.at(-1); last?.level === part.level; last = parts.at(-1)) {
      part = joined(sha256, last, part);
      parts.pop();
    }
    parts.push(part);
  }
  return bytesOf(compacted(parts.flatMap(({ items }) => items)));
}

function partOf(sha256: Sha256, leaf: LogLeaf, streams: ReadonlyMap<string, number>): Part {
  if (leaf._tag === 'gone') return { level: leaf.level, hash: leaf.hash, items: [leaf] };
  const { event } = leaf;
  if (event.revision >= (streams.get(event.stream) ?? 0))
    return { level: 0, hash: null, items: [{ _tag: 'kept', count: 1 }] };
  const hash = leafHash(sha256, leafOf(sha256, event));
  return { level: 0, hash, items: [{ _tag: 'gone', level: 0, hash }] };
}

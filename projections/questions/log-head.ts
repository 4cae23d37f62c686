// The digest of a log (docs/format.md, "The head of a log"): the root of a tree whose leaves are its
// events, in log order. It is kept with the place that it is of, so that the next one costs what came
// since; a log that does not have the last event any more is looked at anew.

import { leafOf, type LogHead } from '../../domain/evidence.ts';
import { MerkleTree, TREE_HASH_BYTES, subtreesOf } from '../../domain/merkle-tree.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { EventLog, Position } from '../../domain/ports/event-log.ts';
import type { Finding } from '../../domain/values/finding.ts';
import { toHex } from '../../domain/values/identifier.ts';
import { isLedgerError } from '../../domain/values/ledger-error.ts';
import { readBaseline } from '../models/baseline.ts';
import { StateReader, StateUnfit, StateWriter } from '../models/state-bytes.ts';
import { eventsFrom, leavesOf, type LogLeaf } from './log-leaves.ts';

const STATE_FILE = 'head';
const STATE_FORMAT = 1;

export interface HeadPorts {
  readonly log: EventLog;
  readonly files: StateFiles;
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
}

/** A tree, and the last event in it. */
interface Kept {
  readonly tree: MerkleTree;
  readonly position: Position;
  readonly leaf: Uint8Array;
}

async function load({ files, sha256 }: HeadPorts): Promise<Kept | null> {
  const bytes = await files.load(STATE_FILE);
  if (bytes === null) return null;
  try {
    const reader = new StateReader(bytes);
    if (reader.u32() !== STATE_FORMAT) return null;
    const [position, size] = [reader.u64(), Number(reader.u64())];
    const leaf = reader.column().slice();
    const hashes = reader.column().slice();
    if (size === 0 || hashes.length !== subtreesOf(size) * TREE_HASH_BYTES) return null;
    const subtrees = Array.from({ length: hashes.length / TREE_HASH_BYTES }, (_, i) =>
      hashes.subarray(i * TREE_HASH_BYTES, (i + 1) * TREE_HASH_BYTES),
    );
    return { tree: new MerkleTree(sha256, { size, subtrees }), position, leaf };
  } catch (thrown) {
    if (!(thrown instanceof StateUnfit)) throw thrown;
    return null;
  }
}

async function save({ files }: HeadPorts, { tree, position, leaf }: Kept): Promise<void> {
  const hashes = new Uint8Array(tree.subtrees.length * TREE_HASH_BYTES);
  for (const [i, hash] of tree.subtrees.entries()) hashes.set(hash, i * TREE_HASH_BYTES);
  const writer = new StateWriter().u32(STATE_FORMAT).u64(position).u64(BigInt(tree.size));
  await files.save(STATE_FILE, writer.column(leaf).column(hashes).bytes());
}

const isSame = (one: Uint8Array, other: Uint8Array): boolean => toHex(one) === toHex(other);

/** Whether the log has the event that a tree ends with, where it was. */
async function isInLog({ log, sha256 }: HeadPorts, kept: Kept): Promise<boolean> {
  for await (const event of eventsFrom(log, kept.position))
    return event.position === kept.position && isSame(leafOf(sha256, event), kept.leaf);
  return false;
}

/** Leaves of events behind the one that a tree ends with. */
async function* after(log: EventLog, { position }: Kept): AsyncGenerator<LogLeaf> {
  for await (const event of eventsFrom(log, position))
    if (event.position !== position) yield { _tag: 'event', event };
}

/** The head of the log now. */
export async function logHead(ports: HeadPorts): Promise<LogHead> {
  const { log, sha256 } = ports;
  const baseline = await readBaseline(log);
  const kept = await load(ports);
  const isOfLog =
    kept !== null && kept.position >= (baseline?.leavesTo ?? 0n) && (await isInLog(ports, kept));
  const start = isOfLog ? kept : null;
  const tree = start?.tree ?? new MerkleTree(sha256);
  let last = start;
  for await (const leaf of start === null ? leavesOf(log, baseline) : after(log, start)) {
    if (leaf._tag === 'gone') {
      tree.addSubtree(leaf.level, leaf.hash);
      continue;
    }
    const { event } = leaf;
    const own = leafOf(sha256, event);
    tree.add(own);
    last = { tree, position: event.position, leaf: own };
  }
  if (last !== null && last !== start) await save(ports, last);
  return { size: tree.size, root: toHex(tree.root()) };
}

const finding = (since: LogHead, reason: string): Finding => ({
  kind: 'head',
  where: `the first ${since.size} events of the log`,
  reason,
  affects: [],
});

/** The head lies inside of what left the log as a whole: it cannot be compared, and nothing is wrong. */
const notProvable = (since: LogHead, at: Position): Finding => ({
  ...finding(
    since,
    `not provable since position ${at}: history was forgotten there, and of what this head ends in only a digest of more is kept; write down a new head`,
  ),
  kind: 'head-forgotten',
  isNote: true,
});

/** What has become of the events that a head was of; null: they are there, all and as they were. */
export async function headFinding(
  { log, sha256 }: Pick<HeadPorts, 'log' | 'sha256'>,
  since: LogHead,
): Promise<Finding | null> {
  const tree = new MerkleTree(sha256);
  const baseline = await readBaseline(log);
  try {
    for await (const leaf of leavesOf(log, baseline)) {
      if (tree.size === since.size) break;
      if (leaf._tag === 'event') tree.add(leafOf(sha256, leaf.event));
      else if (tree.size + 2 ** leaf.level > since.size)
        return notProvable(since, baseline?.at ?? 0n);
      else tree.addSubtree(leaf.level, leaf.hash);
    }
  } catch (thrown) {
    if (!isLedgerError(thrown) || thrown.code !== 'LOG_DAMAGED') throw thrown;
    return finding(since, thrown.message);
  }
  if (tree.size < since.size)
    return finding(
      since,
      `found ${tree.size} events, expected ${since.size} or more: the end of the log was cut off`,
    );
  const root = toHex(tree.root());
  if (root === since.root) return null;
  return finding(
    since,
    `found the digest ${root} of them, expected ${since.root}: an event was edited, or their order was`,
  );
}

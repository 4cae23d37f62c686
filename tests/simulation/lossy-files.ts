// A disk in memory that remembers every operation and can be asked what a crash after any of them
// would leave: what was not synced may be there, be gone, or be there in part.
//
// The model: a file's bytes and size are durable once it was synced; each sector of 512 bytes of a
// later write may be on the disk or not. A name (of a file or folder) that was made, renamed or
// removed is durable once its folder was synced; before that each such change may have happened or
// not. Nothing that is durable is ever lost.

import { posix } from 'node:path';
import type {
  FileFacts,
  FilePort,
  Locked,
  LockRequest,
  OpenFile,
  OpenMode,
} from '../../adapters/files/file-port.ts';
import { otherMemory } from '../../adapters/files/memory-file.ts';
import { fileFailure } from '../../adapters/files/failures.ts';
import { seededRandom, type Random } from '../support/images.ts';

const SECTOR_BYTES = 512;

/** Bytes that grow. */
class Content {
  #bytes = new Uint8Array(0);
  sizeBytes = 0;

  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.sizeBytes);
  }

  write(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      grown.set(this.bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, offset);
    this.sizeBytes = Math.max(this.sizeBytes, end);
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes > this.sizeBytes)
      this.write(new Uint8Array(sizeBytes - this.sizeBytes), this.sizeBytes);
    else this.#bytes.fill(0, sizeBytes, this.sizeBytes);
    this.sizeBytes = sizeBytes;
  }

  copy(): Content {
    const copy = new Content();
    copy.write(this.bytes.slice(), 0);
    return copy;
  }
}

/** A file, or a folder: one without content. */
interface Node {
  readonly number: number;
  readonly content: Content | null;
}

type Operation =
  | {
      readonly _tag: 'write';
      readonly node: number;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  | { readonly _tag: 'truncate'; readonly node: number; readonly sizeBytes: number }
  | { readonly _tag: 'sync'; readonly node: number }
  | {
      readonly _tag: 'name';
      readonly path: string;
      readonly node: number | null;
      readonly isFolder: boolean;
      readonly from: string | null;
    }
  | { readonly _tag: 'syncFolder'; readonly path: string };

/** What of the unsynced a crash keeps; `some`: what the seed says. */
export type Kept = 'all' | 'none' | { readonly seed: number };

const refusal = (errno: string, operation: string, path: string): Error =>
  fileFailure(Object.assign(new Error(errno), { code: errno }), { operation, path });

type Change = Extract<Operation, { readonly _tag: 'write' | 'truncate' }>;
type NameChange = Extract<Operation, { readonly _tag: 'name' }>;

function applyChange(content: Content, change: Change): void {
  if (change._tag === 'write') content.write(change.bytes, change.offset);
  else content.truncate(change.sizeBytes);
}

/** Applies the sectors of a change that `isKept` names. */
function applyPart(content: Content, change: Change, isKept: () => boolean): void {
  if (change._tag === 'truncate') {
    if (isKept()) applyChange(content, change);
    return;
  }
  const { bytes, offset } = change;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + SECTOR_BYTES - ((offset + at) % SECTOR_BYTES));
    if (isKept()) content.write(bytes.subarray(at, end), offset + at);
    at = end;
  }
}

function applyName(names: Map<string, Node>, nodes: Map<number, Node>, change: NameChange): void {
  if (change.from !== null) names.delete(change.from);
  if (change.node === null) names.delete(change.path);
  else names.set(change.path, nodes.get(change.node)!);
}

/** A disk. The folders given at its start are durable. */
export class LossyFiles implements FilePort {
  readonly operations: Operation[] = [];
  readonly #names = new Map<string, Node>();
  readonly #start = new Map<string, Node>();
  readonly #watchers = new Map<string, Set<() => void>>();
  /** Who holds locks, by path: a count of shared ones, or one alone. */
  readonly #locks = new Map<string, number | 'alone'>();
  #nodes = 0;
  #held: Promise<void> | null = null;
  #failure: {
    readonly operation: string;
    readonly errno: string;
    readonly keptBytes: number;
  } | null = null;

  constructor(folders: readonly string[] = []) {
    for (const path of folders) this.#startWith(path, null);
  }

  #startWith(path: string, content: Content | null): void {
    const node = this.#newNode(content);
    this.#names.set(path, node);
    this.#start.set(path, { number: node.number, content: content?.copy() ?? null });
  }

  #newNode(content: Content | null): Node {
    this.#nodes += 1;
    return { number: this.#nodes, content };
  }

  /** Makes the next operation of a kind fail; an append leaves its first `keptBytes` behind. */
  failNext(operation: 'append' | 'sync', errno: string, keptBytes: number): void {
    this.#failure = { operation, errno, keptBytes };
  }

  /** Makes the next sync wait; the result lets it go on. */
  holdNextSync(): () => void {
    let release = (): void => undefined;
    this.#held = new Promise((resolve) => {
      release = resolve;
    });
    return () => {
      release();
    };
  }

  #failureOf(operation: string): { readonly errno: string; readonly keptBytes: number } | null {
    const failure = this.#failure;
    if (failure?.operation !== operation) return null;
    this.#failure = null;
    return failure;
  }

  /**
   * The disk that the end of a process in the middle of operation `count` leaves: what was done before is
   * done, and half of what it was writing.
   */
  afterKill(count: number): LossyFiles {
    const disk = this.afterCrash(count, 'all');
    const next = this.operations[count];
    if (next?._tag !== 'write') return disk;
    const { node, offset, bytes } = next;
    const name = this.#nameOf(node, count);
    const found = name === null ? undefined : disk.#names.get(name);
    found?.content?.write(bytes.subarray(0, bytes.length >>> 1), offset);
    return disk;
  }

  /** The name that a file has after the first `count` operations; null: none. */
  #nameOf(node: number, count: number): string | null {
    const names = new Map<string, number>(
      [...this.#start].map(([path, { number }]) => [path, number]),
    );
    for (const operation of this.operations.slice(0, count)) {
      if (operation._tag !== 'name') continue;
      if (operation.from !== null) names.delete(operation.from);
      if (operation.node === null) names.delete(operation.path);
      else names.set(operation.path, operation.node);
    }
    return [...names].find(([, number]) => number === node)?.[0] ?? null;
  }

  /** Another disk with what is on this one now. */
  copy(): LossyFiles {
    return this.afterCrash(this.operations.length, 'all');
  }

  /** The disk that a crash after the first `count` operations may leave. */
  afterCrash(count: number, kept: Kept): LossyFiles {
    const random: Random | null = typeof kept === 'object' ? seededRandom(kept.seed) : null;
    const isKept = (): boolean => (random === null ? kept === 'all' : random(2) === 0);
    const nodes = new Map<number, Node>();
    const pending = new Map<number, Change[]>();
    const durable = new Map<number, Content>();
    const names = new Map<string, Node>();
    const pendingNames: NameChange[] = [];
    const add = (number: number, content: Content | null): Node => {
      const node = { number, content };
      nodes.set(number, node);
      if (content !== null) durable.set(number, content);
      return node;
    };
    for (const [path, { number, content }] of this.#start)
      names.set(path, add(number, content?.copy() ?? null));
    for (const operation of this.operations.slice(0, count)) {
      if (operation._tag === 'name') {
        const { node, isFolder } = operation;
        if (node !== null && !nodes.has(node)) add(node, isFolder ? null : new Content());
        pendingNames.push(operation);
      } else if (operation._tag === 'syncFolder') {
        for (const change of pendingNames.filter(
          ({ path }) => posix.dirname(path) === operation.path,
        )) {
          applyName(names, nodes, change);
          pendingNames.splice(pendingNames.indexOf(change), 1);
        }
      } else if (operation._tag === 'sync') {
        for (const change of pending.get(operation.node) ?? [])
          applyChange(durable.get(operation.node)!, change);
        pending.delete(operation.node);
      } else {
        const changes = pending.get(operation.node) ?? [];
        changes.push(operation);
        pending.set(operation.node, changes);
      }
    }
    for (const change of pendingNames) if (isKept()) applyName(names, nodes, change);
    for (const [node, changes] of pending)
      for (const change of changes) applyPart(durable.get(node)!, change, isKept);
    return this.#diskOf(names);
  }

  /** A disk with these names, as far as the folders above them are there. */
  #diskOf(names: ReadonlyMap<string, Node>): LossyFiles {
    const disk = new LossyFiles();
    for (const [path, { content }] of [...names].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      if (this.#start.has(path) || disk.#names.has(posix.dirname(path)))
        disk.#startWith(path, content?.copy() ?? null);
    return disk;
  }

  #node(path: string, operation: string): Node {
    const node = this.#names.get(path);
    if (node === undefined) throw refusal('ENOENT', operation, path);
    return node;
  }

  #addName(path: string, node: Node, from: string | null): void {
    if (!this.#names.has(posix.dirname(path))) throw refusal('ENOENT', 'make', path);
    this.#names.set(path, node);
    const isFolder = node.content === null;
    this.operations.push({ _tag: 'name', path, node: node.number, isFolder, from });
  }

  open(path: string, mode: OpenMode): Promise<OpenFile> {
    return attempt(() => {
      const existing = this.#names.get(path);
      if (mode === 'new' && existing !== undefined) throw refusal('EEXIST', 'open', path);
      if (existing === undefined && (mode === 'create' || mode === 'new'))
        this.#addName(path, this.#newNode(new Content()), null);
      const { number, content } = this.#node(path, 'open');
      if (content === null) throw refusal('EISDIR', 'open', path);
      return this.#openFile(path, { number, content });
    });
  }

  #openFile(path: string, node: { readonly number: number; readonly content: Content }): OpenFile {
    const { number, content } = node;
    const change = (operation: Change): void => {
      applyChange(content, operation);
      this.operations.push(operation);
      for (const changed of this.#watchers.get(path) ?? []) setImmediate(changed);
    };
    const write = (bytes: Uint8Array, offset: number): void => {
      change({ _tag: 'write', node: number, offset, bytes: bytes.slice() });
    };
    const read = (target: Uint8Array, offset: number): number => {
      const part = content.bytes.subarray(offset, offset + target.length);
      target.set(part);
      return part.length;
    };
    return {
      path,
      memory: otherMemory({
        read,
        write: (bytes, offset) => {
          write(bytes, offset);
          return bytes.length;
        },
      }),
      read: (target, offset) => attempt(() => read(target, offset)),
      readNow: read,
      write: (bytes, offset) =>
        attempt(() => {
          write(bytes, offset);
        }),
      writeNow: write,
      append: (bytes) =>
        attempt(() => {
          const failure = this.#failureOf('append');
          write(bytes.subarray(0, failure?.keptBytes ?? bytes.length), content.sizeBytes);
          if (failure !== null) throw refusal(failure.errno, 'append to', path);
        }),
      sync: async () => {
        const held = this.#held;
        this.#held = null;
        if (held !== null) await held;
        const failure = this.#failureOf('sync');
        if (failure !== null) throw refusal(failure.errno, 'sync', path);
        this.operations.push({ _tag: 'sync', node: number });
      },
      sizeBytes: () => attempt(() => content.sizeBytes),
      isNamed: () => attempt(() => this.#names.get(path)?.number === number),
      truncate: (sizeBytes) =>
        attempt(() => {
          change({ _tag: 'truncate', node: number, sizeBytes });
        }),
      close: () => Promise.resolve(),
    };
  }

  load(path: string, sizeBytesMax: number): Promise<Uint8Array | null> {
    return attempt(() => this.#names.get(path)?.content?.bytes.slice(0, sizeBytesMax) ?? null);
  }

  facts(path: string): Promise<FileFacts | null> {
    return attempt(() => {
      const node = this.#names.get(path);
      if (node === undefined) return null;
      const sizeBytes = node.content?.sizeBytes ?? 0;
      const isFolder = node.content === null;
      return { sizeBytes, modifiedAtMs: 0, isFolder, isFile: !isFolder };
    });
  }

  /** There are no links here that could be followed. */
  nameFacts(path: string): Promise<FileFacts | null> {
    return this.facts(path);
  }

  list(folder: string): Promise<readonly string[]> {
    return attempt(() =>
      [...this.#names.keys()]
        .filter((path) => posix.dirname(path) === folder && path !== folder)
        .map((path) => posix.basename(path))
        .toSorted(),
    );
  }

  makeFolder(folder: string): Promise<void> {
    return attempt(() => {
      const missing: string[] = [];
      for (let path = folder; !this.#names.has(path); path = posix.dirname(path)) {
        if (path === posix.dirname(path)) throw refusal('ENOENT', 'make the folder', folder);
        missing.unshift(path);
      }
      for (const path of missing) this.#addName(path, this.#newNode(null), null);
    });
  }

  rename(source: string, target: string): Promise<void> {
    return attempt(() => {
      const node = this.#node(source, 'rename');
      this.#names.delete(source);
      this.#addName(target, node, source);
    });
  }

  link(source: string, target: string): Promise<boolean> {
    return attempt(() => {
      if (this.#names.has(target)) return false;
      this.#addName(target, this.#node(source, 'link'), null);
      return true;
    });
  }

  remove(path: string): Promise<boolean> {
    return attempt(() => {
      if (!this.#names.delete(path)) return false;
      this.operations.push({ _tag: 'name', path, node: null, isFolder: false, from: null });
      return true;
    });
  }

  syncFolder(folder: string): Promise<void> {
    return attempt(() => {
      this.#node(folder, 'sync');
      this.operations.push({ _tag: 'syncFolder', path: folder });
    });
  }

  /** Nobody who holds one waits here for another. */
  async lock(path: string, { kind }: LockRequest): Promise<Locked> {
    await this.open(path, 'create');
    const held = this.#locks.get(path) ?? 0;
    if (held === 'alone' || (kind === 'exclusive' && held > 0)) return { _tag: 'busy' };
    this.#locks.set(path, kind === 'exclusive' ? 'alone' : held + 1);
    const release = async (): Promise<void> => {
      const now = this.#locks.get(path);
      this.#locks.set(path, typeof now === 'number' ? now - 1 : 0);
    };
    return { _tag: 'lock', release };
  }

  watch(path: string, changed: () => void): () => void {
    const watchers = this.#watchers.get(path) ?? new Set();
    this.#watchers.set(path, watchers.add(changed));
    return () => watchers.delete(changed);
  }
}

/** Runs at once; what it throws rejects, as a real disk's answers do. */
const attempt = <T>(run: () => T): Promise<T> =>
  new Promise((resolve) => {
    resolve(run());
  });

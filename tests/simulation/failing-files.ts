// Any disk, one of whose calls that change something goes wrong: refused by the system, before or half
// done, once or from then on.

import { fileFailure } from '../../adapters/files/failures.ts';
import type { FilePort, OpenFile } from '../../adapters/files/file-port.ts';
import { otherMemory, readMemory, writeMemory } from '../../adapters/files/memory-file.ts';

export interface Failure {
  /** Which call that changes something, from 0. */
  readonly call: number;
  /** What the system answers. */
  readonly errno: string;
  /** Whether half of what is written is on the disk all the same. */
  readonly isHalfDone: boolean;
  /** Whether every later call is refused as well. */
  readonly isForGood: boolean;
}

/** A disk that counts calls that change something, and refuses one of them. */
export class FailingFiles {
  readonly #base: FilePort;
  readonly #failure: Failure | null;
  /** Calls so far. */
  calls = 0;

  constructor(base: FilePort, failure: Failure | null = null) {
    this.#base = base;
    this.#failure = failure;
  }

  /** Counts a call; `half` is done first where it is to be half done. */
  async #change<A>(
    { operation, path }: { readonly operation: string; readonly path: string },
    work: () => Promise<A>,
    half: () => Promise<unknown> = () => Promise.resolve(),
  ): Promise<A> {
    const failure = this.#refusal();
    if (failure === null) return work();
    if (failure.isHalfDone) await half();
    throw fileFailure({ code: failure.errno }, { operation, path });
  }

  /** How the next call is refused; null: it is not. */
  #refusal(): Failure | null {
    const call = this.calls;
    this.calls += 1;
    const failure = this.#failure;
    if (failure === null || call < failure.call) return null;
    return call === failure.call || failure.isForGood ? failure : null;
  }

  #changeNow(of: { readonly operation: string; readonly path: string }, work: () => void): void {
    const failure = this.#refusal();
    if (failure !== null) throw fileFailure({ code: failure.errno }, of);
    work();
  }

  #file(file: OpenFile): OpenFile {
    const { path } = file;
    const half = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, bytes.length >>> 1);
    const lengthOf = (bytes: Uint8Array) => ({ bytes, at: 0, lengthBytes: bytes.length });
    return {
      path,
      memory: otherMemory({
        read: (target, offsetBytes) =>
          readMemory(file.memory, { ...lengthOf(target), offsetBytes }),
        write: (bytes, offsetBytes) => {
          let written = 0;
          this.#changeNow({ operation: 'write', path }, () => {
            written = writeMemory(file.memory, { ...lengthOf(bytes), offsetBytes });
          });
          return written;
        },
      }),
      read: (target, offset) => file.read(target, offset),
      readNow: (target, offset) => file.readNow(target, offset),
      write: (bytes, offset) =>
        this.#change(
          { operation: 'write', path },
          () => file.write(bytes, offset),
          () => file.write(half(bytes), offset),
        ),
      writeNow: (bytes, offset) => {
        this.#changeNow({ operation: 'write', path }, () => {
          file.writeNow(bytes, offset);
        });
      },
      append: (bytes) =>
        this.#change(
          { operation: 'append to', path },
          () => file.append(bytes),
          () => file.append(half(bytes)),
        ),
      sync: () => this.#change({ operation: 'sync', path }, () => file.sync()),
      sizeBytes: () => file.sizeBytes(),
      isNamed: () => file.isNamed(),
      truncate: (sizeBytes) =>
        this.#change({ operation: 'truncate', path }, () => file.truncate(sizeBytes)),
      close: () => file.close(),
    };
  }

  /** The disk. */
  get port(): FilePort {
    const base = this.#base;
    const change = <A>(operation: string, path: string, work: () => Promise<A>): Promise<A> =>
      this.#change({ operation, path }, work);
    return {
      open: async (path, mode, permissions) => {
        const isMade = mode === 'new' || (mode === 'create' && (await base.facts(path)) === null);
        const open = (): Promise<OpenFile> => base.open(path, mode, permissions);
        return this.#file(await (isMade ? change('open', path, open) : open()));
      },
      load: (path, sizeBytesMax) => base.load(path, sizeBytesMax),
      facts: (path) => base.facts(path),
      nameFacts: (path) => base.nameFacts(path),
      list: (folder) => base.list(folder),
      makeFolder: async (folder, permissions) => {
        const make = (): Promise<void> => base.makeFolder(folder, permissions);
        const isThere = (await base.facts(folder)) !== null;
        return isThere ? make() : change('make the folder', folder, make);
      },
      rename: (source, target) =>
        change('rename a file to', target, () => base.rename(source, target)),
      link: (source, target) => change('link a file to', target, () => base.link(source, target)),
      remove: async (path) => {
        const remove = (): Promise<boolean> => base.remove(path);
        return (await base.facts(path)) === null ? false : change('remove', path, remove);
      },
      syncFolder: (folder) => change('sync', folder, () => base.syncFolder(folder)),
      watch: (path, changed) => base.watch(path, changed),
      lock: (path, request) => base.lock(path, request),
    };
  }
}

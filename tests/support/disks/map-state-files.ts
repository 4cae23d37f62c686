// State files in a map: the port without a disk, which may lose or spoil what it keeps.

import type {
  OpenState,
  StateBytes,
  StateFiles,
  StatePieces,
} from '../../../domain/ports/derived-files.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { inMemory } from '../../../projections/models/kept-bytes.ts';
import type { IdentifierColumn } from '../../../projections/models/identifier-index.ts';

/** An identifier column that outlasts who opened it, as a file does. */
class KeptIdentifiers implements IdentifierColumn {
  readonly kept = new Map<number, Uint8Array>();

  append(first: number, identifiers: Uint8Array): void {
    for (let at = 0; at < identifiers.length; at += IDENTIFIER_BYTES)
      this.kept.set(first + at / IDENTIFIER_BYTES, identifiers.slice(at, at + IDENTIFIER_BYTES));
  }

  read(content: number): Uint8Array | null {
    return this.kept.get(content) ?? null;
  }

  clear(): void {
    this.kept.clear();
  }

  close(): void {
    // What is kept stays for who opens it next.
  }
}

/** Bytes as those of a large file are: whoever reads them copies. */
export const inFile = (bytes: Uint8Array): StateBytes => ({ ...inMemory(bytes), memory: null });

export class MapStateFiles implements StateFiles {
  readonly kept = new Map<string, Uint8Array>();
  readonly identifiers = new KeptIdentifiers();
  /** Names asked for and found, in order. */
  readonly loaded: string[] = [];
  /** Names saved, in order. */
  readonly saved: string[] = [];

  load(name: string): Promise<Uint8Array | null> {
    const bytes = this.kept.get(name);
    if (bytes !== undefined) this.loaded.push(name);
    return Promise.resolve(bytes?.slice() ?? null);
  }

  /** Gives what lies there as of a file that is too large for memory. */
  async open(name: string): Promise<OpenState | null> {
    const bytes = await this.load(name);
    if (bytes === null) return null;
    return { ...inFile(bytes), close: () => Promise.resolve() };
  }

  save(name: string, bytes: Uint8Array | StatePieces): Promise<void> {
    const pieces = bytes instanceof Uint8Array ? [bytes] : bytes.pieces();
    // Each is valid until the next is asked for.
    const copies = Array.from(pieces, (piece) => piece.slice());
    this.kept.set(name, Uint8Array.from(Buffer.concat(copies)));
    this.saved.push(name);
    return Promise.resolve();
  }

  list(prefix: string): Promise<readonly string[]> {
    return Promise.resolve(
      [...this.kept.keys()].filter((name) => name.startsWith(prefix)).toSorted(),
    );
  }

  drop(name: string): Promise<void> {
    this.kept.delete(name);
    return Promise.resolve();
  }
}

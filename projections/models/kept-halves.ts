// Where the halves of the folded state are kept among the state files: one each, and one for contents,
// which is written only where they changed. It bears the place in the log where it was written, and is
// there before a half names it; what no half names any more is dropped.

import type { OpenState, StateFiles } from '../../domain/ports/derived-files.ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { contentsModel, type HalfName } from '../fold.ts';
import type { Catalogue } from './catalogue.ts';
import type { Contents } from './contents.ts';
import {
  contentsBytes,
  contentsFile,
  contentsIn,
  halfBytes,
  halfOf,
  type Half,
  type KeptContents,
  type Modelled,
  type SavedHalf,
} from './half.ts';
import { StateUnfit } from './state-bytes.ts';

const FILES: Readonly<Record<HalfName, string>> = { light: 'catalogue', heavy: 'sharing' };
const CONTENTS_PREFIX = 'contents/';
/** All that is derived and kept by name, of the folded state and of others that stand on it. */
const DERIVED = [
  ...Object.values(FILES),
  CONTENTS_PREFIX,
  'tables/',
  'projected/',
  'page-index/',
  'log-bytes',
];

/** A half as it was kept, and the contents where they were asked for. */
export interface LoadedHalf extends SavedHalf {
  readonly loaded: Contents | null;
}

export class KeptHalves {
  readonly #files: StateFiles;
  /** Files that states lie in, which are read until all is closed. */
  readonly #open: OpenState[] = [];
  /** What has the contents as they are in memory; null: they changed since, or are not kept. */
  contents: KeptContents | null = null;

  constructor(files: StateFiles) {
    this.#files = files;
  }

  /** A half; null: there is none. StateUnfit where it is damaged, or of another format. */
  async #half(half: HalfName): Promise<SavedHalf | null> {
    const bytes = await this.#opened(FILES[half]);
    return bytes === null ? null : halfOf(bytes);
  }

  async #opened(name: string): Promise<OpenState | null> {
    const file = await this.#files.open(name);
    // What is in memory needs no file.
    if (file?.memory === null) this.#open.push(file);
    return file;
  }

  /** Closes the files of states, which nobody reads any more. */
  async close(): Promise<void> {
    for (const file of this.#open.splice(0)) await file.close();
  }

  /** A half, perhaps with the contents that it names; null: it is not there. StateUnfit where it does not fit. */
  async load(half: HalfName, isWithContents: boolean): Promise<LoadedHalf | null> {
    const saved = await this.#half(half);
    if (saved === null || !isWithContents) return saved && { ...saved, loaded: null };
    const { file } = saved.contents;
    const bytes = await this.#opened(file);
    if (bytes !== null) return { ...saved, loaded: contentsIn(contentsModel, bytes) };
    // Another process, which saved a later state meanwhile, dropped those of this one.
    const now = await this.#half(half);
    if (now === null || now.contents.file === file) return null;
    return this.load(half, isWithContents);
  }

  /** Keeps the contents of a place in the log. */
  async saveContents(stands: Half, contents: Contents): Promise<void> {
    const kept = contentsAt(stands, contents);
    await this.#files.save(kept.file, contentsBytes(contentsModel, contents));
    this.contents = kept;
  }

  async save(
    half: HalfName,
    stands: Half,
    of: { readonly contents: KeptContents; readonly models: readonly Modelled[] },
  ): Promise<void> {
    await this.#files.save(FILES[half], halfBytes(stands, of.contents, of.models));
  }

  /** Drops contents that the light half does not name any more. */
  async dropContents(): Promise<void> {
    for (const name of await this.#files.list(CONTENTS_PREFIX))
      if (name !== this.contents?.file) await this.#files.drop(name);
  }

  /** Whether the light half is kept as it is after a change. */
  async isPast(applied: Position): Promise<boolean> {
    const file = await this.#files.open(FILES.light);
    if (file === null) return false;
    try {
      return halfOf(file).applied > applied;
    } catch (thrown) {
      if (thrown instanceof StateUnfit) return false;
      throw thrown;
    } finally {
      await file.close();
    }
  }

  /** Drops all that is derived. */
  async dropAll(): Promise<void> {
    this.contents = null;
    for (const prefix of DERIVED)
      for (const name of await this.#files.list(prefix)) await this.#files.drop(name);
  }
}

/** The contents as they are at a place, and the file that is theirs. */
export function contentsAt(stands: Half, contents: Contents): KeptContents {
  const packs = contents.written;
  const numbering = contents.numbering(packs)!;
  return { packs, numbering, file: `${CONTENTS_PREFIX}${contentsFile(stands)}` };
}

/** The light half is saved for so many of its captures once: who comes later reads on. */
const CAPTURES_A_CHANGE = 256;

/**
 * Whether a light half that so many changes came to is to be saved: what few events changed of very many
 * captures is not worth writing all of them. O(VMs).
 */
export function isWorthSaving({ vms }: Catalogue, changes: number): boolean {
  let captures = 0;
  for (const { rows } of vms.values()) captures += rows.length;
  return changes > captures / CAPTURES_A_CHANGE && changes > 0;
}

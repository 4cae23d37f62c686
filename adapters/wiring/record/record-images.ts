// Recording files, each a capture: those that are named, or those of a folder that are new.

import { findImages, sizedFiles, type SizedFile } from '../../guests/images/image-folder.ts';
export { isMachineKnown } from '../../guests/qemu/ram-blocks.ts';
import {
  IMAGE_FORMATS,
  isReadable,
  openMoments,
  type ImageFormatName,
  type OpenSourceRequest,
} from '../../guests/sources.ts';
import { BESIDE_FORMAT } from '../../../domain/events/control.ts';
import type { GuestCapture, GuestSource, ImageFacts } from '../../../domain/ports/guests.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { RecorderOptions } from '../../../domain/use-cases/record/recorder.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { takeCheckpoint } from '../points/vm-life.ts';
import { blocksOf, recordSources, type BesideRequest, type RecordListener } from './record.ts';

export type { ImageFormatName };
/** Names of the formats that files are recorded from. */
export const IMAGE_FORMAT_NAMES: readonly ImageFormatName[] =
  Object.keys(IMAGE_FORMATS).filter(isReadable);

/** What `recordImages` records: files, each a capture, oldest first. */
export interface ImageRequest extends Omit<OpenSourceRequest, 'path' | 'clock' | 'known'> {
  readonly files: readonly string[];
  /**
   * Files that the VM has a capture of already (the same name, size and time) are passed over, also where
   * that was forgotten. Of captures whose history was let go, too, one time is known: what is not newer
   * is passed over as well. A folder is the regular files in it, oldest first.
   */
  readonly isNew?: boolean;
  /** Kept beside each capture; absent: nothing. */
  readonly beside?: BesideRequest;
  /** Told of each file before it is opened. */
  readonly onFile?: (turn: FileTurn) => void;
}

/** A file whose turn it is, among all that were given: bytes of those before it, its own, and of all. */
export interface FileTurn {
  readonly doneBytes: number;
  readonly bytes: number;
  readonly totalBytes: number;
}

/** Files in their order, but those that are passed over; somebody is told of each. */
async function* filesInTurn(
  files: readonly SizedFile[],
  {
    isPassedOver,
    onFile,
  }: { isPassedOver: (at: number) => boolean; onFile: ImageRequest['onFile'] },
): AsyncGenerator<string> {
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let doneBytes = 0;
  for (const [at, { path, bytes }] of files.entries()) {
    if (!isPassedOver(at)) {
      onFile?.({ doneBytes, bytes, totalBytes });
      yield path;
    }
    doneBytes += bytes;
  }
}

const keyOf = ({ name, bytes, timeNs }: ImageFacts): string => `${timeNs} ${bytes} ${name}`;

/** Whether a VM has a capture of a file; asked of its captures as they are now. */
class KnownImages {
  readonly #keys = new Set<string>();
  readonly #entryNow: () => VmEntry | undefined;
  #entry: VmEntry | undefined;
  #seen = 0;

  constructor(ledger: Ledger, vm: string) {
    this.#entryNow = () => ledger.state.catalogue.vms.get(vm);
  }

  /** What is known of the VM may have been made anew, and some of its captures be gone by now. */
  #look(): void {
    const entry = this.#entryNow();
    if (entry !== this.#entry) this.#seen = 0;
    this.#entry = entry;
    if (entry === undefined) return;
    if (this.#seen === 0) for (const image of entry.gone?.images ?? []) this.#add(image);
    for (; this.#seen < entry.rows.length; this.#seen += 1)
      this.#add(entry.rows.at(this.#seen)!.image);
  }

  #add(image: ImageFacts | null): void {
    if (image !== null) this.#keys.add(keyOf(image));
  }

  has(facts: ImageFacts | null): boolean {
    this.#look();
    if (facts === null) return false;
    const goneToNs = this.#entry?.gone?.imagesToNs ?? null;
    const isGone = goneToNs !== null && BigInt(facts.timeNs) <= BigInt(goneToNs);
    return isGone || this.#keys.has(keyOf(facts));
  }
}

/** How files are opened, and what is told of them. */
interface Opening {
  readonly open: (path: string) => AsyncIterable<GuestSource>;
  readonly onWarning: RecordListener['onWarning'];
}

async function* inTurn(
  { open, onWarning }: Opening,
  files: AsyncIterable<string>,
): AsyncGenerator<GuestSource> {
  for await (const path of files)
    for await (const source of open(path)) {
      for (const sentence of source.warnings) onWarning(sentence);
      yield source;
    }
}

/** A name as checkpoints have them; null: nothing is left of it. */
function checkpointName(name: string): string | null {
  const plain = name.replaceAll(/[^A-Za-z0-9._-]+/gu, '-').replace(/^[^A-Za-z0-9]+/u, '');
  return plain === '' ? null : plain;
}

/** Names a capture as it was called where it was kept; says where that cannot be. */
async function nameCapture(
  ledger: Ledger,
  of: { readonly vm: string; readonly capture: number; readonly captured: GuestCapture },
  onWarning: RecordListener['onWarning'],
): Promise<void> {
  const { vm, capture, captured } = of;
  const { name: called, image } = captured;
  const name = called === undefined ? null : checkpointName(called);
  if (called === undefined || name === null) return;
  const note = name === called ? {} : { note: called };
  try {
    const taken = await takeCheckpoint(ledger, { vm, name, capture, image, ...note });
    if (isLedgerError(taken)) onWarning(`${vm}@${capture} is not laid out: ${taken.message}`);
  } catch (thrown) {
    if (!isRefused(thrown)) throw thrown;
    onWarning(`${vm}@${capture} is not named ${name}: ${thrown.message}`);
  }
}

/** What became of the files that were to be recorded. */
export interface RecordedImages {
  /** Files that the VM had already. */
  readonly passedOver: number;
  /** Moments in files of several that it had: snapshots in disk images. */
  readonly passedOverMoments: number;
}

/** Records files as captures of a VM, in order. */
export async function recordImages(
  ledger: Ledger,
  options: RecorderOptions,
  request: ImageRequest,
  onCapture: RecordListener['onCapture'],
  onWarning: RecordListener['onWarning'] = () => undefined,
): Promise<RecordedImages> {
  const { files, isNew = false, beside, onFile, ...how } = request;
  const { vm } = options;
  const onRecorded: RecordListener['onRecorded'] = ({ capture }, captured) =>
    nameCapture(ledger, { vm, capture, captured }, onWarning);
  const listener = { onCapture, onRecorded, onWarning };
  const known = new KnownImages(ledger, vm);
  let passedOverMoments = 0;
  const isKnown = (facts: ImageFacts | null): boolean => {
    const isThere = isNew && known.has(facts);
    if (isThere) passedOverMoments += 1;
    return isThere;
  };
  const open = (path: string): AsyncIterable<GuestSource> =>
    openMoments({ ...how, path, known: blocksOf(ledger, vm), clock: ledger.clock }, isKnown);
  const opening = { open, onWarning };
  if (!isNew) {
    const all = filesInTurn(await sizedFiles(files), { isPassedOver: () => false, onFile });
    await recordSources(ledger, options, inTurn(opening, all), listener, beside);
    return { passedOver: 0, passedOverMoments };
  }
  const found = await findImages(files);
  await ledger.state.catchUp({ heavy: false });
  if (found.every(({ facts }) => known.has(facts)))
    return { passedOver: found.length, passedOverMoments };
  await ledger.raiseFormat(BESIDE_FORMAT);
  let passedOver = 0;
  const sized = found.map(({ path, facts }) => ({ path, bytes: facts?.bytes ?? 0 }));
  // Asked again one by one: the recorder is alone now, and a file may be named twice.
  async function* fresh(): AsyncGenerator<string> {
    await ledger.state.catchUp({ heavy: false });
    const isPassedOver = (at: number): boolean => {
      const isThere = known.has(found[at]!.facts);
      if (isThere) passedOver += 1;
      return isThere;
    };
    yield* filesInTurn(sized, { isPassedOver, onFile });
  }
  await recordSources(ledger, options, inTurn(opening, fresh()), listener, beside);
  return { passedOver, passedOverMoments };
}

// Recording files, each a capture: those that are named, or those of a folder that are new.

import { findImages } from '../../guests/images/image-folder.ts';
export { isMachineKnown } from '../../guests/qemu/ram-blocks.ts';
import {
  IMAGE_FORMATS,
  isReadable,
  openImage,
  type ImageFormatName,
  type OpenSourceRequest,
} from '../../guests/sources.ts';
import { BESIDE_FORMAT } from '../../../domain/events/control.ts';
import type { GuestSource, ImageFacts } from '../../../domain/ports/guests.ts';
import { run } from '../../../domain/ports/run.ts';
import type { RecorderOptions } from '../../../domain/use-cases/record/recorder.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../ledger/ledger.ts';
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

async function* inTurn(
  open: (path: string) => ReturnType<typeof openImage>,
  files: AsyncIterable<string> | Iterable<string>,
  onWarning: RecordListener['onWarning'],
): AsyncGenerator<GuestSource> {
  for await (const path of files) {
    const source = await run(open(path));
    try {
      for (const sentence of source.warnings) onWarning(sentence);
      yield source;
    } finally {
      source.close();
    }
  }
}

/** What became of the files that were to be recorded. */
export interface RecordedImages {
  /** Files that the VM had already. */
  readonly passedOver: number;
}

/** Records files as captures of a VM, in order. */
export async function recordImages(
  ledger: Ledger,
  options: RecorderOptions,
  request: ImageRequest,
  onCapture: RecordListener['onCapture'],
  onWarning: RecordListener['onWarning'] = () => undefined,
): Promise<RecordedImages> {
  const { files, isNew = false, beside, ...how } = request;
  const listener = { onCapture, onWarning };
  const open = (path: string): ReturnType<typeof openImage> =>
    openImage({ ...how, path, known: blocksOf(ledger, options.vm), clock: ledger.clock });
  if (!isNew) {
    await recordSources(ledger, options, inTurn(open, files, onWarning), listener, beside);
    return { passedOver: 0 };
  }
  const found = await findImages(files);
  const known = new KnownImages(ledger, options.vm);
  await ledger.state.catchUp({ heavy: false });
  if (found.every(({ facts }) => known.has(facts))) return { passedOver: found.length };
  await ledger.raiseFormat(BESIDE_FORMAT);
  let passedOver = 0;
  // Asked again one by one: the recorder is alone now, and a file may be named twice.
  async function* fresh(): AsyncGenerator<string> {
    await ledger.state.catchUp({ heavy: false });
    for (const { path, facts } of found)
      if (known.has(facts)) passedOver += 1;
      else yield path;
  }
  await recordSources(ledger, options, inTurn(open, fresh(), onWarning), listener, beside);
  return { passedOver };
}

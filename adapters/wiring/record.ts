// Recording, joined: sources of guests on one side, the recorder on the other.

import { randomBytes } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import { findImages } from '../guests/images/image-folder.ts';
export { isMachineKnown } from '../guests/qemu/ram-blocks.ts';
import { LIVE_GUESTS, openImage, type OpenSourceRequest } from '../guests/sources.ts';
import { openFingerprintFiles } from '../stores/keys/fingerprint-files.ts';
import { lockRecorder } from '../stores/locks/recorder-lock.ts';
import { announceWriter } from '../stores/locks/writers-presence.ts';
import { commitDigest } from '../../domain/evidence.ts';
import { areBlocksSalted, isOfThisFormat } from '../../domain/ledger.ts';
import type { Attachment } from '../../domain/values/attachment.ts';
import { refuse } from '../../domain/values/refused.ts';
import { initialVm, recorderRefusal, timeDoubt } from '../../domain/vm.ts';
import {
  Recorder,
  type RecorderOptions,
  type RecordPorts,
} from '../../domain/use-cases/record/recorder.ts';
import type { GuestCapture, GuestSource, ImageFacts } from '../../domain/ports/guests.ts';
import type { RecorderModels } from '../../domain/ports/models.ts';
import type { MemoryBlock } from '../../domain/values/memory-map.ts';
import { isLinkedVm, type CaptureRow, type VmEntry } from '../../projections/models/vm-entry.ts';
import { LayeredCaptureView } from '../../projections/models/capture-view.ts';
import { assert } from '../../domain/values/assert.ts';
import { IndexUnfit } from '../../projections/models/identifier-index.ts';
import { sha256 } from './digest.ts';
import type { Ledger } from './ledger.ts';
import { noticeLosses, tellFailure } from './losses.ts';
import { run } from '../../domain/ports/run.ts';

function recorderModels(ledger: Ledger, options: RecorderOptions): RecorderModels {
  const { state } = ledger;
  return {
    pasts: () => state.pasts,
    catchUp: () => state.catchUp({ heavy: true }),
    vm: (vm) => state.catalogue.vms.get(vm)?.state ?? initialVm,
    position: (vm, capture) => state.catalogue.vms.get(vm)?.capture(capture)?.position ?? null,
    lostTail: (vm) => state.catalogue.vms.get(vm)?.lostTail ?? null,
    lostStore: () => state.catalogue.lostStore,
    captureView: async (vm, pageCount) => {
      const entry = state.catalogue.vms.get(vm);
      const known =
        (entry === undefined ? null : await state.currentTable(entry)) ?? new Uint32Array(0);
      // Before its first capture, what was asked for counts.
      const isLinked =
        entry === undefined || entry.state.registered === null
          ? options.share !== 'pattern'
          : isLinkedVm(entry);
      const { contents, sharing, losses } = state;
      const areReplaced = (): boolean => state.contents !== contents;
      const models = { contents, sharing, losses, isLinked, areReplaced };
      return new LayeredCaptureView({ ...models, known, pages: pageCount });
    },
  };
}

/** The digest of a capture's commit; null: there is no such capture. */
function commitOf(ledger: Ledger, vm: string, capture: number): bigint | null {
  const { catalogue } = ledger.state;
  const row = catalogue.vms.get(vm)?.capture(capture);
  if (row === undefined) return null;
  const { id } = catalogue.facts.ledger ?? ledger;
  return commitDigest(sha256, { ...row, ledger: id, vm });
}

/** A recorder of one VM. It holds the VM's lock until closed; a second one is VM_BUSY. */
export interface VmRecorder {
  /** Records one capture and gives it as the fold sees it. */
  record(captured: GuestCapture): Promise<CaptureRow>;
  close(): Promise<void>;
}

/** Takes the lock of a VM, and says that packs are written; both end together. */
async function lockWriting(ledger: Ledger, vm: string): Promise<{ release(): Promise<void> }> {
  const [recorder, writer] = await Promise.all([
    lockRecorder(ledger.locks, vm)(),
    announceWriter(ledger.locks)(),
  ]);
  const held = [recorder, writer].flatMap((each) => (either.isRight(each) ? [each.right] : []));
  const release = async (): Promise<void> => {
    await Promise.all(held.map((each) => each.release()));
  };
  for (const each of [recorder, writer])
    if (either.isLeft(each)) {
      await release();
      throw each.left;
    }
  for (const each of held) ledger.told(each);
  return { release };
}

/** Fingerprints of a VM's last capture, as this host keeps them: of that very commit, or none. */
function fingerprintsOf(ledger: Ledger): RecordPorts['fingerprints'] {
  const { local } = ledger;
  const files = openFingerprintFiles({ files: local.files, folder: local.keys });
  return {
    load: async (vm, at) => {
      const kept = await files.load(vm);
      const isOfCapture =
        kept?.capture === at.capture && kept.commit === commitOf(ledger, vm, at.capture);
      return kept !== null && isOfCapture ? kept.body : null;
    },
    save: async (vm, { capture, fingerprints: body }) => {
      const commit = commitOf(ledger, vm, capture);
      if (commit !== null) await files.save({ vm, capture, commit, body });
    },
  };
}

/** A capture that was committed just now, as the fold has it. */
async function foldedRow(ledger: Ledger, vm: string, capture: number): Promise<CaptureRow> {
  const folded = (): CaptureRow | undefined => ledger.state.catalogue.vms.get(vm)?.capture(capture);
  // Whoever follows the ledger in this process may just be folding it anew.
  if (folded() === undefined) await ledger.state.catchUp({ heavy: false });
  const row = folded();
  assert(row !== undefined, 'a capture that was committed is folded');
  return row;
}

/** Opens a recorder of a VM in a ledger. */
export async function openRecorder(ledger: Ledger, options: RecorderOptions): Promise<VmRecorder> {
  const known = ledger.state.catalogue.vms.get(options.vm)?.state ?? initialVm;
  const refusal = recorderRefusal(known, { share: null, ...options });
  if (refusal !== null) throw refuse(refusal);
  await run(ledger.store.removeLeftovers(ledger.clock()));
  const lock = await lockWriting(ledger, options.vm);
  const { log, store, clock, by } = ledger;
  await noticeLosses(ledger).catch(async (thrown: unknown) => {
    await lock.release();
    throw thrown;
  });
  const engine = await ledger.engine();
  const pages = await ledger.pageReader();
  const make = (): Recorder =>
    new Recorder(
      {
        log,
        store,
        clock,
        by,
        engine,
        pages,
        sha256,
        randomBytes,
        models: recorderModels(ledger, options),
        areBlocksSalted: () => areBlocksSalted(ledger.state.catalogue.facts),
        checkPast: () => ledger.marks.check(),
        openGroup: (group) => ledger.openGroup(group),
        isRaised: () => isOfThisFormat(ledger.state.catalogue.facts),
        raiseFormat: () => ledger.raiseFormat(),
        fingerprints: fingerprintsOf(ledger),
      },
      options,
    );
  let recorder = make();
  const record = async (captured: GuestCapture): Promise<CaptureRow> =>
    foldedRow(ledger, options.vm, (await recorder.record(captured)).capture);
  return {
    record: async (captured) => {
      try {
        return await record(captured);
      } catch (thrown) {
        // Derived state was damaged: it is made anew from the log, and nothing was committed.
        if (thrown instanceof IndexUnfit) await ledger.state.rebuild();
        else if (!(await tellFailure(ledger, thrown))) throw thrown;
        recorder = make();
        return record(captured);
      }
    },
    close: async () => {
      try {
        await recorder.close();
      } finally {
        await lock.release();
      }
    },
  };
}

/** Told of what is recorded. */
export interface RecordListener {
  readonly onCapture: (row: CaptureRow) => void;
  /** What a person should know: the time of a capture is kept as it is, whatever it is. */
  readonly onWarning: (sentence: string) => void;
}

/** What a person wants kept beside captures. */
export interface BesideRequest {
  readonly note?: string;
  readonly attachments?: readonly Attachment[];
}

/** Records what sources give, one capture each time one comes; tells of each as it is committed. */
async function recordSources(
  ledger: Ledger,
  options: RecorderOptions,
  sources: AsyncIterable<GuestSource>,
  listener: RecordListener,
  beside: BesideRequest = {},
): Promise<void> {
  const recorder = await openRecorder(ledger, options);
  const { vm } = options;
  try {
    for await (const source of sources) {
      const row = await recorder.record({ ...(await run(source.capture())), ...beside });
      listener.onCapture(row);
      const doubt = timeDoubt(vm, row, ledger.vm(vm).captures.at(-2));
      if (doubt !== null) listener.onWarning(doubt);
    }
  } finally {
    await recorder.close();
  }
}

/** What `recordImages` records: files, each a capture, oldest first. */
export interface ImageRequest extends Omit<OpenSourceRequest, 'path' | 'clock' | 'known'> {
  readonly files: readonly string[];
  /**
   * Files that the VM has a capture of already (the same name, size and time) are passed over, also where
   * that was forgotten; a folder is the regular files in it, oldest first.
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
    for (; this.#seen < entry.captures.length; this.#seen += 1)
      this.#add(entry.captures[this.#seen]!.image);
  }

  #add(image: ImageFacts | null): void {
    if (image !== null) this.#keys.add(keyOf(image));
  }

  has(facts: ImageFacts | null): boolean {
    this.#look();
    return facts !== null && this.#keys.has(keyOf(facts));
  }
}

/** The blocks of memory that a VM has, as far as is folded. */
const blocksOf = (ledger: Ledger, vm: string): readonly MemoryBlock[] =>
  ledger.state.catalogue.vms.get(vm)?.state.registered?.memoryMap.blocks ?? [];

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
  await ledger.raiseFormat();
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

/** What `recordGuest` records: the live guest of a QMP socket, at every tick. */
export interface GuestRequest {
  /** Path of the guest's QMP socket, its address in QEMU's words, or `libvirt:DOMAIN`. */
  readonly qmp: string;
  /** Where the socket that QEMU sends to is made; absent: where temporary files are. */
  readonly socketFolder?: string;
  /** How QEMU reaches this program: `unix` (a socket in a folder; the default) or `tcp`. */
  readonly stream?: 'unix' | 'tcp';
  /**
   * What /bin/sh runs while the guest stands still for a capture, and after what time it is killed;
   * its output, at most 64 KiB, is kept beside the capture. Absent: nothing.
   */
  readonly atCapture?: { readonly command: string; readonly timeoutMs: number };
  readonly everyMs: number;
  /** Captures to take; null: until stopped. */
  readonly count: number | null;
  readonly signal: AbortSignal;
  /** For temporary files; absent: the system's. */
  readonly folder?: string;
}

/** Who is told how recording a live guest goes on. */
export interface GuestListener extends RecordListener {
  /** Whether the guest is at work on a capture; meanwhile it is best waited for. */
  readonly onSending?: (isSending: boolean) => void;
  /** A tick came while the capture before it was still being recorded. */
  readonly onSkip: (ticks: number) => void;
}

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted || ms <= 0) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });

/** A guest whose captures are told of while they are taken. */
const toldOf = (guest: GuestSource, onSending: (isSending: boolean) => void): GuestSource => ({
  warnings: guest.warnings,
  capture: () => async () => {
    onSending(true);
    try {
      return await guest.capture()();
    } finally {
      onSending(false);
    }
  },
  close: () => guest.close(),
});

/** How a live guest is reached, and what runs while it stands still. */
function howOf(ledger: Ledger, vm: string, request: GuestRequest, listener: GuestListener) {
  const { folder, socketFolder, stream, atCapture } = request;
  const environment = { PAGELEDGER_VM: vm };
  return {
    onDoubt: listener.onWarning,
    known: () => blocksOf(ledger, vm),
    ...(folder === undefined ? {} : { folder }),
    ...(socketFolder === undefined ? {} : { socketFolder }),
    ...(stream === undefined ? {} : { stream }),
    ...(atCapture === undefined
      ? {}
      : { atCapture: { ...atCapture, folder: process.cwd(), environment } }),
  };
}

/** A live guest at every tick, until it is enough. */
async function* atTicks(
  ledger: Ledger,
  vm: string,
  request: GuestRequest,
  listener: GuestListener,
): AsyncGenerator<GuestSource> {
  const { qmp, signal } = request;
  const count = request.count ?? Infinity;
  const guest = toldOf(
    await run(
      LIVE_GUESTS.qmp({ qmp, clock: ledger.clock, ...howOf(ledger, vm, request, listener) }),
    ),
    listener.onSending ?? (() => undefined),
  );
  try {
    for (const sentence of guest.warnings) listener.onWarning(sentence);
    const start = performance.now();
    const ticks = new Ticks(request.everyMs);
    for (let taken = 0; taken < count; taken += 1) {
      if (taken > 0) {
        const { waitMs, skipped } = ticks.next(performance.now() - start);
        if (skipped > 0) listener.onSkip(skipped);
        await sleep(waitMs, signal);
      }
      if (signal.aborted) break;
      yield guest;
    }
  } finally {
    guest.close();
  }
}

/** Records a live guest again and again; an abort lets the capture under way finish. */
export const recordGuest = (
  ledger: Ledger,
  options: RecorderOptions,
  request: GuestRequest,
  listener: GuestListener,
): Promise<void> =>
  recordSources(ledger, options, atTicks(ledger, options.vm, request, listener), listener);

/** A grid of instants. Those that pass while a capture is under way are skipped, never queued. */
class Ticks {
  readonly #everyMs: number;
  #last = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** The tick to wait for after one was used, and how many before it went by. */
  next(elapsedMs: number): { readonly waitMs: number; readonly skipped: number } {
    const wanted = this.#last + 1;
    this.#last = Math.max(wanted, Math.ceil(elapsedMs / this.#everyMs));
    return { waitMs: this.#last * this.#everyMs - elapsedMs, skipped: this.#last - wanted };
  }
}

// Recording, joined: sources of guests on one side, the recorder on the other. Which sources there are is
// in record-images.ts and record-guest.ts.

import { randomBytes } from 'node:crypto';
import * as either from 'fp-ts/lib/Either.js';
import { openFingerprintFiles } from '../../stores/keys/fingerprint-files.ts';
import { lockRecorder } from '../../stores/locks/recorder-lock.ts';
import { announceWriter } from '../../stores/locks/writers-presence.ts';
import { commitDigest } from '../../../domain/evidence.ts';
import {
  areBlocksSalted,
  areEventsShort,
  hasFormat,
  recordedCompression,
} from '../../../domain/ledger.ts';
import type { Attachment } from '../../../domain/values/attachment.ts';
import { initialLargePages } from '../../../domain/large-pages.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { initialVm, recorderRefusal, timeDoubt } from '../../../domain/vm.ts';
import {
  Recorder,
  type RecorderOptions,
  type RecordPorts,
} from '../../../domain/use-cases/record/recorder.ts';
import type { GuestCapture, GuestSource } from '../../../domain/ports/guests.ts';
import type { RecorderModels } from '../../../domain/ports/models.ts';
import type { MemoryBlock } from '../../../domain/values/memory-map.ts';
import { isLinkedVm, type CaptureRow } from '../../../projections/models/vm-entry.ts';
import { LayeredCaptureView } from '../../../projections/models/capture-view.ts';
import { assert } from '../../../domain/values/assert.ts';
import { IndexUnfit } from '../../../projections/models/identifier-index.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { tableOf } from '../ledger/vm-point.ts';
import { noticeLosses, tellFailure } from '../verify/losses.ts';
import { PackMerger } from './merge.ts';
import { run } from '../../../domain/ports/run.ts';

function recorderModels(ledger: Ledger, options: RecorderOptions): RecorderModels {
  const { state } = ledger;
  return {
    pasts: () => state.pasts,
    catchUp: (past) => state.catchUp({ heavy: true, ...(past === undefined ? {} : { past }) }),
    vm: (vm) => state.catalogue.vms.get(vm)?.state ?? initialVm,
    position: (vm, capture) => state.catalogue.vms.get(vm)?.capture(capture)?.position ?? null,
    lostTail: (vm) => state.catalogue.vms.get(vm)?.lostTail ?? null,
    lostStore: () => state.catalogue.lostStore,
    tableAt: (vm, capture) => {
      const entry = ledger.vm(vm);
      const point = { entry, row: ledger.resolve(entry, `@${capture}`) };
      return tableOf(ledger, point, { isWhole: false });
    },
    regions: (vm) => state.regions.get(vm) ?? initialLargePages,
    captureView: async (vm, wants) => {
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
      return new LayeredCaptureView({ ...models, known, ...wants });
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
  const readied = async () => {
    await noticeLosses(ledger);
    return { engine: await ledger.engine(), pages: await ledger.pageReader() };
  };
  const { engine, pages } = await readied().catch(async (thrown: unknown) => {
    await lock.release();
    throw thrown;
  });
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
        areEventsShort: () => areEventsShort(ledger.state.catalogue.facts),
        compression: () => recordedCompression(ledger.state.catalogue.facts),
        checkPast: () => ledger.marks.check(),
        openGroup: (group) => ledger.openGroup(group),
        hasFormat: (format) => hasFormat(ledger.state.catalogue.facts, format),
        raiseFormat: (format) => ledger.raiseFormat(format),
        fingerprints: fingerprintsOf(ledger),
      },
      options,
    );
  let recorder = make();
  const merger = new PackMerger(ledger);
  const record = async (captured: GuestCapture): Promise<CaptureRow> =>
    foldedRow(ledger, options.vm, (await recorder.record(captured)).capture);
  const recordAgain = async (captured: GuestCapture, thrown: unknown): Promise<CaptureRow> => {
    // Derived state was damaged: it is made anew from the log, and nothing was committed.
    if (thrown instanceof IndexUnfit) await ledger.state.rebuild();
    else if (!(await tellFailure(ledger, thrown))) throw thrown;
    recorder = make();
    return record(captured);
  };
  return {
    record: async (captured) => {
      const row = await record(captured).catch((thrown) => recordAgain(captured, thrown));
      await merger.merge();
      return row;
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
  /** A capture is committed, and its memory still at hand. The next one is taken after this. */
  readonly onRecorded?: (row: CaptureRow, captured: GuestCapture) => Promise<void>;
  /** What a person should know: the time of a capture is kept as it is, whatever it is. */
  readonly onWarning: (sentence: string) => void;
}

/** What a person wants kept beside captures. */
export interface BesideRequest {
  readonly note?: string;
  readonly attachments?: readonly Attachment[];
}

/** Records what sources give, one capture each time one comes; tells of each as it is committed. */
export async function recordSources(
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
      const captured = { ...(await run(source.capture())), ...beside };
      const row = await recorder.record(captured);
      listener.onCapture(row);
      const { rows } = ledger.vm(vm);
      const doubt = timeDoubt(vm, row, rows.at(rows.length - 2));
      if (doubt !== null) listener.onWarning(doubt);
      await listener.onRecorded?.(row, captured);
    }
  } finally {
    await recorder.close();
  }
}

/** The blocks of memory that a VM has, as far as is folded. */
export const blocksOf = (ledger: Ledger, vm: string): readonly MemoryBlock[] =>
  ledger.state.catalogue.vms.get(vm)?.state.registered?.memoryMap.blocks ?? [];

// Recording: captures of one VM, one after the other, by one recorder. Content is durable
// before the event that refers to it; an interrupted capture is invisible.

import {
  BESIDE_FORMAT,
  formatOfAll,
  UNKNOWN_FORMAT,
  type ControlEvent,
  type SharePolicy,
} from '../../events/control.ts';
import { attachmentsRefusal, noteRefusal } from '../../values/attachment.ts';
import { toHex } from '../../values/identifier.ts';
import { refuse } from '../../values/refused.ts';
import type { Fingerprints, PageEngine } from '../../ports/page-engine.ts';
import type { GuestCapture } from '../../ports/guests.ts';
import { isLedgerError, LedgerError } from '../../values/ledger-error.ts';
import { pageCountOf, type MemoryMap } from '../../values/memory-map.ts';
import type { Position } from '../../ports/event-log.ts';
import { LOOK_COUNTS_MS } from '../../ports/page-store.ts';
import type { RecorderModels } from '../../ports/models.ts';
import { vmStream } from '../../events/streams.ts';
import {
  captureRefusal,
  decideVm,
  DEFAULT_GROUP,
  isAlone,
  privateGroupOf,
  type ParentPoint,
} from '../../vm.ts';
import { HELD_LARGE_FORMAT } from '../../events/pack-written.ts';
import { CaptureWriter, type CaptureCounts, type CapturePorts } from './capture.ts';
import { knownElsewhere, refuseChanged, ZeroedPages } from './doubtful-image.ts';
import {
  forgetFingerprint,
  forgetFingerprints,
  keepFingerprints,
  VmFingerprints,
  type FingerprintStore,
} from './fingerprints.ts';
import { encodeControls } from '../../events/envelope.ts';
import { accepted, valueOf } from '../../ports/run.ts';
import { isConflict, StreamEnd } from '../stream-end.ts';
import { WantedRegions, type LargeHolding } from './wanted-regions.ts';

/** Makes sure of a group in the ledger and of its key in the engine; gives the group's name. */
export type OpenGroup = (group: string) => Promise<void>;

export interface RecordPorts extends CapturePorts {
  readonly engine: PageEngine;
  readonly models: RecorderModels;
  readonly fingerprints: FingerprintStore;
  readonly openGroup: OpenGroup;
  /** Whether the ledger's format is at least this one. */
  readonly hasFormat: (format: number) => boolean;
  /** Raises it, before the first event that releases of an earlier one do not know. */
  readonly raiseFormat: (format: number) => Promise<void>;
  /** LOG_TOO_OLD where packs were deleted by what the log does not have. */
  readonly checkPast: () => Promise<void>;
}

export interface Committed extends CaptureCounts {
  readonly capture: number;
  readonly position: Position;
  readonly timeMs: number;
}

export interface RecorderOptions {
  readonly vm: string;
  readonly group: string | null;
  /** What the VM may share; absent: as it is, else with its group. */
  readonly share?: SharePolicy;
  /** The point that the guest was started from, where it is a clone; it counts with the VM's first capture. */
  readonly parent?: ParentPoint;
  /** Whether zeros of an image that may lack pages are zeros. */
  readonly isFull?: boolean;
  readonly onProgress?: (progress: { readonly pages: number; readonly pageCount: number }) => void;
  /** Which regions are held large. Absent: what is written is held small, and what is not stays as it is. */
  readonly large?: LargeHolding;
  /** Waits until so many pages may be looked at. Absent: any may, at once. */
  readonly pace?: (pages: number) => Promise<void>;
}

export class Recorder {
  readonly #ports: RecordPorts;
  readonly #options: RecorderOptions;
  readonly #fingerprints: VmFingerprints;
  /** The end of the VM's stream after this recorder's last commit, read back then; null: not known. */
  #committed: { readonly end: StreamEnd; readonly atMs: number } | null = null;
  #failure: unknown = null;

  constructor(ports: RecordPorts, options: RecorderOptions) {
    this.#ports = ports;
    this.#options = options;
    const { fingerprints: store, models } = ports;
    this.#fingerprints = new VmFingerprints(options.vm, { store, models });
  }

  /** The VM, and the group and scope it is to be recorded with. */
  #asked(): {
    readonly vm: string;
    readonly group: string | null;
    readonly share: SharePolicy | null;
  } {
    const { vm, group, share = null } = this.#options;
    const digest = (text: string): string =>
      toHex(this.#ports.sha256(new TextEncoder().encode(text)));
    return { vm, share, group: isAlone(share) ? privateGroupOf(vm, digest) : group };
  }

  /** Refuses a source that the VM cannot take, before any work. */
  async check(memoryMap: MemoryMap): Promise<void> {
    await this.#ports.models.catchUp();
    this.#checkKnown(memoryMap);
  }

  /** The same by what is known of the VM already. */
  #checkKnown(memoryMap: MemoryMap): void {
    const { models } = this.#ports;
    const { vm } = this.#options;
    const refusal = captureRefusal(models.vm(vm), { ...this.#asked(), memoryMap });
    if (refusal !== null) throw refuse(refusal);
    const lostStore = models.lostStore();
    if (lostStore !== null)
      throw new LedgerError(
        'LOG_DAMAGED',
        `events that say where content lies are lost (${lostStore}), so a capture might share what is gone; restore the log from a copy, or record into a new ledger`,
        { vm },
      );
    const lost = models.lostTail(vm);
    if (lost !== null)
      throw new LedgerError(
        'LOG_DAMAGED',
        `the history of VM ${vm} is damaged at its end (${lost}), so nothing can be recorded after it; run \`pageledger verify\`, or record under another name`,
        { vm },
      );
  }

  /** Records one capture. After a failure the recorder refuses further ones. */
  async record(captured: GuestCapture): Promise<Committed> {
    if (this.#failure !== null) throw this.#failure;
    try {
      return await this.#record(captured);
    } catch (thrown) {
      this.#failure = thrown;
      throw thrown;
    }
  }

  async #record(captured: GuestCapture): Promise<Committed> {
    const { models, openGroup } = this.#ports;
    const { vm } = this.#options;
    const { note = null, attachments = [] } = captured;
    const refusal = noteRefusal(note) ?? attachmentsRefusal(attachments.map(({ name }) => name));
    if (refusal !== null) throw refuse(refusal);
    let begun = await this.#begin(captured);
    if (attachments.length > 0) await this.#raise(BESIDE_FORMAT);
    if (captured.untold !== undefined) await this.#raise(UNKNOWN_FORMAT);
    const group = models.vm(vm).registered?.group ?? this.#asked().group ?? DEFAULT_GROUP;
    await openGroup(group);
    const pages = pageCountOf(captured.memoryMap);
    refuseSize(captured.image.label, pages);
    let obstacle: Obstacle | null = null;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      if (attempt > 1) begun = await this.#begin(captured);
      const tried = await this.#attempt(captured, { group, ...begun });
      if (typeof tried !== 'string') return tried;
      obstacle = tried;
    }
    throw obstacle === 'vanished' ? vanished(vm) : outrun(vm);
  }

  /**
   * The end of the VM's stream, once the VM can take the capture. Both are asked for at once: a capture
   * that came between them is met before the commit. Right after a commit of this recorder neither is
   * asked for: what came since is met before the next one.
   */
  async #begin({ memoryMap }: GuestCapture): Promise<Begun> {
    const last = this.#committed;
    this.#committed = null;
    if (last !== null && isFresh(this.#ports.clock() - last.atMs)) {
      this.#checkKnown(memoryMap);
      return { end: last.end, isAsked: false };
    }
    const stream = vmStream(this.#options.vm);
    const [end, checked] = await Promise.allSettled([
      StreamEnd.of(this.#ports.log, stream),
      this.check(memoryMap),
    ]);
    if (checked.status === 'rejected') throw checked.reason;
    if (end.status === 'rejected') throw end.reason;
    return { end: end.value, isAsked: true };
  }

  /** Takes the capture in and commits it, or says what came between. */
  async #attempt(
    captured: GuestCapture,
    begun: Begun & { readonly group: string },
  ): Promise<Committed | Obstacle> {
    try {
      return await this.#attemptOnce(captured, begun);
    } catch (thrown) {
      // Somebody appended to the VM's stream before this capture began, and nobody asked.
      if (begun.isAsked || !isConflict(thrown)) throw thrown;
      return 'outdated';
    }
  }

  async #attemptOnce(
    captured: GuestCapture,
    { group, end, isAsked }: Begun & { readonly group: string },
  ): Promise<Committed | Obstacle> {
    const { models, clock } = this.#ports;
    const { vm } = this.#options;
    const pages = pageCountOf(captured.memoryMap);
    const regions = this.#regions(pages);
    if (regions.areAny) await this.#raise(HELD_LARGE_FORMAT);
    const startedAtMs = clock();
    const past = models.pasts();
    const before = models.vm(vm);
    if (captured.asBefore !== undefined && before.captures === 0)
      throw refuse({ _tag: 'NothingBefore', vm });
    const view = await models.captureView(vm, { pages, regions });
    // What damage took is written anew, also where it did not change.
    const previous = view.isWhole ? await this.#fingerprints.of(before.captures, pages) : null;
    const elsewhere = await knownElsewhere(models, captured);
    if (previous !== null) {
      forgetFingerprints(captured, previous);
      const bytes = new Uint8Array(previous);
      for (const gfn of regions.changed(view, captured)) forgetFingerprint(bytes, gfn);
    }
    const next = this.#fingerprints.room(pages);
    const place = {
      vm,
      end,
      group,
      capture: before.captures + 1,
      previous,
      next,
      elsewhere,
      regions,
      onProgress: (done: number) => this.#options.onProgress?.({ pages: done, pageCount: pages }),
      pace: this.#options.pace ?? null,
    };
    const writer = new CaptureWriter(this.#ports, view, { captured, place });
    const zeroed = new ZeroedPages(view, captured);
    let isComplete = true;
    const ready = await this.#unlessFailed(writer, async () => {
      const counts = await writer.run();
      await this.#checkImage(captured, { zeroed, taken: next });
      keepFingerprints(captured, { previous, next });
      this.#checkTime(startedAtMs);
      // Each of them asks another server, where there are two.
      const [outdated, old] = await Promise.allSettled([models.catchUp(), this.#ports.checkPast()]);
      if (outdated.status === 'rejected') throw outdated.reason;
      // What was decided stands on events that are not in the log any more.
      const isReplaced = models.pasts() !== past;
      if (isReplaced && isAsked) throw replaced(vm);
      if (old.status === 'rejected') throw old.reason;
      if (isReplaced || view.isOutdated() || models.vm(vm).captures !== before.captures)
        return null;
      // Last, as whoever takes them for what nobody needs may do so until the commit is there.
      isComplete = await writer.arePacksThere();
      return isComplete ? { counts, events: this.#commitOf(captured, counts) } : null;
    });
    if (ready === null) {
      this.#fingerprints.giveBack(next);
      return isComplete ? 'outdated' : 'vanished';
    }
    const committed = await this.#unlessFull(writer, () => this.#commit(captured, writer, ready));
    const atMs = clock();
    await models.catchUp(committed.position);
    this.#committed = { end, atMs };
    this.#fingerprints.giveBack(previous);
    this.#fingerprints.take(committed, next);
    return committed;
  }

  /** Which regions of the VM, with so many pages, are to be held large. */
  #regions(pages: number): WantedRegions {
    const { vm, large: holding = 'as written' } = this.#options;
    return new WantedRegions({ holding, pages, regions: this.#ports.models.regions(vm) });
  }

  /** Refuses an image that is not the VM's whole memory at one moment. */
  async #checkImage(
    captured: GuestCapture,
    of: { readonly zeroed: ZeroedPages; readonly taken: Fingerprints },
  ): Promise<void> {
    const refusal = this.#options.isFull === true ? null : of.zeroed.refusal(this.#options.vm);
    if (refusal !== null) throw refuse(refusal);
    if ((await captured.mayHaveChanged?.()) === true)
      await refuseChanged(this.#ports.engine, captured.image, of.taken);
  }

  /**
   * Makes a capture ready to be committed. Where that fails, or gives null, its packs are taken back:
   * on a full disk they would be what fills it.
   */
  async #unlessFailed<A>(writer: CaptureWriter, work: () => Promise<A | null>): Promise<A | null> {
    let ready: A | null = null;
    let isAnswered = true;
    try {
      ready = await work();
      return ready;
    } catch (thrown) {
      // A store that is away would be waited for once more.
      isAnswered = !isLedgerError(thrown) || thrown.code !== 'STORE_UNREACHABLE';
      throw thrown;
    } finally {
      if (ready === null && isAnswered) await writer.takeBack();
    }
  }

  /**
   * Commits a capture. Where the disk of the log has no room for that, and reading the log again shows
   * nothing of it, its packs are taken back. After any other answer the commit may still be on its way.
   */
  async #unlessFull(writer: CaptureWriter, commit: () => Promise<Committed>): Promise<Committed> {
    const { models } = this.#ports;
    const { captures } = models.vm(this.#options.vm);
    try {
      return await commit();
    } catch (thrown) {
      if (isLedgerError(thrown) && thrown.code === 'DISK_FULL') {
        await models.catchUp();
        if (models.vm(this.#options.vm).captures === captures) await writer.takeBack();
      }
      throw thrown;
    }
  }

  /** What was put so long ago may have been deleted as what nobody names. */
  #checkTime(startedAtMs: number): void {
    const ms = this.#ports.clock() - startedAtMs;
    if (ms <= CAPTURE_MS_MAX) return;
    throw new LedgerError(
      'IO_FAILED',
      `the capture took ${Math.round(ms / 1000)} s, and at most ${CAPTURE_MS_MAX / 1000} s are allowed, as what is stored and not committed for a day may be deleted; nothing of it is in the ledger: record again`,
      { found: ms, expected: CAPTURE_MS_MAX },
    );
  }

  #commitOf(captured: GuestCapture, counts: CaptureCounts): readonly ControlEvent[] {
    const { memoryMap, argv, timeMs, pauseMs, mode, source, note = null, file = null } = captured;
    const { areRangesTold = false } = captured;
    const { attachments, ...counted } = counts;
    const { parent } = this.#options;
    const decision = decideVm(this.#ports.models.vm(this.#options.vm))({
      _tag: 'CommitCapture',
      ...this.#asked(),
      memoryMap,
      areRangesTold,
      argv,
      timeMs,
      measured: { ...counted, pauseMs, mode, source },
      ...(parent === undefined ? {} : { parent }),
      beside: { note, attachments, image: this.#ports.hasFormat(BESIDE_FORMAT) ? file : null },
    });
    return accepted(decision);
  }

  async #commit(
    { timeMs }: GuestCapture,
    writer: CaptureWriter,
    of: { readonly counts: CaptureCounts; readonly events: readonly ControlEvent[] },
  ): Promise<Committed> {
    const capture = this.#ports.models.vm(this.#options.vm).captures + 1;
    await this.#raise(formatOfAll(of.events));
    const encoded = valueOf(encodeControls(this.#ports, of.events));
    // All captures of the VM need what says where its memory lies.
    const isApart = of.events.some(
      ({ type }) => type === 'VmRegistered' || type === 'MemoryMapChanged',
    );
    const { position } = await writer.log.commit(encoded, { isApart });
    return { ...of.counts, capture, position, timeMs };
  }

  async #raise(format: number): Promise<void> {
    if (format > 1 && !this.#ports.hasFormat(format)) await this.#ports.raiseFormat(format);
  }

  /** Keeps the fingerprints of the last capture for the next recorder. */
  close(): Promise<void> {
    return this.#fingerprints.save();
  }
}

/**
 * What may come between a capture and its commit, so that it is taken in once more: compaction gave back
 * what it links to, or somebody took away what it stored.
 */
type Obstacle = 'outdated' | 'vanished';

/** The end of the VM's stream as a capture begins, and whether the log was asked for it then. */
interface Begun {
  readonly end: StreamEnd;
  readonly isAsked: boolean;
}

/** How long what the log said last counts as what it says. A clock that was set back tells nothing. */
const FRESH_MS_MAX = 1000;
const isFresh = (ageMs: number): boolean => ageMs >= 0 && ageMs <= FRESH_MS_MAX;

/** How often a capture is taken in before it is given up. */
const ATTEMPTS_MAX = 3;
/** Longest time from a capture's first pack to its commit. */
const CAPTURE_MS_MAX = LOOK_COUNTS_MS;

const replaced = (vm: string): LedgerError =>
  new LedgerError(
    'LOG_REPLACED',
    `the log was put back from a copy, or lost its end, while a capture of VM ${vm} was recorded; nothing of the capture counts: record again`,
    { vm },
  );

const outrun = (vm: string): LedgerError =>
  new LedgerError(
    'COMPACTION_BUSY',
    `what the capture of VM ${vm} shares was given back by compaction ${ATTEMPTS_MAX} times while it was recorded; nothing of it is in the ledger: record again when no compaction runs`,
    { vm },
  );

const vanished = (vm: string): LedgerError =>
  new LedgerError(
    'PACK_MISSING',
    `packs that a capture of VM ${vm} stored were gone before its commit, ${ATTEMPTS_MAX} times in a row; nothing of it is in the ledger: see what deletes files or objects in the page store, then record again`,
    { vm },
  );

/** Most pages that a recorder takes (256 GiB): their fingerprints are in memory twice. */
const RECORDED_PAGES_MAX = 2 ** 26;

function refuseSize(label: string, pages: number): void {
  if (pages <= RECORDED_PAGES_MAX) return;
  throw new LedgerError(
    'SOURCE_SIZE',
    `${label} has ${pages} pages; at most ${RECORDED_PAGES_MAX} (256 GiB) can be recorded`,
    { found: pages, expected: RECORDED_PAGES_MAX },
  );
}

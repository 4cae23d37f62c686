// Compaction, step by step; after each one the ledger is whole,
// and whoever comes next goes on from what is there:
//
//   0. delete what earlier ones left to delete, as that alone needs no room
//   1. find out what kept points need, and which packs are worth emptying
//   2. let go, in an event, of what nobody needs in those packs
//   3. write what is needed of them into new packs, each named in an event once it is durable
//   4. let go of what only patches needed that were rewritten
//   5. delete the packs in which nothing lies any more, when nobody can refer to them again
//
// What cannot be read is passed over: its packs stay as they are, and nothing refers to them anew.
//
// One compaction appends at a time: the stream `store` arbitrates.

import {
  decideStore,
  evolveStore,
  initialStore,
  type PackSlots,
  type StoreCommand,
  type StoreEvent,
  type StoreState,
} from '../../store.ts';
import { groupedBy } from '../../values/grouped.ts';
import { placeAt } from '../../values/place.ts';
import { LedgerError } from '../../values/ledger-error.ts';
import { UNKNOWN, isContent, type Holding } from '../../values/holding.ts';
import type { Clock } from '../../ports/clock.ts';
import type { EventLog } from '../../ports/event-log.ts';
import type { PackRewritten } from '../../events/pack-rewritten.ts';
import { STORE_STREAM } from '../../events/streams.ts';
import type { Actor } from '../../events/actor.ts';
import { encodeStoreEvent, type StoreEventPorts } from './store-events.ts';
import { valueOf } from '../../ports/run.ts';
import { isConflict, StreamEnd } from '../stream-end.ts';
import { deletePacks, type Deleted, type DeletionPorts } from './deletion.ts';
import { gainOf, type Gain } from './gain.ts';
import { GroupRewriter } from './group-rewriter.ts';
import { descriptorsOf, type KeptDescriptor } from './kept-patterns.ts';
import { largeUnits } from './large-units.ts';
import type { CompactModels, Survey, SurveyedPack } from './models.ts';
import { PackRewriter, type RewritePorts } from './pack-rewriter.ts';
import { candidatesIn, chosenOf } from './policy.ts';
import { RewritePlan } from './rewrite-plan.ts';

export interface CompactPorts
  extends Omit<RewritePorts, 'append' | 'places'>, Omit<DeletionPorts, 'catchUp' | 'clock'> {
  readonly log: EventLog;
  readonly clock: Clock;
  /** Who compacts, as events say; absent: they do not. */
  readonly by?: Actor;
  readonly models: CompactModels;
  readonly areEventsShort: StoreEventPorts['areEventsShort'];
  /** Whether what is released is named where it lies: not in a ledger that programs read which look for it at home. */
  readonly areReleasesLying: () => boolean;
}

/** How a compaction goes: what waits how long before it is deleted, and whether it only says what it would do. */
export interface CompactRequest {
  readonly graceMs: number;
  readonly isDryRun: boolean;
  /** Stops after the pack under way. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly pages: number; readonly pageCount: number }) => void;
}

/** What a compaction did, or, of a dry run, would do. */
export interface Compacted {
  /** Of the packs that were emptied, and what they became; of a dry run, about. */
  readonly rewritten: Gain & { readonly packs: number; readonly pages: number };
  /** Contents and patterns that nobody needed. */
  readonly released: number;
  readonly deleted: Deleted;
  /** Packs with pages that kept points need, which were passed over: not all in them can be read. */
  readonly unreadable: { readonly packs: number; readonly bytes: number };
  /** Bytes of what it added: packs, and events that name them. */
  readonly writtenBytes: number;
  /** Packs that it was stopped before it had emptied; where it was not stopped, none. */
  readonly left: { readonly packs: number; readonly bytes: number };
  readonly isStopped: boolean;
}

/** Packs of a group that are to be emptied. */
interface Job {
  readonly group: string;
  readonly packs: readonly SurveyedPack[];
  readonly gain: Gain;
}

const busy = (cause: LedgerError): LedgerError =>
  new LedgerError(
    'COMPACTION_BUSY',
    'another process compacts this ledger, and only one does at a time; what this one wrote so far stays right: run `pageledger compact` again when the other has ended',
    {},
    cause,
  );

/** The stream that says where content lies: this process is the only one to append to it. */
class StoreStream {
  readonly #ports: CompactPorts;
  readonly #end: StreamEnd;
  /** Since it began: it finds in the models what was said before. */
  #said: StoreState = initialStore;
  /** Bytes of the events that it appended. */
  #bytes = 0;

  constructor(ports: CompactPorts, end: StreamEnd) {
    this.#ports = ports;
    this.#end = end;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async #append(event: StoreEvent): Promise<void> {
    const events = valueOf(encodeStoreEvent(this.#ports, event));
    try {
      await this.#end.append(events);
      this.#bytes += events.reduce((sum, { data }) => sum + data.length, 0);
    } catch (thrown) {
      throw isConflict(thrown) ? busy(thrown) : thrown;
    }
  }

  /** Says what a command brings about, beside what this compaction has said. */
  async decide(command: StoreCommand): Promise<void> {
    const events = valueOf(decideStore(this.#said)(command));
    for (const event of events) {
      await this.#append(event);
      this.#said = evolveStore(this.#said, event);
    }
    if (events.length > 0) await this.#ports.models.catchUp();
  }
}

class Compaction {
  readonly #ports: CompactPorts;
  readonly #request: CompactRequest;
  readonly #stream: StoreStream;
  #survey: Survey;
  #unreadable: ReadonlySet<number> = new Set();
  readonly #planned = new Set<Job>();
  readonly #finished = new Set<Job>();
  #released = 0;
  #pages = 0;
  #bytesAfter = 0;

  constructor(
    ports: CompactPorts,
    of: { request: CompactRequest; survey: Survey; stream: StoreStream },
  ) {
    this.#ports = ports;
    this.#request = of.request;
    this.#survey = of.survey;
    this.#stream = of.stream;
  }

  get #isStopped(): boolean {
    return this.#request.signal?.aborted ?? false;
  }

  /** What holds pages that are needed, and cannot be read. */
  #passedOver(): SurveyedPack[] {
    return this.#survey.packs.filter((pack) => pack.held > 0 && this.#unreadable.has(pack.ordinal));
  }

  /** Compacts, or, where it is a dry run, plans it; what proves unreadable meanwhile is passed over. */
  async compact(): Promise<void> {
    const { models } = this.#ports;
    for (let isDone = false; !isDone;) {
      this.#unreadable = models.unreadable();
      try {
        const jobs = await this.#plan();
        for (const job of jobs) this.#planned.add(job);
        if (!this.#request.isDryRun) await this.#run(jobs);
        isDone = true;
      } catch (thrown) {
        if (!(await models.passOver(thrown))) throw thrown;
        for (const job of this.#planned) if (!this.#finished.has(job)) this.#planned.delete(job);
        await models.catchUp();
        this.#survey = await models.survey();
      }
    }
  }

  /** What is worth doing, by group. */
  async #plan(): Promise<Job[]> {
    const { models, engine, store } = this.#ports;
    const passedOver = new Set(this.#passedOver());
    const readable = this.#survey.packs.filter((pack) => !passedOver.has(pack));
    const groups = groupedBy(readable, ({ group }) => group);
    const jobs: Job[] = [];
    for (const [group, all] of groups) {
      const packs = candidatesIn(all);
      if (packs.length === 0) continue;
      const gain = await gainOf({ engine, store, places: models.places }, packs);
      const chosen = chosenOf(packs, gain);
      if (chosen.length > 0) jobs.push({ group, packs: chosen, gain });
    }
    return jobs;
  }

  async #run(jobs: readonly Job[]): Promise<void> {
    const { models } = this.#ports;
    const packs = jobs.flatMap((job) => job.packs);
    const pageCount = packs.reduce((sum, { held }) => sum + held, 0);
    await this.#release(packs);
    for (const job of jobs) {
      if (this.#isStopped) return;
      await this.#rewrite(job, pageCount);
      if (!this.#isStopped) this.#finished.add(job);
    }
    if (this.#isStopped) return;
    await models.catchUp();
    await this.#survey.refresh();
    await this.#release(packs);
  }

  /** Lets go of what lies in these packs and nobody needs. */
  async #release(packs: readonly SurveyedPack[]): Promise<void> {
    const emptied = new Set(packs);
    const others = this.#survey.packs.filter((pack) => !emptied.has(pack));
    const released = [
      ...packs.flatMap((pack) => this.#unneededIn(pack)),
      ...(packs.length === 0 ? [] : others.flatMap((pack) => this.#deadPatchesIn(pack))),
    ];
    const byPack = groupedBy(released, ({ pack }) => pack);
    const slots: PackSlots[] = [...byPack].map(([pack, of]) => ({
      pack,
      slots: of.map(({ slot }) => slot).toSorted((a, b) => a - b),
    }));
    const { seen } = this.#survey;
    const areLying = this.#ports.areReleasesLying();
    await this.#stream.decide({ _tag: 'ReleaseContent', released: slots, areLying, seen });
    this.#released += released.length;
  }

  #lyingIn(pack: SurveyedPack): Holding[] {
    const { places } = this.#ports.models;
    const first = placeAt(pack.ordinal, 0);
    const lying: Holding[] = [];
    for (let slot = 0; slot < pack.slots; slot += 1) {
      const holding = places.holdingOfSlot(first + slot);
      if (holding !== UNKNOWN && places.placeOf(holding) === first + slot) lying.push(holding);
    }
    return lying;
  }

  /**
   * Patches in a pack that stays which nobody needs, no more than what they refer to: once that is let
   * go of, nobody may link to them.
   */
  #deadPatchesIn(pack: SurveyedPack): { readonly pack: string; readonly slot: number }[] {
    const { places } = this.#ports.models;
    const first = placeAt(pack.ordinal, 0);
    return [...places.packAt(first).patches.slots]
      .map((slot) => ({ place: first + slot, holding: places.holdingOfSlot(first + slot) }))
      .filter(({ place, holding }) => holding !== UNKNOWN && places.placeOf(holding) === place)
      .filter(({ place, holding }) => {
        const reference = places.referenceAt(place);
        const isDead =
          reference !== null && isContent(reference) && !this.#survey.isNeeded(reference);
        return isDead && !this.#survey.isNeeded(holding);
      })
      .map(({ holding }) => this.#named(holding));
  }

  #unneededIn(pack: SurveyedPack): { readonly pack: string; readonly slot: number }[] {
    return this.#lyingIn(pack)
      .filter((holding) => !this.#survey.isNeeded(holding))
      .map((holding) => this.#named(holding));
  }

  /** How an event names what it lets go of. */
  #named(holding: Holding): { readonly pack: string; readonly slot: number } {
    const { models, areReleasesLying } = this.#ports;
    return areReleasesLying() ? models.places.source(holding) : models.places.reference(holding);
  }

  async #rewrite({ group, packs }: Job, pageCount: number): Promise<void> {
    const { models, signal } = { ...this.#ports, ...this.#request };
    const { places } = models;
    const emptied = new Set(packs.map(({ ordinal }) => ordinal));
    const plan = new RewritePlan({
      places,
      survey: this.#survey,
      emptied,
      unreadable: this.#unreadable,
    });
    const append = async (pack: PackRewritten): Promise<void> => {
      await this.#stream.decide({ _tag: 'RewriteContent', pack });
      this.#bytesAfter += pack.sizeBytes;
      signal?.throwIfAborted();
    };
    const onPages = (pages: number): void => {
      this.#pages += pages;
      this.#request.onProgress?.({ pages: this.#pages, pageCount });
    };
    const { engine, pages } = this.#ports;
    const writer = new PackRewriter({ ...this.#ports, places, append }, { group, onPages });
    const rewriter = new GroupRewriter({ engine, pages, plan, writer });
    try {
      // What was laid out for reading stays so.
      for await (const holdings of models.laidOut(group)) await rewriter.addLaidOut(holdings);
      // What the newest captures hold comes first: nothing of it becomes a patch of another VM's.
      for (const vm of models.vmsOf(group)) {
        const newest = (await models.versions(vm))?.newest;
        if (newest === undefined) continue;
        for (const unit of largeUnits(newest, places)) await rewriter.addLaidOut(unit);
        await rewriter.addNewest(newest.holdings);
      }
      for (const vm of models.vmsOf(group)) {
        signal?.throwIfAborted();
        const versions = await models.versions(vm);
        if (versions !== null) await rewriter.addOlder(versions);
      }
      const isNeeded = (holding: Holding): boolean =>
        isContent(holding) && this.#survey.isNeeded(holding);
      for (const pack of packs) await rewriter.addNewest(this.#lyingIn(pack).filter(isNeeded));
      await rewriter.finish(await this.#patternsIn(packs));
    } catch (thrown) {
      if (!this.#isStopped) throw thrown;
    } finally {
      await rewriter.abandon();
    }
  }

  async #patternsIn(packs: readonly SurveyedPack[]): Promise<KeptDescriptor[]> {
    const { engine, store, models } = this.#ports;
    const kept: KeptDescriptor[] = [];
    for (const pack of packs) {
      const ports = { engine, store, places: models.places };
      kept.push(...(await descriptorsOf(ports, pack, this.#survey)));
    }
    return kept;
  }

  /** Of a compaction that was stopped, only groups that it came to the end of count. */
  done(deleted: Deleted): Compacted {
    const jobs = [...(this.#isStopped ? this.#finished : this.#planned)];
    const packs = jobs.reduce((sum, job) => sum + job.packs.length, 0);
    const bytesBefore = jobs.reduce((sum, job) => sum + bytesOf(job.packs), 0);
    const { isDryRun } = this.#request;
    const bytesAfter = isDryRun
      ? jobs.reduce((sum, { gain }) => sum + gain.bytesAfter, 0)
      : this.#bytesAfter;
    const rewritten = { packs, pages: this.#pages, bytesBefore, bytesAfter };
    const passedOver = this.#passedOver();
    const unreadable = { packs: passedOver.length, bytes: bytesOf(passedOver) };
    const unfinished = [...this.#planned].filter((job) => !this.#finished.has(job));
    const isLeft = (pack: SurveyedPack): boolean =>
      this.#lyingIn(pack).some((holding) => this.#survey.isNeeded(holding));
    const left = this.#isStopped ? unfinished.flatMap((job) => job.packs).filter(isLeft) : [];
    return {
      rewritten,
      released: this.#released,
      deleted,
      unreadable,
      writtenBytes: this.#bytesAfter + this.#stream.bytes,
      left: { packs: left.length, bytes: bytesOf(left) },
      isStopped: this.#isStopped,
    };
  }
}

const bytesOf = (packs: readonly SurveyedPack[]): number =>
  packs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** What was deleted at first and in the end; what waits is what waited in the end. */
const together = (first: Deleted | null, last: Deleted): Deleted => ({
  ...last,
  packs: last.packs + (first?.packs ?? 0),
  bytes: last.bytes + (first?.bytes ?? 0),
});

/** Compacts a ledger. COMPACTION_BUSY, LOG_DAMAGED, and what reading and writing packs may say. */
export async function compactLedger(
  ports: CompactPorts,
  request: CompactRequest,
): Promise<Compacted> {
  const { models, log } = ports;
  const end = await StreamEnd.of(log, STORE_STREAM);
  await models.catchUp();
  const catchUp = (): Promise<void> => models.catchUp();
  const deletion = { ...ports, catchUp };
  // First what needs no writing: on a full disk it makes the room for all that does.
  const before = request.isDryRun ? null : await deletePacks(deletion, request);
  const survey = await models.survey();
  const stream = new StoreStream(ports, end);
  const compaction = new Compaction(ports, { request, survey, stream });
  try {
    await compaction.compact();
  } catch (thrown) {
    // What was rewritten before it failed gives its room back, so that the next one comes further.
    if (!request.isDryRun) await deletePacks(deletion, request).catch(() => undefined);
    throw thrown;
  }
  return compaction.done(together(before, await deletePacks(deletion, request)));
}

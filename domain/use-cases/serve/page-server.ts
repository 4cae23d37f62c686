// Serves a guest that runs while its memory still arrives, from a point of the ledger. What it waits
// for is read at once and goes first; everything else is given behind it (page-queue.ts), by the
// engine's threads where it is much. Zeros are given by name, patterns are made, and what was decoded
// for one page serves all that hold it.

import { LedgerError } from '../../values/ledger-error.ts';
import { isContent, contentOf, isPattern, ZERO } from '../../values/holding.ts';
import { NumberSet } from '../../values/number-set.ts';
import { PAGE_BYTES } from '../../values/page.ts';
import { ownBytes, type LentBytes } from '../../values/spares.ts';
import { sharedMemory } from '../../ports/guests.ts';
import type { ArrivingGuest, PageDemand } from '../../ports/arriving-guest.ts';
import type { PageReader } from '../pages/page-reader.ts';
import { PageRooms } from './page-rooms.ts';
import { FILL_PAGES_MAX, PUSH_PAGES_MAX, type PageQueue, type Unasked } from './page-queue.ts';

/** Demands answered at once: a guest has several processors, and a store may be far away. */
const ANSWERS_MAX = 4;
/** Pages that are read on the caller's thread; more go to the engine's. */
const READ_PAGES_MAX = FILL_PAGES_MAX;

/** What was given, in pages, and for what. */
export interface ServeCounts {
  /** Demands, and how many of them were for pages that had been given by then. */
  readonly requests: number;
  readonly duplicates: number;
  /** Pages that were waited for. */
  readonly demanded: number;
  /** Pages that came with one that was, of its block or its storage block. */
  readonly filled: number;
  readonly prefetched: number;
  readonly pushed: number;
  /** Of all these: made without a read, zeros among them. */
  readonly fromPatterns: number;
  /** Of all these: with a content that another page had been given before. */
  readonly shared: number;
  /** Blocks that were read and decoded for what was waited for and what came with it. */
  readonly blocksRead: number;
}

/** Reads pages as a PageReader does, however long that takes: until `signal` ends it. */
export interface ServedReader {
  readonly blocksRead: number;
  readonly read: (
    ...of: [...Parameters<PageReader['read']>, signal: AbortSignal]
  ) => Promise<Uint8Array>;
  readonly fill: (...of: [...Parameters<PageReader['fill']>, signal: AbortSignal]) => Promise<void>;
}

export interface PageServerRequest {
  readonly guest: ArrivingGuest;
  readonly reader: ServedReader;
  readonly queue: PageQueue;
  /** What a message calls the point. */
  readonly label: string;
  /** Is told of every page that the guest waits for, in time. */
  readonly onDemanded?: (demand: PageDemand) => void;
}

/** How serving ended: all was given, the guest was left standing, or it is no more. */
export type Served = 'finished' | 'left' | 'gone';

/** Pages to give, and why; those that were asked for come first. */
interface Giving {
  readonly pages: Uint32Array;
  readonly why: Unasked;
  readonly asked: 0 | 1;
}

/** Lets somebody wait until something has changed. */
class Bell {
  #ring: () => void = () => undefined;
  #rung = Promise.resolve();

  constructor() {
    this.ring();
  }

  /** Wakes whoever waits. */
  ring(): void {
    this.#ring();
    this.#rung = new Promise((resolve) => {
      this.#ring = resolve;
    });
  }

  heard(): Promise<void> {
    return this.#rung;
  }
}

export class PageServer {
  readonly #request: PageServerRequest;
  readonly #queue: PageQueue;
  readonly #bell = new Bell();
  readonly #seen = new NumberSet();
  /** Where few pages are read to. */
  readonly #rooms = new PageRooms(READ_PAGES_MAX);
  /** Where many pages are read to: what is pushed waits in its own while others are given. */
  readonly #windows: { near?: SharedArrayBuffer; pushed?: SharedArrayBuffer } = {};
  readonly #counts = {
    requests: 0,
    duplicates: 0,
    demanded: 0,
    filled: 0,
    prefetched: 0,
    pushed: 0,
    fromPatterns: 0,
    shared: 0,
  };
  readonly #blocksBefore: number;
  /** Answers under way, and whether something is given unasked: near what was asked for, or pushed. */
  #answering = 0;
  #isGivingNear = false;
  #isPushing = false;
  #isPrefetching = false;
  #isLeft = false;
  #isOver = false;
  #isGiven = false;
  #failure: Error | null = null;
  /** Ends readings that nobody waits for any more. */
  readonly #stop = new AbortController();

  constructor(request: PageServerRequest) {
    this.#request = request;
    this.#queue = request.queue;
    this.#blocksBefore = request.reader.blocksRead;
  }

  get counts(): ServeCounts {
    return { ...this.#counts, blocksRead: this.#request.reader.blocksRead - this.#blocksBefore };
  }

  /** Gives everything from now on, asked for or not. */
  push(): void {
    this.#queue.push();
    this.#bell.ring();
  }

  /** Gives a few pages before all that nobody asks for. */
  prefetchFirst(pages: Uint32Array): void {
    this.#queue.prefetchFirst(pages);
    this.#bell.ring();
  }

  /** Gives what was withheld as all else from now on. */
  release(): void {
    this.#queue.release();
    this.#bell.ring();
  }

  /** Waits until all was given but what is withheld, or nothing is withheld any more. */
  async ahead(): Promise<void> {
    while (!(this.#queue.isAheadGiven && this.#isIdle) && this.isWithholding)
      await this.#bell.heard();
  }

  /** Waits until nothing is withheld any more, or serving ended. */
  async released(): Promise<void> {
    while (this.isWithholding) await this.#bell.heard();
  }

  /** Whether anything is given only when it is asked for. */
  get isWithholding(): boolean {
    return this.#queue.isWithholding && !this.#isStopped;
  }

  /** Waits until what an earlier restore asked for was given, or serving ended. */
  async prefetched(): Promise<void> {
    while ((this.#queue.hasPrefetch || this.#isPrefetching) && !this.#isStopped)
      await this.#bell.heard();
  }

  /** Leaves the guest as it is, at once: whatever it takes, or is read for it, is waited for no longer. */
  leave(): void {
    this.#isLeft = true;
    this.#stop.abort();
    this.#request.guest.leave();
    this.#bell.ring();
  }

  /**
   * Serves until all was pushed, the guest is left, or it is gone. What cannot be read, and what a
   * guest must not ask for, is thrown; the guest is left then.
   */
  async run(): Promise<Served> {
    const { guest } = this.#request;
    guest.listen({
      onDemand: (demand) => this.#take(demand),
      onEnd: (failure) => this.#end(failure),
    });
    const lanes = Array.from({ length: ANSWERS_MAX }, () => this.#lane(() => this.#answer()));
    const unasked = [this.#lane(() => this.#giveNear()), this.#lane(() => this.#givePushed())];
    await Promise.all([...lanes, ...unasked]);
    this.#isGiven = !this.#isStopped;
    if (this.#isGiven) await this.#finish();
    if (this.#failure !== null) throw this.#failure;
    if (this.#isLeft) return 'left';
    return this.#isGiven ? 'finished' : 'gone';
  }

  /** Says that all was given, and waits until the guest has taken note of it. */
  async #finish(): Promise<void> {
    try {
      await this.#request.guest.finish();
    } catch (thrown) {
      if (!this.#isStopped) throw thrown;
    }
    while (!this.#isStopped) await this.#bell.heard();
  }

  /** Nothing more is given; why, or null where that is as it should be. */
  #end(failure: Error | null): void {
    this.#isOver = true;
    this.#failure ??= failure;
    this.#stop.abort();
    // Of what is still given nothing is taken any more.
    if (failure !== null || !this.#isGiven) this.#request.guest.leave();
    this.#bell.ring();
  }

  /** Does something again and again, until all is done; it says whether it did something. */
  async #lane(work: () => Promise<boolean>): Promise<void> {
    try {
      for (;;) {
        // Before it is looked for: what comes while it is, is heard.
        const heard = this.#bell.heard();
        if (this.#isEnded) break;
        // Looking for work may have found out that there is no more.
        if (!(await work()) && !this.#isEnded) await heard;
      }
    } catch (thrown) {
      // The connection's own word for its end is better than that of a write.
      if (!this.#isStopped) this.#end(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
    this.#bell.ring();
  }

  /** Whether nothing more is given, whatever the guest lacks. */
  get #isStopped(): boolean {
    return this.#isLeft || this.#isOver;
  }

  /** Whether nothing is on its way to the guest. */
  get #isIdle(): boolean {
    return this.#answering === 0 && !this.#isGivingNear && !this.#isPushing;
  }

  get #isEnded(): boolean {
    return this.#isStopped || (this.#queue.isDone && this.#isIdle);
  }

  #take(demand: PageDemand): void {
    if (!this.#queue.has(demand)) {
      this.#end(
        new LedgerError(
          'QEMU_FAILED',
          `the guest asked for ${demand.count} pages from page ${demand.firstPage} on, which it does not have; it is given nothing more`,
          { gfn: demand.firstPage, pages: demand.count },
        ),
      );
      return;
    }
    const lacking = this.#queue.demand(demand);
    this.#counts.requests += 1;
    if (lacking === 0) this.#counts.duplicates += 1;
    else this.#request.onDemanded?.(demand);
    this.#bell.ring();
  }

  async #answer(): Promise<boolean> {
    const pages = this.#queue.answer();
    if (pages === null) return false;
    this.#answering += 1;
    try {
      await this.#give({ pages, why: 'filled', asked: 1 });
    } finally {
      this.#answering -= 1;
      this.#bell.ring();
    }
    return true;
  }

  /** Whether the guest waits for something: all else waits, too. */
  get #isWaitedFor(): boolean {
    return this.#queue.isAsked || this.#answering > 0;
  }

  /** Whether pages of a kind wait: for what the guest waits for, and what is pushed for all else. */
  #hasBefore(why: Unasked): boolean {
    if (this.#isWaitedFor) return true;
    return why === 'pushed' && (this.#isGivingNear || this.#queue.hasNear);
  }

  async #untilFirst(why: Unasked): Promise<void> {
    while (this.#hasBefore(why) && !this.#isStopped) await this.#bell.heard();
  }

  /** Gives what is near what was asked for, by this guest or an earlier one. */
  async #giveNear(): Promise<boolean> {
    if (this.#hasBefore('filled')) return false;
    const { hasNear } = this.#queue;
    const next = this.#queue.near();
    if (next === null) {
      // Nothing was left after all: what is pushed waits no longer.
      if (hasNear) this.#bell.ring();
      return false;
    }
    this.#isGivingNear = true;
    this.#isPrefetching = next.why === 'prefetched';
    try {
      await this.#give({ ...next, asked: 0 });
    } finally {
      this.#isGivingNear = false;
      this.#isPrefetching = false;
      this.#bell.ring();
    }
    return true;
  }

  async #givePushed(): Promise<boolean> {
    if (this.#hasBefore('pushed')) return false;
    const next = this.#queue.pushed();
    if (next === null) return false;
    this.#isPushing = true;
    try {
      await this.#give({ ...next, asked: 0 });
    } finally {
      this.#isPushing = false;
      this.#bell.ring();
    }
    return true;
  }

  /** Reads pages and gives them, some at a time: what is waited for goes between. */
  async #give({ pages, why, asked }: Giving): Promise<void> {
    const read = pages.filter((page) => this.#queue.holdingOf(page) !== ZERO);
    const zeros = pages.filter((page) => this.#queue.holdingOf(page) === ZERO);
    // What fails to be read is nobody's again: something may be on its way into it.
    const { bytes, giveBack } = await this.#read(read, why);
    for (let at = 0; at === 0 || at < read.length; at += FILL_PAGES_MAX) {
      if (asked === 0) await this.#untilFirst(why);
      if (this.#isStopped) return;
      await this.#giveSome({
        numbers: read.subarray(at, at + FILL_PAGES_MAX),
        pages: bytes.subarray(at * PAGE_BYTES),
        zeros: at === 0 ? zeros : zeros.subarray(0, 0),
        why,
        asked,
      });
    }
    giveBack();
  }

  async #read(pages: Uint32Array, why: Unasked): Promise<LentBytes> {
    const holdings = Uint32Array.from(pages, (page) => this.#queue.holdingOf(page));
    const { reader } = this.#request;
    if (holdings.length <= READ_PAGES_MAX) {
      const lent = this.#rooms.lend(holdings.length);
      if (holdings.length > 0) await reader.read(holdings, lent.bytes, this.#stop.signal);
      return lent;
    }
    const which = why === 'pushed' ? 'pushed' : 'near';
    const window = (this.#windows[which] ??= new SharedArrayBuffer(PUSH_PAGES_MAX * PAGE_BYTES));
    return ownBytes(await this.#fill(holdings, window));
  }

  async #fill(holdings: Uint32Array, window: SharedArrayBuffer): Promise<Uint8Array> {
    const { reader, label } = this.#request;
    const target = { file: sharedMemory(window), offsetBytes: 0 };
    await reader.fill({ table: holdings, label }, target, this.#stop.signal);
    return new Uint8Array(window);
  }

  async #giveSome(some: {
    readonly numbers: Uint32Array;
    readonly pages: Uint8Array;
    readonly zeros: Uint32Array;
    readonly why: Unasked;
    readonly asked: 0 | 1;
  }): Promise<void> {
    const { numbers, pages } = some;
    const zeros = this.#queue.give(some.zeros);
    const news = this.#queue.give(numbers);
    // What came first on another way is left out.
    let given = pages;
    if (news.length < numbers.length) {
      const isNew = new Set(news);
      given = new Uint8Array(news.length * PAGE_BYTES);
      let at = 0;
      for (const [i, page] of numbers.entries())
        if (isNew.has(page))
          given.set(pages.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES), PAGE_BYTES * at++);
    }
    if (news.length + zeros.length === 0) return;
    this.#count(some, news, zeros);
    await this.#request.guest.give({ numbers: news, pages: given, zeros });
  }

  #count(
    { why, asked }: Pick<Giving, 'why' | 'asked'>,
    numbers: Uint32Array,
    zeros: Uint32Array,
  ): void {
    const counts = this.#counts;
    counts[why] += numbers.length + zeros.length - asked;
    counts.demanded += asked;
    counts.fromPatterns += zeros.length;
    for (const page of numbers) {
      const holding = this.#queue.holdingOf(page);
      if (isPattern(holding)) counts.fromPatterns += 1;
      if (isContent(holding) && !this.#seen.add(contentOf(holding))) counts.shared += 1;
    }
  }
}

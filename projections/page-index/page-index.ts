// The page index: every version of every page, who holds each content from when to when, and which
// content has an identifier, found by sorted segments in a few reads each. Built by whoever asks first
// and kept up by whoever asks later; recording does not pay for it. Derived: what is damaged, or of
// another past, is made anew from the log.
//
// Invariant: segments cover the commits up to a place in the log without gaps, oldest first; the
// events after it are in memory. Where the log is damaged, or files cannot be kept, all of them are.

import { Turn } from '../../domain/values/turn.ts';
import { assert } from '../../domain/values/assert.ts';
import { IDENTIFIER_BYTES } from '../../domain/ports/page-engine.ts';
import { contentOf, isContent, type Holding } from '../../domain/values/holding.ts';
import { readingStart } from '../questions/reading-start.ts';
import { ensureIdentifiers } from '../questions/row-lister.ts';
import { StateUnfit } from '../models/state-bytes.ts';
import { rowsOf, type CaptureChange, type Change } from '../commits.ts';
import { baselineChange } from '../models/beginning.ts';
import type { KnownPack } from '../models/contents.ts';
import type { IdentifierColumn } from '../models/identifier-index.ts';
import { foldedKinds } from '../models/folded-kinds.ts';
import type { LedgerState, Replay } from '../models/ledger-state.ts';
import { holdingsOf } from '../table.ts';
import { ContentHolders, NOT_HERE, type PageHolding } from './holding-records.ts';
import {
  dropIndex,
  loadList,
  revivalsIn,
  saveList,
  wholeCaptures,
  type Indexed,
} from './index-list.ts';
import { IDENTIFIER_WORDS, KIND_HELD, RecentEvents, type VersionRecord } from './recent-events.ts';
import {
  mergeSegments,
  OpenRuns,
  saveSegment,
  type RunName,
  type Segment,
  type SegmentPorts,
} from './segments.ts';
import { SegmentTables } from './segment-tables.ts';
import { Workspace } from './workspace.ts';
import { WrittenHoldings } from './written-holdings.ts';

/** Page events after which a segment is written. */
const SEGMENT_ROWS = 2 ** 18;
/** Captures, however small, after which whoever asked writes one: the next one need not read them. */
const SEGMENT_CAPTURES = 256;
/** The index is derived anew so often for one question before the failure is told. */
const ATTEMPTS_MAX = 3;

export interface PageIndexPorts extends Omit<SegmentPorts, 'id'> {
  readonly state: LedgerState;
  readonly replay: Replay;
  /** Identifiers by content number, for what is there where history begins. */
  readonly column: IdentifierColumn;
  /** The ledger's id; null where it is not known: then nothing is kept. */
  readonly ledger: string | null;
  /** Absent: SEGMENT_ROWS. */
  readonly segmentRows?: number;
  /** Absent: SEGMENT_CAPTURES. */
  readonly segmentCaptures?: number;
}

/** A page that holds, or held, a content; `to` is null while it is held. */
export interface HeldPage {
  readonly vm: string;
  readonly gfn: number;
  readonly from: number;
  readonly to: number | null;
}

/** What is indexed; nothing may be. */
type MaybeIndexed = Omit<Indexed, 'commit'> & { readonly commit: Indexed['commit'] | null };

/** A number that tells ledgers apart well enough for files that were put in the wrong place. */
function idOf(ledger: string): bigint {
  let id = 0n;
  for (const character of ledger)
    id = BigInt.asUintN(64, id * 0x100_0000_01b3n + BigInt(character.codePointAt(0)!));
  return id;
}

const beWord = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;

export class PageIndex {
  readonly #ports: PageIndexPorts;
  readonly #segmentRows: number;
  readonly #segmentCaptures: number;
  readonly #segmentPorts: SegmentPorts;
  readonly #runs: OpenRuns;
  #isLoaded = false;
  #indexed: MaybeIndexed;
  #recent = new RecentEvents();
  /** Where reading of the log goes on; the last change that was taken in. */
  #from: Indexed['from'];
  #applied = -1n;
  #contents = 0;
  #lastCommit: Indexed['commit'] | null = null;
  /** How contents were numbered when the log was read last. */
  #seen = { packs: 0, numbering: 0n, revivals: 0, history: '' };
  #vms: string[] = [];
  /** Whether segments may be kept of what is in memory. */
  #isSound = true;
  readonly #tables: SegmentTables;
  /** What segments are made in, while a question is asked. */
  readonly #space = new Workspace();
  readonly #turn = new Turn();

  constructor(ports: PageIndexPorts) {
    const { files, blocks, ledger } = ports;
    this.#ports = ports;
    this.#segmentRows = ports.segmentRows ?? SEGMENT_ROWS;
    this.#segmentCaptures = ports.segmentCaptures ?? SEGMENT_CAPTURES;
    this.#segmentPorts = { files, blocks, id: idOf(ledger ?? '') };
    this.#runs = new OpenRuns(this.#segmentPorts);
    this.#tables = new SegmentTables(ports.state);
    this.#indexed = this.#nothing();
    this.#from = this.#indexed.from;
    this.#see();
  }

  #nothing(): MaybeIndexed {
    const { start: from } = this.#ports.state;
    return { from, commit: null, packs: 0, contents: 0, vms: [], segments: [] };
  }

  /** Segments there are. */
  get segments(): readonly Segment[] {
    return this.#indexed.segments;
  }

  /**
   * What `ask` answers from an index that is at the ledger's state. Where a file turns out to be
   * damaged the index is made anew and asked again. One question at a time.
   */
  #answer<A>(ask: () => Promise<A>): Promise<A> {
    return this.#turn.run(() => this.#attempt(ask));
  }

  async #attempt<A>(ask: () => Promise<A>): Promise<A> {
    for (let attempt = 1; ; attempt += 1)
      try {
        await this.#catchUp();
        return await ask();
      } catch (thrown) {
        if (!(thrown instanceof StateUnfit) || attempt === ATTEMPTS_MAX) throw thrown;
        // Another process may have merged segments meanwhile: only the second time all is in doubt.
        await this.#startAnew({ isKept: attempt === 1 });
      } finally {
        this.#space.clear();
        // Files are open only while a question is asked: nobody needs to close an index.
        await this.#runs.close();
      }
  }

  async #startAnew({ isKept }: { readonly isKept: boolean }): Promise<void> {
    await this.#runs.close();
    if (!isKept) await dropIndex(this.#ports.files);
    this.#isLoaded = false;
    this.#begin(this.#nothing());
  }

  #begin(indexed: MaybeIndexed): void {
    this.#indexed = indexed;
    this.#recent = new RecentEvents();
    this.#from = indexed.from;
    this.#applied = indexed.commit?.position ?? -1n;
    this.#lastCommit = indexed.commit;
    this.#contents = indexed.contents;
    this.#vms = [...indexed.vms];
    this.#see();
    this.#isSound = true;
    this.#tables.clear();
  }

  async #load(): Promise<void> {
    const { state, files, ledger } = this.#ports;
    this.#isLoaded = true;
    if (ledger === null) return;
    const list = await loadList({ state, files, ledger });
    if (list !== null) this.#begin(list);
    else await dropIndex(files);
  }

  /** Takes in what the ledger's state has come past. */
  async #catchUp(): Promise<void> {
    const { state, replay } = this.#ports;
    await state.catchUp({ heavy: false });
    if (!this.#isLoaded) await this.#load();
    if (!this.#isOfState()) await this.#startAnew({ isKept: false });
    if (this.#from.next === state.next) return;
    if (this.#lastCommit === null && this.#from.next === state.start.next) await this.#takeStart();
    const after = await replay(this.#from, (change) => this.#take(change));
    this.#from = after;
    this.#see();
    const { rows, captures } = this.#recent;
    if (rows >= this.#segmentRows || captures.length >= this.#segmentCaptures) await this.#cut();
  }

  /** Where history begins, pages hold what they do without a write that is told of. */
  async #takeStart(): Promise<void> {
    const { state, column } = this.#ports;
    const { history } = state.catalogue;
    if (history === null || this.#recent.rows > 0) return;
    await ensureIdentifiers(state, column);
    const { vms } = await baselineChange(state, history);
    for (const { vm, capture, holdings } of vms) {
      const number = this.#vms.push(vm) - 1;
      const kinds = new Uint8Array(holdings.length).fill(KIND_HELD);
      const gfns = Uint32Array.from(holdings.keys());
      this.#recent.add({ vm: number, capture, isWiped: false, gfns, holdings, kinds });
    }
    for (const pack of state.contents.packs)
      if (pack.position <= history.position) this.#takeIdentifiersOf(pack);
  }

  #takeIdentifiersOf({ firstContent, pages }: KnownPack): void {
    const { state, column } = this.#ports;
    const words: number[] = [];
    for (let content = firstContent; content < firstContent + pages; content += 1) {
      const identifier = state.contents.aliases.has(content) ? null : column.read(content);
      if (identifier !== null) words.push(beWord(identifier, 0), beWord(identifier, 4), content);
    }
    this.#recent.addIdentifiers(Uint32Array.from(words));
    this.#contents = firstContent + pages;
  }

  /** The event that says where history begins. */
  get #history(): string {
    return this.#ports.state.catalogue.history?.id ?? '';
  }

  #see(): void {
    const { contents } = this.#ports.state;
    const packs = contents.written;
    const numbering = contents.numbering(packs)!;
    this.#seen = { packs, numbering, revivals: revivalsIn(contents), history: this.#history };
  }

  /** Whether what was taken in is of the past that the state has now. */
  #isOfState(): boolean {
    const { state } = this.#ports;
    const { packs, numbering, revivals, history } = this.#seen;
    if (history !== this.#history) return false;
    if (state.contents.numbering(packs) !== numbering) return false;
    if (revivalsIn(state.contents) !== revivals) return false;
    const commit = this.#lastCommit;
    if (commit === null) return this.#from.next <= state.next;
    const row = state.catalogue.vms.get(commit.vm)?.capture(commit.capture);
    return row?.position === commit.position && row.id === commit.id;
  }

  async #take(change: Change): Promise<void> {
    if (change._tag === 'damage') {
      this.#isSound = false;
      return;
    }
    if (change.position <= this.#applied || change._tag !== 'capture') return;
    await this.#ports.state.foldPast(change.position);
    this.#takeCapture(change);
    this.#applied = change.position;
    // Cut at a commit: all up to it is in segments, or none of it.
    if (this.#recent.rows >= this.#segmentRows) await this.#cut(change);
  }

  #takeCapture(change: CaptureChange): void {
    const { state } = this.#ports;
    const { vm, capture } = change.committed;
    const { id } = change;
    const row = state.catalogue.vms.get(vm)?.capture(capture);
    if (row === undefined || row.position !== change.position) return;
    if (row.isWiped || change.damage !== null) this.#isSound = false;
    this.#takeIdentifiers(change);
    let number = this.#vms.indexOf(vm);
    if (number < 0) number = this.#vms.push(vm) - 1;
    const batches = change.batches;
    const rows = rowsOf(change);
    const gfns = new Uint32Array(rows);
    const holdings = new Uint32Array(rows);
    const kinds = new Uint8Array(rows);
    let at = 0;
    for (const columns of batches) {
      gfns.set(columns.gfns, at);
      holdings.set(holdingsOf(state.contents, columns), at);
      kinds.set(foldedKinds(state, change, columns), at);
      at += columns.kinds.length;
    }
    const { isWiped } = row;
    this.#recent.add({ vm: number, capture, isWiped, gfns, holdings, kinds });
    this.#lastCommit = { vm, capture, position: change.position, id };
  }

  #takeIdentifiers({ packs }: CaptureChange): void {
    const { contents } = this.#ports.state;
    for (const { name, identifiers } of packs) {
      const known = contents.byName(name);
      if (known === undefined || known.firstContent < this.#contents) continue;
      if (known.pages === 0) continue;
      const words = new Uint32Array(known.pages * IDENTIFIER_WORDS);
      let to = 0;
      for (let slot = 0; slot < known.pages; slot += 1) {
        const content = known.firstContent + slot;
        if (contents.aliases.has(content)) continue;
        words[to] = beWord(identifiers, slot * IDENTIFIER_BYTES);
        words[to + 1] = beWord(identifiers, slot * IDENTIFIER_BYTES + 4);
        words[to + 2] = content;
        to += IDENTIFIER_WORDS;
      }
      this.#recent.addIdentifiers(words.subarray(0, to));
      this.#contents = known.firstContent + known.pages;
    }
  }

  /** Makes a segment of what is in memory. `at`: the change at which the log is being read. */
  async #cut(at?: CaptureChange): Promise<void> {
    const { state, files, ledger } = this.#ports;
    const commit = this.#lastCommit;
    if (ledger === null || commit === null || !this.#isSound) return;
    if (wholeCaptures(state, commit.position) === null) return;
    const from = at === undefined ? this.#from : readingStart(state, at.position);
    const segment: Segment = {
      from: this.#indexed.commit?.position ?? 0n,
      to: commit.position,
      level: 0,
      contents: [this.#indexed.contents, this.#contents],
    };
    const recent = this.#recent;
    const tables = await this.#tables.before(recent, this.#vms);
    const space = this.#space;
    const versions = recent.versionRecords(space);
    const records = {
      versions: () => [versions],
      holdings: () => recent.holdingRecords(versions, tables, space),
      identifiers: () => recent.identifierRecords(space),
    };
    const of = (run: RunName) => records[run]();
    const isKept = await saveSegment(this.#segmentPorts, segment, of);
    this.#tables.keep(recent, tables);
    if (!isKept) {
      this.#isSound = false;
      return;
    }
    const before = [...this.#indexed.segments, segment];
    const packs = state.contents.packsTo(commit.position);
    const { segments, merged } = await mergeSegments(this.#segmentPorts, this.#runs, before);
    this.#indexed = {
      from,
      commit,
      packs,
      contents: this.#contents,
      vms: [...this.#vms],
      segments,
    };
    this.#recent = new RecentEvents();
    await saveList({ state, files, ledger }, { ...this.#indexed, commit });
    for (const gone of merged) await this.#runs.drop(gone);
  }

  /** Versions of a page, oldest first. O(segments) blocks. */
  versions(vm: string, gfn: number): Promise<readonly VersionRecord[]> {
    return this.#answer(async () => {
      const number = this.#vms.indexOf(vm);
      if (number < 0) return [];
      const found: VersionRecord[] = [];
      for (const segment of this.segments) {
        const run = await this.#runs.of(segment, 'versions');
        await run.find([number, gfn], (words, at) => {
          found.push({ capture: words[at + 2]!, holding: words[at + 3]!, kind: words[at + 4]! });
        });
      }
      return [...found, ...this.#recent.versions(number, gfn)];
    });
  }

  /**
   * Who holds or held contents, by content: ordered by VM, page and capture. O(segments) blocks a
   * content, and the holdings themselves; of patterns all versions are read. A retirement ends nothing
   * here: the catalogue knows of it.
   */
  holders(contents: Iterable<Holding>): Promise<ReadonlyMap<Holding, readonly HeldPage[]>> {
    return this.#answer(async () => {
      const asked = [...new Set(contents)].toSorted((a, b) => a - b);
      const all = asked.map((content) => new ContentHolders(content));
      await this.#holdPatterns(all.filter(({ content }) => !isContent(content)));
      const ofContents = all.filter(({ content }) => isContent(content));
      for (const segment of this.segments) {
        const run = await this.#runs.of(segment, 'holdings');
        for (const holders of ofContents) {
          // Nobody held it before it was first stored.
          if (contentOf(holders.content) >= segment.contents[1]) break;
          await run.find([holders.content], (words, at) => holders.take(words, at));
        }
      }
      this.#recent.hold(all);
      const order = (a: PageHolding, b: PageHolding): number =>
        a.vm - b.vm || a.gfn - b.gfn || a.from - b.from;
      return new Map(
        all.map(({ content, all: pages }) => [
          content,
          pages.toSorted(order).map(({ vm, gfn, from, to }) => ({
            vm: this.#vms[vm]!,
            gfn,
            from,
            to: to === NOT_HERE ? null : to,
          })),
        ]),
      );
    });
  }

  /** Who holds patterns, which no record names: each version of each page is looked at. */
  async #holdPatterns(patterns: readonly ContentHolders[]): Promise<void> {
    if (patterns.length === 0) return;
    const written = new WrittenHoldings(patterns);
    for (const segment of this.segments) {
      const run = await this.#runs.of(segment, 'versions');
      for await (const { words, count } of run.all()) written.take(words, count);
    }
  }

  /**
   * Content numbers whose identifiers may begin with these bytes, at least four: only the first eight
   * are compared. O(segments) blocks.
   */
  contentsBeginning(bytes: Uint8Array): Promise<readonly number[]> {
    assert(bytes.length >= 4, 'an identifier is looked up by four bytes at least');
    const first = bytes.length >= 8 ? [beWord(bytes, 0), beWord(bytes, 4)] : [beWord(bytes, 0)];
    return this.#answer(async () => {
      const found: number[] = [];
      for (const segment of this.segments) {
        const run = await this.#runs.of(segment, 'identifiers');
        await run.find(first, (words, at) => {
          found.push(words[at + 2]!);
        });
      }
      return [...found, ...this.#recent.contentsOf(first)];
    });
  }
}

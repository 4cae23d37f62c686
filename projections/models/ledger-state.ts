// All that is folded from the log, at one position, and how it is kept: the runner of the ledger's own
// read models (../fold.ts). The light half is what every command loads; the heavy one only who records
// or folds. Each half has a state file that bears its position, so either may be older than the log,
// and both may vanish.
//
// Invariants: the heavy half is never ahead of the light one; folding the same log gives the same
// state in every process.

import { assert } from '../../domain/values/assert.ts';
import { run } from '../../domain/ports/run.ts';
import { LedgerError } from '../../domain/values/ledger-error.ts';
import { Turn } from '../../domain/values/turn.ts';
import type { StateFiles } from '../../domain/ports/derived-files.ts';
import type { ReadPageWrites } from '../../domain/ports/page-writes.ts';
import { logReplaced, type EventLog, type Position } from '../../domain/ports/event-log.ts';
import { LOG_START, type AssemblerState, type Change, type ControlChange } from '../commits.ts';
import { contentsModel, modelsOf, type HalfName, type ModelRow, type States } from '../fold.ts';
import { readBaseline, type Baseline } from './baseline.ts';
import type { Catalogue } from './catalogue.ts';
import type { VmEntry } from './vm-entry.ts';
import type { Contents } from './contents.ts';
import { AS_RECORDED, isLight, weightOf, type Folding } from './folding.ts';
import { START_HALF, type Half, type Numbering } from './half.ts';
import type { HostMemory } from '../../domain/host-memory.ts';
import { IndexUnfit, type IdentifierColumn } from './identifier-index.ts';
import { contentsAt, isWorthSaving, KeptHalves } from './kept-halves.ts';
import type { VmRegions } from './large-regions.ts';
import type { Losses } from './losses.ts';
import { PageTables } from './page-tables.ts';
import type { PageTable } from '../table.ts';
import type { Sharing } from './sharing.ts';
import { StateUnfit } from './state-bytes.ts';
import type { Toggles } from './toggles.ts';
import { HistoryLater, isReplaced, isUnfit, NotLight, OtherPast } from './unfit-state.ts';
import type { VmTraces } from './traces.ts';

/** The heavy state is saved when so many page events, and an eighth of its contents, came since. */
const HEAVY_SAVE_ROWS = 4096;
const HEAVY_SAVE_FRACTION = 8;

/** Why all is folded anew. */
interface StartedAnew {
  readonly isOtherPast: boolean;
  /** It is the same past, of which less is there. */
  readonly isLater?: boolean;
}

/** How often a fold begins anew while the log is being cut. */
const ATTEMPTS_MAX = 8;

/**
 * Replays the log from a state and hands each change on; gives the state after it. Where the log is known
 * to have reached a place, that is as far as it need go.
 */
export type Replay = (
  from: AssemblerState,
  consume: (change: Change) => Promise<void>,
  reached?: Position,
) => Promise<AssemblerState>;

/** What is to be folded up to now. */
export interface CatchUp {
  readonly heavy: boolean;
  /** Position of an event that the log gave: folding goes past it, and perhaps no further. */
  readonly past?: Position;
}

export interface LedgerStatePorts {
  readonly log: EventLog;
  readonly files: StateFiles;
  readonly identifiers: () => IdentifierColumn;
  readonly replay: Replay;
  /** Reads page events in bulk, asked for when there are many; absent: without a kernel. */
  readonly reader?: () => Promise<ReadPageWrites>;
  /** Lets go of what else this host keeps of a past that the log has no more; absent: nothing. */
  readonly forgetPast?: () => Promise<void>;
}

export class LedgerState {
  readonly #ports: LedgerStatePorts;
  readonly #kept: KeptHalves;
  readonly tables: PageTables;
  readonly #rows: readonly ModelRow[];
  /** By the names of the models; those of the heavy half are there once it is loaded. */
  readonly #states: Partial<States> = {};
  readonly #halves: Record<HalfName, Half> = { light: START_HALF(), heavy: START_HALF() };
  /** Changes that the light half alone saw since it was saved; 0: it is as it was saved. */
  #lightUnsaved = 0;
  /** Whether there is a state at all: even a log without an event may have lost some. */
  #isKnown = false;
  #hasMetDamage = false;
  #heavyUnsavedRows = 0;
  #pasts = 0;
  /** Where history begins, once it was looked for; it may not be yet. */
  #begins: { readonly baseline: Baseline | null } | null = null;
  /** Whoever records, asks and follows in one process shares this state. */
  readonly #turn = new Turn();

  constructor(ports: LedgerStatePorts) {
    this.#ports = ports;
    this.#kept = new KeptHalves(ports.files);
    const starts = async (vm: string): Promise<PageTable | null> =>
      (await this.#baseline())?.tables.get(vm) ?? null;
    this.tables = new PageTables({ ...ports, starts });
    this.#rows = modelsOf({ tables: this.tables, identifiers: ports.identifiers });
    this.#begin('light', null);
  }

  #of<Name extends keyof States>(name: Name): States[Name] {
    const state = this.#states[name];
    assert(state !== undefined, `the model ${name} is loaded before it is used`);
    return state;
  }

  get catalogue(): Catalogue {
    return this.#of('catalogue');
  }

  get contents(): Contents {
    return this.#of('contents');
  }

  /** What the log says is lost. */
  get losses(): Losses {
    return this.#of('losses');
  }

  /** Items, by commit, whose SharingBroken the fold decides otherwise than was recorded. */
  get toggles(): Toggles {
    return this.#of('toggles');
  }

  /** What guests asked for while their memory arrived, by VM. */
  get traces(): VmTraces {
    return this.#of('traces');
  }

  /** What was decided of large pages, by VM. */
  get regions(): VmRegions {
    return this.#of('regions');
  }

  /** What clones have of their hosts' memory. */
  get hostMemory(): HostMemory {
    return this.#of('hostMemory').memory;
  }

  /** Of the heavy half, at the log's head as of the last `catchUp({ heavy: true })`. */
  get sharing(): Sharing {
    return this.#of('sharing');
  }

  /** Position up to which the light half is folded. */
  get next(): Position {
    return this.#halves.light.from.next;
  }

  /** Where a reader goes on who has seen everything that the light half has. */
  get reached(): AssemblerState {
    return this.#halves.light.from;
  }

  /** Where a reader begins who has seen nothing: with the log, or where history begins. */
  get start(): AssemblerState {
    return this.catalogue.history?.from ?? LOG_START;
  }

  /** Counts how often what was known turned out to be of another past of the log, and was thrown away. */
  get pasts(): number {
    return this.#pasts;
  }

  #rowsIn(half: HalfName): readonly ModelRow[] {
    return this.#rows.filter((row) => row.half === half);
  }

  /** Begins a half's models anew: where history begins, or with the log. */
  #begin(half: HalfName, baseline: Baseline | null): void {
    for (const { model } of this.#rowsIn(half)) {
      const state = baseline === null ? model.initial() : model.begin(baseline);
      Object.assign(this.#states, { [model.name]: state });
    }
    this.#halves[half] =
      baseline === null ? START_HALF() : { from: baseline.from, applied: baseline.position };
    if (half === 'light') this.#kept.contents = null;
  }

  /** What stands for the events that are gone, as the catalogue knows of it. LOG_REPLACED where it is another. */
  async #baseline(): Promise<Baseline | null> {
    const { history } = this.catalogue;
    if (history === null) return null;
    this.#begins ??= { baseline: await readBaseline(this.#ports.log) };
    const { baseline } = this.#begins;
    if (baseline?.id !== history.id) throw logReplaced('the log', history.at);
    return baseline;
  }

  /** Takes up a half from its state file, perhaps without contents; false: there is none that fits. */
  async #load(half: HalfName, isWithoutContents = false): Promise<boolean> {
    try {
      const saved = await this.#kept.load(half, half === 'light' && !isWithoutContents);
      if (saved === null) return false;
      const { from, applied, contents: kept, loaded, state } = saved;
      const isAhead = half === 'heavy' && applied > this.#halves.light.applied;
      if (isAhead) throw new StateUnfit('ahead of the catalogue');
      const states: Partial<States> = Object.fromEntries(
        this.#keptIn(half).map(({ model }) => [model.name, state(model)]),
      );
      if (loaded !== null) states.contents = loaded;
      if (isWithoutContents) delete this.#states.contents;
      else this.#checkContents(states, kept);
      Object.assign(this.#states, states);
      this.#halves[half] = { from, applied };
      if (half === 'light') this.#kept.contents = kept;
      return true;
    } catch (thrown) {
      if (!(thrown instanceof StateUnfit)) throw thrown;
      return false;
    }
  }

  /** The models whose states are in the file of a half. */
  #keptIn(half: HalfName): readonly ModelRow[] {
    return this.#rowsIn(half).filter(({ model }) => model.name !== contentsModel.name);
  }

  /** StateUnfit where the states of a half are not of the contents, loaded with it or before. */
  #checkContents(states: Partial<States>, { packs, numbering }: Numbering): void {
    const contents = states.contents ?? this.contents;
    if (contents.numbering(packs) !== numbering)
      throw new StateUnfit('its contents have other numbers');
    if (states.sharing !== undefined && states.sharing.indexed !== contents.countOf(packs))
      throw new StateUnfit('its identifiers are not those of its contents');
  }

  /**
   * Loads the light half from its state file, if there is one that fits. Contents, which are most of it,
   * may be left for when there is something to fold, or `whole` is asked for.
   */
  async load(request: { readonly isWithoutContents?: boolean } = {}): Promise<void> {
    if (await this.#load('light', request.isWithoutContents)) this.#isKnown = true;
  }

  /** Makes sure of the whole light half. */
  whole(): Promise<void> {
    return this.#turn.run(async () => {
      if (this.#states.contents !== undefined || (await this.#load('light'))) return;
      await this.#startAnew({ isOtherPast: false });
      await this.#fold();
    });
  }

  async #loadHeavy(): Promise<void> {
    if (this.#states.sharing !== undefined) return;
    await this.#ports.identifiers().ready?.();
    this.#heavyUnsavedRows = 0;
    if (await this.#load('heavy')) {
      // Patterns are indexed anew when they are loaded.
      for (const holding of this.losses.of(this.contents)) this.sharing.hide(holding);
      return;
    }
    this.#begin('heavy', await this.#baseline());
    this.#heavyUnsavedRows = Number.POSITIVE_INFINITY;
  }

  /**
   * Folds what the log holds beyond this state. The heavy half is loaded when asked for, or when
   * there is something to fold: only it can decide outcomes.
   */
  catchUp(need: CatchUp): Promise<void> {
    return this.#turn.run(() => this.#catchUp(need));
  }

  /** Folds until past a position that the log gave; at once where that is done. */
  async foldPast(position: Position): Promise<void> {
    if (this.next > position) return;
    await this.catchUp({ heavy: false });
    if (this.next > position) return;
    throw new LedgerError(
      'LOG_DAMAGED',
      `the log gave an event at position ${position} and now ends at ${this.next}; verify the ledger, and restore the log from a copy`,
      { position, found: this.next },
    );
  }

  async #catchUp(need: CatchUp): Promise<void> {
    let isLater = false;
    let anew: StartedAnew | null = null;
    for (let attempt = 1; ; attempt += 1)
      try {
        if (anew !== null) await this.#startAnew(anew);
        await this.#foldUp(need);
        return;
      } catch (thrown) {
        if (!isUnfit(thrown) && !isReplaced(thrown)) throw thrown;
        if (attempt >= (isReplaced(thrown) ? ATTEMPTS_MAX : 2)) throw thrown;
        // Once a newer baseline was met in the log that was folded, it is that one which is being cut.
        isLater ||= thrown instanceof HistoryLater;
        const isOtherPast = thrown instanceof OtherPast || (isReplaced(thrown) && !isLater);
        anew = { isOtherPast, isLater };
      }
  }

  async #foldUp(need: CatchUp): Promise<void> {
    if (!this.#isKnown) await this.#beginLight();
    const { next, last } = this.#halves.light.from;
    const isKnownPast = need.past !== undefined && need.past >= next;
    const head = isKnownPast ? need.past + 1n : await run(this.#ports.log.head(last));
    if (head === next && this.#isFolded(need)) return;
    if (!need.heavy && head > next && (await this.#foldLight(head))) return;
    if (this.#states.contents === undefined && !(await this.#load('light')))
      throw new IndexUnfit('what was derived is gone');
    // A log that ends before what was folded is not the log that was folded: its end was lost.
    if (head < next) await this.#startAnew({ isOtherPast: true });
    await this.#fold(head < next ? undefined : head);
  }

  /** Whether what is asked for is there, and both halves stand where the light one does. */
  #isFolded({ heavy }: CatchUp): boolean {
    if (!this.#isKnown || !heavy) return this.#isKnown;
    const { light, heavy: other } = this.#halves;
    return this.#states.sharing !== undefined && other.from.next === light.from.next;
  }

  /** Begins with the history that the log tells of. */
  async #beginLight(): Promise<void> {
    const baseline = await readBaseline(this.#ports.log);
    this.#begins = { baseline };
    if (baseline !== null) this.#begin('light', baseline);
  }

  /** Whether the log has the event that was read last before a place. */
  async isInLog({ next: from, last: after }: AssemblerState): Promise<boolean> {
    try {
      for await (const _ of this.#ports.log.read({ from, until: from, after })) break;
      return true;
    } catch (thrown) {
      if (isReplaced(thrown)) return false;
      throw thrown;
    }
  }

  /** Throws everything derived away and folds the log from its start. */
  rebuild(): Promise<void> {
    return this.#turn.run(async () => {
      await this.#startAnew({ isOtherPast: false });
      await this.#fold();
    });
  }

  /**
   * Derived state that contradicts itself, or is of another past of the log, is thrown away whole; the
   * log is the truth. What others keep in the same place bears what it is of, and goes as well.
   */
  async #startAnew({ isOtherPast, isLater = false }: StartedAnew): Promise<void> {
    if (!isLater) this.#pasts += 1;
    for (const { model } of this.#rowsIn('heavy')) delete this.#states[model.name];
    this.#begin('light', null);
    await this.#beginLight();
    await this.#kept.dropAll();
    // Also where less is there of the same past: most of what was numbered is gone.
    if (isOtherPast || isLater) await this.#ports.identifiers().forget?.();
    if (!isOtherPast) return;
    await this.#ports.forgetPast?.();
  }

  async #fold(reached?: Position): Promise<void> {
    await this.#loadHeavy();
    const { light, heavy } = this.#halves;
    // What reading on compares is the last event of the half that stands further back.
    if (heavy.from.next < light.from.next && !(await this.isInLog(light.from)))
      throw new OtherPast('the log has another past than the catalogue');
    if (heavy.from.next === light.from.next && heavy.from.last?.id !== light.from.last?.id)
      throw new OtherPast('the halves are of two pasts');
    const from = heavy.from.next < light.from.next ? heavy.from : light.from;
    this.sharing.room(this.contents.count);
    const after = await this.#ports.replay(from, (change) => this.#apply(change), reached);
    if (after.next !== light.from.next) this.#lightUnsaved = Number.POSITIVE_INFINITY;
    light.from = after;
    heavy.from = after;
    this.#isKnown = true;
  }

  /**
   * Folds what is there into the light half, where it alone has to see that: not even contents need be
   * loaded then. False: there is more to it, and nothing was folded.
   */
  async #foldLight(reached: Position): Promise<boolean> {
    if (!this.#isKnown || this.#states.sharing !== undefined) return false;
    const { light } = this.#halves;
    const changes: ControlChange[] = [];
    const take = (change: Change): Promise<void> => {
      if (!isLight(change)) return Promise.reject(new NotLight());
      if (change.position > light.applied) changes.push(change);
      return Promise.resolve();
    };
    try {
      const after = await this.#ports.replay(light.from, take, reached);
      for (const change of changes) {
        await this.#applyTo(this.#keptIn('light'), change, this.#folding(true));
        light.applied = change.position;
      }
      if (after.next !== light.from.next) this.#lightUnsaved += Math.max(1, changes.length);
      light.from = after;
      return true;
    } catch (thrown) {
      if (thrown instanceof NotLight) return false;
      throw thrown;
    }
  }

  /** Folds a change into each model whose half is not past it. */
  async #apply(change: Change): Promise<void> {
    // Damage bears the place where records are missing, which may lie before what was folded since.
    const isDamage = change._tag === 'damage';
    const isNewTo = (half: HalfName): boolean =>
      isDamage || change.position > this.#halves[half].applied;
    if (isDamage || (change._tag === 'capture' && change.damage !== null))
      this.#hasMetDamage = true;
    this.#checkHistory(change);
    if (change._tag === 'capture' && this.catalogue.isRepeated(change)) {
      if (isNewTo('light')) this.catalogue.repeat(change);
      this.#passed(change);
      return;
    }
    if (isNewTo('light') && !isLight(change)) this.#kept.contents = null;
    const folding = this.#folding(isNewTo('light'));
    if (isNewTo('heavy')) this.#heavyUnsavedRows += weightOf(change);
    const rows = this.#rows.filter(({ half }) => isNewTo(half));
    await this.#applyTo(rows, change, folding);
    this.#passed(change);
  }

  /** Folds a change into models, one after the other. */
  async #applyTo(rows: readonly ModelRow[], change: Change, folding: Folding): Promise<void> {
    for (const { model } of rows) {
      const next = await model.apply(this.#states[model.name], change, folding);
      if (next !== undefined) Object.assign(this.#states, { [model.name]: next });
    }
  }

  /** Both halves have come past a change. */
  #passed(change: Change): void {
    if (change._tag === 'damage') return;
    for (const half of Object.values(this.#halves))
      if (change.position > half.applied) half.applied = change.position;
  }

  /** Where history begins later than it did, what was folded of what is before it is let go of. */
  #checkHistory(change: Change): void {
    if (change._tag !== 'control' || change.event.type !== 'HistoryForgotten') return;
    const { history } = this.catalogue;
    if (history === null || change.position > history.at)
      throw new HistoryLater('history begins later');
  }

  /** What models see of each other: each as it is when it is asked for, as not all need be loaded. */
  #folding(isNew: boolean): Folding {
    const of = <Name extends keyof States>(name: Name): States[Name] => this.#of(name);
    return {
      get catalogue() {
        return of('catalogue');
      },
      get contents() {
        return of('contents');
      },
      get sharing() {
        return of('sharing');
      },
      get losses() {
        return of('losses');
      },
      get tables() {
        return of('tables');
      },
      isNew,
      outcome: AS_RECORDED,
    };
  }

  /** A copy of a VM's table at the log's head, which the heavy half is at; null before its first capture. */
  currentTable(entry: VmEntry): Promise<PageTable | null> {
    return this.#of('tables').copy(entry, this.contents);
  }

  /** Keeps what is worth keeping in the state files; tells whether there was anything. */
  save(): Promise<boolean> {
    return this.#turn.run(() => this.#save());
  }

  /** Closes the files that the state is read from: nobody asks it any more. */
  close(): Promise<void> {
    return this.#kept.close();
  }

  async #save(): Promise<boolean> {
    // What damage left is not kept: a log that is put back from a copy is folded anew. Nor is what
    // another process keeps a later state of: ours would only make the next one fold again.
    if (this.#hasMetDamage || !isWorthSaving(this.catalogue, this.#lightUnsaved)) return false;
    if (await this.#kept.isPast(this.#halves.light.applied)) return false;
    if (this.#isHeavyWorthSaving()) {
      assert(this.sharing.indexed === this.contents.count, 'sharing knows all identifiers');
      await this.#saveHalf('heavy');
      this.#heavyUnsavedRows = 0;
    }
    if (this.#kept.contents === null)
      await this.#kept.saveContents(this.#halves.light, this.contents);
    await this.#saveHalf('light');
    this.#lightUnsaved = 0;
    await this.#kept.dropContents();
    return true;
  }

  async #saveHalf(half: HalfName): Promise<void> {
    const models = this.#keptIn(half).map(({ model }) => ({
      model,
      state: this.#states[model.name],
    }));
    const contents = this.#kept.contents ?? contentsAt(this.#halves.light, this.contents);
    await this.#kept.save(half, this.#halves[half], { contents, models });
  }

  #isHeavyWorthSaving(): boolean {
    const { sharing } = this.#states;
    if (sharing === undefined) return false;
    const least = Math.max(HEAVY_SAVE_ROWS, sharing.indexed / HEAVY_SAVE_FRACTION);
    return this.#heavyUnsavedRows >= least;
  }
}

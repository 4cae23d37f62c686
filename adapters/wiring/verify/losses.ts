// What is lost, joined: what somebody suspects is read a second time,
// where it lies and past all caches; what cannot be read then is said in the log. A mere reader keeps
// what it found for itself, for this host's next recorder.

import { accepted, run } from '../../../domain/ports/run.ts';
import { isOfPack, type PageStore } from '../../../domain/ports/page-store.ts';
import { decideLosses, evolveLosses, type LossCommand } from '../../../domain/losses.ts';
import { slotSets, type PackSlots } from '../../../domain/store.ts';
import { STORE_STREAM } from '../../../domain/events/streams.ts';
import { addTo } from '../../../domain/values/grouped.ts';
import type { Holding } from '../../../domain/values/holding.ts';
import { ordinalAt } from '../../../domain/values/place.ts';
import type { AnyPack, Contents } from '../../../projections/models/contents.ts';
import { Losses } from '../../../projections/models/losses.ts';
import { PackCheck, UNREADABLE } from '../../../projections/questions/pack-check.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** Where a reader keeps the names of packs in which it found damage. */
const SUSPECTS_FILE = 'suspects';
/** Most names that are kept, and asked for. */
const SUSPECTS_MAX = 4096;
const PACK_OF_LABEL = /^pack (?<name>[0-9a-f]{16})/u;

/** What events call contents and patterns by. */
export function slotsOfHoldings(contents: Contents, holdings: Iterable<Holding>): PackSlots[] {
  const slots = new Map<string, number[]>();
  for (const holding of holdings) {
    const { pack, slot } = contents.reference(holding);
    addTo(slots, pack, slot);
  }
  return [...slots].map(([pack, of]) => ({ pack, slots: of }));
}

async function appendLosses(ledger: Ledger, command: () => LossCommand): Promise<number> {
  const { state } = ledger;
  const decide = () => decideLosses(state.losses.slots)(command());
  if (accepted(decide()).length === 0) return 0;
  return (await ledger.decide(STORE_STREAM, decide)).length;
}

const neededPacks = ({ state }: Ledger): readonly AnyPack[] => state.contents.neededFrom(0);

/** Says what is lost, where it was not said; false: nothing is new. Refused where it is too much at once. */
export async function tellLost(
  ledger: Ledger,
  of: {
    readonly lost: ReadonlySet<Holding>;
    readonly packs: number;
    readonly isConfirmed: boolean;
  },
): Promise<boolean> {
  if (of.lost.size === 0) return false;
  const { state } = ledger;
  // What moved since was read there.
  const places = new Map([...of.lost].map((each) => [each, state.contents.placeOf(each)]));
  const count = await appendLosses(ledger, () => ({
    _tag: 'LoseContent',
    lost: slotsOfHoldings(
      state.contents,
      [...places].filter(([each, at]) => state.contents.placeOf(each) === at).map(([each]) => each),
    ),
    damagedPacks: of.packs,
    packs: neededPacks(ledger).length,
    isConfirmed: of.isConfirmed,
  }));
  return count > 0;
}

/** Says that what was lost is there again. */
export const tellFound = (ledger: Ledger, found: readonly PackSlots[]): Promise<number> =>
  appendLosses(ledger, () => ({ _tag: 'FindContent', found }));

/** What cannot be read of some packs. */
export interface Lost {
  /** Missing, or others than were written. */
  readonly lost: ReadonlySet<Holding>;
  /** Packs in which something is lost. */
  readonly packs: number;
  /** What its place does not give, so that nobody can tell: the log never says of it that it is lost. */
  readonly unread: ReadonlySet<Holding>;
}

/** What cannot be read of packs, each read whole where it lies; a place that does not answer is thrown. */
export async function lostIn(ledger: Ledger, packs: readonly AnyPack[]): Promise<Lost> {
  const { store, state, column } = ledger;
  if (store.isOurs !== undefined) await run(store.isOurs());
  const [lost, unread] = [new Set<Holding>(), new Set<Holding>()];
  const check = new PackCheck(
    {
      contents: state.contents,
      store: store.origin ?? store,
      engine: await ledger.engine(),
      sha256,
      useKey: (group) => ledger.useKeyAtHand(group),
      identifierOf: (content) => column.read(content),
    },
    ({ kind }, holdings) => {
      for (const holding of holdings ?? []) (kind === UNREADABLE ? unread : lost).add(holding);
    },
  );
  let damaged = 0;
  for (const pack of packs) {
    const before = lost.size;
    await check.check(pack);
    if (lost.size > before) damaged += 1;
  }
  return { lost, packs: damaged, unread };
}

/** The pack that a failure to read names; undefined: it names none that is needed. */
function packOfFailure(ledger: Ledger, thrown: unknown): AnyPack | undefined {
  if (!isOfPack(thrown)) return undefined;
  const { name, label } = thrown.facts;
  const start =
    typeof name === 'string' ? name : PACK_OF_LABEL.exec(String(label))?.groups?.['name'];
  return start === undefined
    ? undefined
    : neededPacks(ledger).find((pack) => pack.name.startsWith(start));
}

/** Says what is lost of the pack that a recorder could not read; false: nothing is, or it was said. */
export async function tellFailure(ledger: Ledger, thrown: unknown): Promise<boolean> {
  const pack = packOfFailure(ledger, thrown);
  if (pack === undefined) return false;
  return tellLost(ledger, { ...(await lostIn(ledger, [pack])), isConfirmed: false });
}

/** What cannot be read, patches of it too: as the log says, and as somebody found. */
function unreadableWith(
  { state: { losses, contents } }: Ledger,
  found: readonly PackSlots[],
): ReadonlySet<Holding> {
  if (found.length === 0) return losses.of(contents);
  const data = { packs: slotSets(found).flat() };
  return new Losses(evolveLosses(losses.slots, { type: 'ContentLost', data })).of(contents);
}

/** What cannot be read: as the log says, and as was just found. */
export const unreadableIn = (ledger: Ledger, { lost, unread }: Lost): ReadonlySet<Holding> =>
  unreadableWith(ledger, slotsOfHoldings(ledger.state.contents, [...lost, ...unread]));

/** What the log says is lost, and what whoever reads on finds unreadable meanwhile. */
export class Unreadable {
  readonly #ledger: Ledger;
  readonly #found: PackSlots[] = [];

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  #holdings(): ReadonlySet<Holding> {
    return unreadableWith(this.#ledger, this.#found);
  }

  /** Ordinals of the packs in which something of it lies. */
  ordinals(): ReadonlySet<number> {
    const { contents } = this.#ledger.state;
    return new Set([...this.#holdings()].map((each) => ordinalAt(contents.placeOf(each))));
  }

  /** Reads the pack that a failure names once more; false: nothing new is lost in it. */
  async add(thrown: unknown): Promise<boolean> {
    const pack = packOfFailure(this.#ledger, thrown);
    if (pack === undefined) return false;
    await this.#ledger.state.catchUp({ heavy: true });
    const known = this.#holdings();
    const found = await lostIn(this.#ledger, [pack]);
    const news = [...found.lost, ...found.unread].filter((each) => !known.has(each));
    this.#found.push(...slotsOfHoldings(this.#ledger.state.contents, news));
    return news.length > 0;
  }
}

/** Keeps the packs in which a reader found damage, or that there is none any more. */
export async function keepSuspects(ledger: Ledger, names: readonly string[]): Promise<void> {
  const known = await ledger.stateFiles.load(SUSPECTS_FILE);
  if ((known === null || known.length === 0) && names.length === 0) return;
  const text = names.slice(0, SUSPECTS_MAX).join('\n');
  await ledger.stateFiles.save(SUSPECTS_FILE, new TextEncoder().encode(text));
}

async function suspects(ledger: Ledger): Promise<ReadonlySet<string>> {
  const bytes = await ledger.stateFiles.load(SUSPECTS_FILE);
  return new Set(bytes === null ? [] : new TextDecoder().decode(bytes).split('\n'));
}

/** The packs that are there, and how long they are. */
async function packSizes(store: PageStore): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { name, sizeBytes } of store.list()) sizes.set(name, sizeBytes);
  return sizes;
}

/**
 * Before anything is recorded: the packs that it may link to are compared with those that are there,
 * and what a reader of this host found is read again. What is lost is said, so that it is stored anew. LOG_TOO_OLD comes before all that.
 */
export async function noticeLosses(ledger: Ledger): Promise<void> {
  const { state, store } = ledger;
  // One look, at both places at once. What came or went meanwhile is read again, as what is doubtful.
  const [sizes] = await Promise.all([
    packSizes(store.origin ?? store),
    ledger.marks.check(),
    state.catchUp({ heavy: true }),
  ]);
  const needed = neededPacks(ledger);
  const suspected = await suspects(ledger);
  const doubtful = needed.filter(
    ({ name, sizeBytes }) => sizes.get(name) !== sizeBytes || suspected.has(name),
  );
  if (doubtful.length > 0) {
    const { lost, packs } = await lostIn(ledger, doubtful);
    const known = state.losses.of(state.contents);
    const isNews = [...lost].some((holding) => !known.has(holding));
    if (isNews) await tellLost(ledger, { lost, packs, isConfirmed: false });
  }
  await keepSuspects(ledger, []);
}

// The read models of the ledger itself, in the order in which they fold a change: each is a projection
// (projection.ts), and a new one is its file and one row here. `ledger-state.ts` runs them.
//
// Two halves: the light one, which every command loads, and the heavy one, loaded only by who records
// or folds. Each half has a state file of its own.

import { areDense } from '../domain/invariants.ts';
import { assert } from '../domain/values/assert.ts';
import { catalogueBytes, catalogueIn, catalogueOf } from './models/catalogue-state.ts';
import { Catalogue } from './models/catalogue.ts';
import { isLinkedVm } from './models/vm-entry.ts';
import { Contents } from './models/contents.ts';
import type { GivenNumbers } from './models/pack-list.ts';
import { CurrentTables } from './models/current-tables.ts';
import type { Folding, Model } from './models/folding.ts';
import type { IdentifierColumn } from './models/identifier-index.ts';
import type { PageTables } from './models/page-tables.ts';
import { revivePatches } from './models/releases.ts';
import { changeLosses, Losses } from './models/losses.ts';
import { lossesOf, lossesText } from './models/losses-state.ts';
import { KeptHostMemory } from './models/host-memory.ts';
import { sharingModel } from './models/sharing-fold.ts';
import { foldRegions, regionsOf, regionsText, type VmRegions } from './models/large-regions.ts';
import { StateReader, StateWriter } from './models/state-bytes.ts';
import { togglesOf, togglesText, type Toggles } from './models/toggles.ts';
import { foldTraces, tracesOf, tracesText, type VmTraces } from './models/traces.ts';
import type { Change } from './commits.ts';

/** What the models are made of. */
export interface ModelPorts {
  /** Page tables at any capture. */
  readonly tables: PageTables;
  /** Identifiers by content number, opened when the heavy half is loaded. */
  readonly identifiers: () => IdentifierColumn;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

function foldContents(contents: Contents, change: Change, folding: Folding): void {
  if (change._tag === 'rewrite') {
    const { losses } = folding;
    if (losses.slots.size === 0) contents.rewrite(change.pack, change);
    // A patch of what is lost may lie whole elsewhere from now on.
    else
      changeLosses(folding, () => {
        contents.rewrite(change.pack, change);
        losses.change();
      });
  }
  if (change._tag !== 'capture') return;
  const { vm } = change.committed;
  const entry = folding.catalogue.vms.get(vm);
  const origin = {
    vm,
    position: change.position,
    isLinked: entry === undefined || isLinkedVm(entry),
  };
  for (const pack of change.packs) {
    revivePatches(folding, pack.patches);
    contents.add(pack, origin);
  }
}

/** Of packs before the start some may be gone, with their numbers. */
function isDense(contents: Contents): boolean {
  const { count, patternCount, numbers } = contents;
  const later = (): Iterable<GivenNumbers> => contents.numbersFrom(numbers.start.listed);
  const [first] = later();
  const from =
    numbers.start.written === 0
      ? { contents: 0, patterns: 0 }
      : { contents: first?.firstContent ?? count, patterns: first?.firstPattern ?? patternCount };
  return areDense(later(), { contents: count, patterns: patternCount }, from);
}

/** What packs hold, and where it lies. */
export const contentsModel: Model<Contents, 'contents'> = {
  name: 'contents',
  version: 6,
  initial: () => new Contents(),
  begin: ({ contents }) => Contents.load(new StateReader(contents)),
  apply: foldContents,
  write(contents) {
    assert(isDense(contents), 'contents are numbered without gaps');
    const writer = new StateWriter();
    contents.saveState(writer);
    return writer;
  },
  read: (bytes) => Contents.loadState(new StateReader(bytes)),
};

/** What the log says is lost. */
const lossesModel: Model<Losses, 'losses'> = {
  name: 'losses',
  version: 1,
  initial: () => new Losses(),
  begin: ({ losses }) => new Losses(lossesOf(losses)),
  apply(losses, change, folding) {
    if (change._tag !== 'control') return;
    const { event } = change;
    if (event.type === 'ContentLost' || event.type === 'ContentFound')
      changeLosses(folding, () => losses.evolve(event));
  },
  save: (losses) => encode(lossesText(losses.slots)),
  load: (bytes) => new Losses(lossesOf(decode(bytes))),
};

/** What was recorded of broken sharing and is otherwise. */
const togglesModel: Model<Toggles, 'toggles'> = {
  name: 'toggles',
  version: 1,
  initial: () => new Map(),
  // Of what was before, nobody is told outcomes.
  begin: () => new Map(),
  apply(toggles, change, { outcome }) {
    if (change._tag === 'capture' && outcome.toggles.length > 0)
      toggles.set(change.position, outcome.toggles);
  },
  save: (toggles) => encode(togglesText(toggles)),
  load: (bytes) => togglesOf(decode(bytes)),
};

/** VMs, captures, checkpoints. */
const catalogueModel: Model<Catalogue, 'catalogue'> = {
  name: 'catalogue',
  version: 16,
  initial: () => new Catalogue(),
  begin({ catalogue: text, position, at, id, timeMs, from }) {
    const catalogue = catalogueOf(text);
    catalogue.history = { position, at, id, timeMs, from };
    return catalogue;
  },
  apply: (catalogue, change, { outcome }) => catalogue.apply(change, outcome),
  write: catalogueBytes,
  read: catalogueIn,
};

/** What guests asked for while their memory arrived. What was before history begins is asked for again. */
const tracesModel: Model<VmTraces, 'traces'> = {
  name: 'traces',
  version: 2,
  initial: () => new Map(),
  begin: () => new Map(),
  apply: (traces, change) => foldTraces(traces, change),
  save: (traces) => encode(tracesText(traces)),
  load: (bytes) => tracesOf(decode(bytes)),
};

/** What was decided of large pages. What was so before history begins counts no more. */
const regionsModel: Model<VmRegions, 'regions'> = {
  name: 'regions',
  version: 1,
  initial: () => new Map(),
  begin: () => new Map(),
  apply: (regions, change) => foldRegions(regions, change),
  save: (regions) => encode(regionsText(regions)),
  load: (bytes) => regionsOf(decode(bytes)),
};

/**
 * What clones have of their hosts' memory. Of those that began before history does nothing is told: it is
 * made up for as they end.
 */
const hostMemoryModel: Model<KeptHostMemory, 'hostMemory'> = {
  name: 'hostMemory',
  version: 1,
  initial: () => new KeptHostMemory(),
  begin: () => new KeptHostMemory(),
  apply: (kept, change, { catalogue }) => kept.fold(change, catalogue.ledger),
  save: (kept) => kept.save(),
  load: (bytes) => KeptHostMemory.load(bytes),
};

/** Page tables where the fold stands. Its images are what it keeps (page-tables.ts). */
const tablesModel = (pages: PageTables): Model<CurrentTables, 'tables'> => ({
  name: 'tables',
  version: 1,
  initial: () => new CurrentTables(pages),
  begin: () => new CurrentTables(pages),
  apply: (tables, change, folding) => tables.apply(change, folding),
  save: () => new Uint8Array(0),
  load: () => new CurrentTables(pages),
});

const light = <S, Name extends string>(model: Model<S, Name>) =>
  ({ half: 'light', model }) as const;
const heavy = <S, Name extends string>(model: Model<S, Name>) =>
  ({ half: 'heavy', model }) as const;

/** The list. Who comes later sees what those before made of a change. */
export const modelsOf = ({ tables, identifiers }: ModelPorts) =>
  [
    light(contentsModel),
    heavy(sharingModel(identifiers)),
    light(lossesModel),
    light(togglesModel),
    light(catalogueModel),
    light(tracesModel),
    light(regionsModel),
    light(hostMemoryModel),
    heavy(tablesModel(tables)),
  ] as const;

type ListedRow = ReturnType<typeof modelsOf>[number];
export type HalfName = ListedRow['half'];

/** The states of all models, by their names. */
export type States = {
  [Listed in ListedRow as Listed['model']['name']]: Listed['model'] extends Model<infer S>
    ? S
    : never;
};

/** A row of the list, of whatever state. */
export interface ModelRow {
  readonly half: HalfName;
  readonly model: Model<unknown, keyof States>;
}

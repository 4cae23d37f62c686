// Questions about pages, joined: their history, who holds a content, what differs between two points,
// how memory is shared. They are answered from the page index and from page tables; pages are read only
// where bytes are asked for.

import { accepted } from '../../../domain/ports/run.ts';
import { openBlockFiles } from '../../stores/derived/block-files.ts';
import type { PageDifference, PageRange } from '../../../projections/questions/diff.ts';
import { differences } from '../../../projections/questions/diff.ts';
import { placesOfAddress, versionsAt } from '../../../projections/questions/address-places.ts';
import { pageHistory, type PageVersion } from '../../../projections/questions/history.ts';
import type { Moment } from '../../../projections/questions/moment.ts';
import { ensureIdentifiers, identifierIn } from '../../../projections/questions/row-lister.ts';
import { sharingReport, type SharingReport } from '../../../projections/questions/sharing-at.ts';
import { whatIf, type WhatIf } from '../../../projections/questions/what-if.ts';
import { contentNamed, holdersOf, type Holder } from '../../../projections/questions/who.ts';
import { checkMoment } from '../../../projections/models/beginning.ts';
import { isLinkedVm, type VmEntry } from '../../../projections/models/vm-entry.ts';
import { memoryMapOf } from '../../../projections/models/page-tables.ts';
import { PageIndex } from '../../../projections/page-index/page-index.ts';
import { assertUndamaged } from '../../../domain/use-cases/pages/patch-chain.ts';
import { isContent, UNTOLD, type Holding } from '../../../domain/values/holding.ts';
import { refuse } from '../../../domain/values/refused.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';

/** The page index of a ledger. */
export const pageIndexOf = (ledger: Ledger): PageIndex =>
  ledger.pageIndex(() => {
    const { state, replay, local, stateFiles, id } = ledger;
    const blocks = openBlockFiles({ files: local.files, folder: local.projections });
    const { column } = ledger;
    return new PageIndex({ state, replay, column, files: stateFiles, blocks, ledger: id });
  });

/** A version of a page as it is shown. */
export interface ShownVersion extends PageVersion {
  /** Null: it is a pattern, or what it held is lost or unknown. */
  readonly identifier: string | null;
  /** The first capture at which the page, or the address asked about, held it. */
  readonly from: number;
}

/** Something that a page held. */
interface Held {
  readonly holding: Holding;
}

/** Whether a page was stored anew only to be held large, or small: what it holds is what it held. */
function isHeldAnew(
  { state: { contents }, column }: Ledger,
  { holding }: Held,
  before: Held | undefined,
): boolean {
  if (before === undefined) return false;
  if (contents.held.isLarge(before.holding) === contents.held.isLarge(holding)) return false;
  const identifier = identifierIn(column, holding);
  return identifier !== null && identifier === identifierIn(column, before.holding);
}

/** Versions of a page, oldest first, with identifiers: all, or the newest so many, which alone are made. */
export async function historyOf(
  ledger: Ledger,
  entry: VmEntry,
  gfn: number,
  { last = null }: { readonly last?: number | null } = {},
): Promise<readonly ShownVersion[]> {
  const { state, column } = ledger;
  await ensureIdentifiers(state, column);
  const isNews = (version: Held, before?: Held): boolean => !isHeldAnew(ledger, version, before);
  const ports = { state, index: pageIndexOf(ledger) };
  const versions = await pageHistory(ports, { entry, gfn }, { last, isNews });
  return versions.map((version) => ({
    ...version,
    identifier: identifierIn(column, version.holding),
    from: version.capture,
  }));
}

/**
 * What a guest-physical address held, oldest first: the versions of the pages that it led to, by the
 * memory map of each capture. ADDRESS_UNMAPPED where it never led to one.
 */
export async function addressHistoryOf(
  ledger: Ledger,
  entry: VmEntry,
  address: number,
): Promise<readonly ShownVersion[]> {
  const places = placesOfAddress(entry, address);
  if (places.length === 0) throw refuse({ _tag: 'AddressUnmapped', address });
  const versions: ShownVersion[] = [];
  for (const place of places)
    versions.push(...versionsAt(place, await historyOf(ledger, entry, place.gfn)));
  return versions;
}

/**
 * Who holds or held the content of an identifier, or of the first digits of one; at a moment, who
 * holds it there. Refused where no content has it, or several may be meant.
 */
export async function whoHolds(
  ledger: Ledger,
  of: { readonly identifier: string; readonly at: Moment | null },
): Promise<{ readonly identifier: string; readonly holders: readonly Holder[] }> {
  const { state, column } = ledger;
  checkMoment(state.catalogue, of.at);
  await ensureIdentifiers(state, column);
  const ports = { state, column, index: pageIndexOf(ledger) };
  const { identifier, holdings } = accepted(await contentNamed(ports, of.identifier));
  return { identifier, holders: await holdersOf(ports, holdings, of.at) };
}

const isForgotten = ({ entry, row }: VmPoint): boolean => entry.isForgotten(row.capture);

/** A point of which the pages are compared. */
export interface DiffPoint extends VmPoint {
  /** What each page holds there, where it is known; absent: it is looked up. */
  readonly table?: Uint32Array;
}

/**
 * The pages that differ between two points, ascending, some thousands at a time; with their changed
 * bytes where asked. Ranges are valid until the next ones are asked for. Of forgotten captures the
 * events tell what differs, and nothing tells the bytes: ranges are null, and pages that only their
 * bytes would tell apart count as differing.
 */
export async function* diffOf(
  ledger: Ledger,
  of: {
    readonly a: DiffPoint;
    readonly b: DiffPoint;
    readonly withBytes: boolean;
    /** Only these pages; absent: all. */
    readonly gfns?: PageRange;
    /** Is told of each page that is unknown at either point: it is none that differs. */
    readonly onUnknown?: (gfn: number) => void;
  },
): AsyncGenerator<readonly PageDifference[]> {
  const { state, column } = ledger;
  const { contents } = state;
  if (contents.held.hasLarge) await ensureIdentifiers(state, column);
  // Identifiers of different groups are never equal.
  const areEqual = (before: Holding, after: Holding): boolean => {
    if (!contents.held.isLarge(before) && !contents.held.isLarge(after)) return false;
    const identifier = identifierIn(column, before);
    return identifier !== null && identifier === identifierIn(column, after);
  };
  const side = async ({ entry, row, table: known }: DiffPoint) => {
    memoryMapOf({ entry, row });
    const table = known ?? (await state.tables.at(entry, state.contents, row));
    assertUndamaged(table, `${entry.vm}@${row.capture}`);
    const group = isLinkedVm(entry) ? (entry.state.registered?.group ?? null) : null;
    return { table, vm: entry.vm, group };
  };
  yield* differences(() => ledger.pageReader(), {
    a: await side(of.a),
    b: await side(of.b),
    isGrammarWidened: state.catalogue.facts.patterns.length > 0,
    withBytes: of.withBytes,
    hasPages: !isForgotten(of.a) && !isForgotten(of.b),
    ...(contents.held.hasLarge ? { areEqual } : {}),
    ...(of.gfns === undefined ? {} : { gfns: of.gfns }),
    ...(of.onUnknown === undefined ? {} : { onUnknown: of.onUnknown }),
  });
}

/** How memory is made up at a moment, and what it costs. */
export async function sharingOf(
  ledger: Ledger,
  at: Moment & { readonly vm: string | null },
): Promise<SharingReport & { readonly storedBytes: number; readonly logBytes: number }> {
  checkMoment(ledger.state.catalogue, at);
  return { ...(await sharingReport(ledger.state, at)), ...(await ledger.storedBytes()) };
}

/** Who holds what a page of a VM holds at a moment, the page itself among them. */
export interface PageSharers {
  /** Null: the page is a pattern, which is shared inside its VM only, or unknown. */
  readonly identifier: string | null;
  /** Whether no source told what the page held. */
  readonly isUnknown: boolean;
  readonly holders: readonly Holder[];
}

/** Who shares a page with whom. */
export async function sharersOf(
  ledger: Ledger,
  page: VmPoint & { readonly gfn: number },
  at: Moment,
): Promise<PageSharers> {
  const { state, column } = ledger;
  const { entry, row, gfn } = page;
  checkMoment(state.catalogue, at);
  await ensureIdentifiers(state, column);
  const index = pageIndexOf(ledger);
  const versions = await index.versions(entry.vm, gfn);
  const holding = versions.findLast(({ capture }) => capture <= row.capture)?.holding;
  const isUnknown = holding === UNTOLD;
  if (holding === undefined || !isContent(holding))
    return { identifier: null, isUnknown, holders: [] };
  const holders = await holdersOf({ state, index }, [holding], at);
  return { identifier: identifierIn(column, holding), isUnknown, holders };
}

/** What other settings would have cost. */
export const whatIfOf = ({ state, replay }: Ledger): Promise<readonly WhatIf[]> =>
  whatIf({ state, replay });

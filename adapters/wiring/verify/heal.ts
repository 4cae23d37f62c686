// Healing, joined: what cannot be read is looked for by identifier in another ledger and in files that
// hold memory or were kept beside a capture, and what is found is stored anew. Identifiers are keyed: a group is healed where its key is at hand.

import type { GuestCapture } from '../../../domain/ports/guests.ts';
import {
  CHUNK_PAGES,
  CLASS_NONE,
  CLASS_ZERO,
  FINGERPRINT_BYTES,
  type PageEngine,
  type ScannedChunk,
} from '../../../domain/ports/page-engine.ts';
import { isOfPack } from '../../../domain/ports/page-store.ts';
import { run } from '../../../domain/ports/run.ts';
import { addTo } from '../../../domain/values/grouped.ts';
import { partsOfDevice } from '../../../domain/values/device-state.ts';
import { holdingOfContent, type Holding } from '../../../domain/values/holding.ts';
import { fromHex } from '../../../domain/values/identifier.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES, wholePages } from '../../../domain/values/page.ts';
import { ordinalAt } from '../../../domain/values/place.ts';
import { descriptorsOf } from '../../../domain/use-cases/compact/kept-patterns.ts';
import { Healer } from '../../../domain/use-cases/repair/healer.ts';
import { LostContent, type LostHolding } from '../../../domain/use-cases/repair/lost-content.ts';
import { openMoments } from '../../guests/sources.ts';
import { placesOf } from '../forget/compact.ts';
import { bytesOfFile, type HealFile } from './heal-files.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { unreadableIn, type Lost } from './losses.ts';
import { alone, packPorts } from './repair-packs.ts';

/** Where lost content may be. */
export interface HealSources {
  /** Another ledger; null: none. */
  readonly from: Ledger | null;
  readonly files: readonly HealFile[];
  /** Called before each part of it is looked through. */
  readonly onStep: () => void;
}

/** What came of looking for lost content. */
export interface Healed {
  /** Pages and patterns that were found. */
  readonly pages: number;
  /** Groups of which content is lost and was not looked for: their keys are not at hand. */
  readonly withoutKey: readonly string[];
}

/** Contents of another ledger that are read at once. */
const READ_PAGES = 64;

/** What cannot be read, by sharing group. */
function lostByGroup({ state }: Ledger, unreadable: Iterable<Holding>): Map<string, LostHolding[]> {
  const { contents, sharing } = state;
  const groups = new Map<string, LostHolding[]>();
  for (const holding of unreadable) {
    const pack = contents.homePackOf(holding);
    if (pack === null) continue;
    const { group, vm } = pack;
    addTo(groups, group, { holding, identifier: sharing.identifierAt(holding).slice(), vm });
  }
  return groups;
}

const isUnreadable = (thrown: unknown): boolean =>
  isOfPack(thrown) || (isLedgerError(thrown) && thrown.code === 'POINT_DAMAGED');

/** Where it is looked, and for what. */
interface Looking {
  readonly healer: Healer;
  readonly lost: LostContent;
  readonly onStep: () => void;
}

/** Gives the pages of another ledger that can be read there. */
async function addReadable(
  from: Ledger,
  { healer, onStep }: Pick<Looking, 'healer' | 'onStep'>,
  holdings: readonly Holding[],
): Promise<void> {
  onStep();
  const reader = await from.pageReader();
  try {
    const pages = new Uint8Array(holdings.length * PAGE_BYTES);
    await healer.addPages(await reader.read(holdings, pages));
  } catch (thrown) {
    if (!isUnreadable(thrown)) throw thrown;
    if (holdings.length > 1)
      for (const holding of holdings) await addReadable(from, { healer, onStep }, [holding]);
  }
}

/** Looks in another ledger: all contents that have such an identifier, whichever of them is whole. */
async function lookInLedger(from: Ledger, looking: Looking): Promise<void> {
  const { healer, lost } = looking;
  const { contents } = from.state;
  let found: Holding[] = [];
  for (let content = 0; content < contents.count && lost.hasContents; content += 1) {
    const identifier = from.column.read(content);
    if (identifier === null || !lost.isContentLost(identifier, 0)) continue;
    const holding = holdingOfContent(content);
    if (contents.placeOf(holding) >= 0) found.push(holding);
    if (found.length < READ_PAGES) continue;
    await addReadable(from, looking, found);
    found = [];
  }
  if (found.length > 0) await addReadable(from, looking, found);
  for (const hex of lost.patterns()) await lookForPattern(from, healer, fromHex(hex));
}

async function lookForPattern(from: Ledger, healer: Healer, identifier: Uint8Array): Promise<void> {
  const { contents, sharing } = from.state;
  const holding = sharing.findPattern(identifier);
  if (holding < 0 || contents.placeOf(holding) < 0) return;
  const ports = { engine: await from.engine(), store: from.store, places: placesOf(from) };
  const ordinal = ordinalAt(contents.placeOf(holding));
  const isNeeded = (each: Holding): boolean => each === holding;
  const vm = contents.homePackOf(holding)!.vm;
  try {
    for (const { descriptor } of await descriptorsOf(ports, { ordinal }, { isNeeded }))
      healer.addPattern({ descriptor, patternClass: identifier[0]!, vm });
  } catch (thrown) {
    if (!isUnreadable(thrown)) throw thrown;
  }
}

async function lookInChunk(
  engine: PageEngine,
  of: { readonly healer: Healer; readonly lost: LostContent; readonly scanned: ScannedChunk },
): Promise<void> {
  const { healer, lost, scanned } = of;
  const { classes, identifiers, descriptors } = scanned;
  await healer.addDescribed(
    descriptors,
    [...classes].filter((each) => each > CLASS_ZERO),
  );
  const rows = Uint32Array.from(classes.keys()).filter(
    (row) => classes[row] === CLASS_NONE && lost.isContentLost(identifiers, row),
  );
  if (rows.length === 0) return;
  const { bytes, ...blocks } = await scanned.store({ rows, cuts: [] });
  await healer.addPages(engine.decode({ bytes, blocks, label: 'pages of an image' }));
}

/** Looks through a guest's memory and its device state. */
async function lookInGuest(
  engine: PageEngine,
  of: Looking & { readonly captured: GuestCapture },
): Promise<void> {
  const { healer, lost, captured, onStep } = of;
  const { image, device } = captured;
  const next = new SharedArrayBuffer(image.pageCount * FINGERPRINT_BYTES);
  for (let firstPage = 0; firstPage < image.pageCount && !lost.isFound; firstPage += CHUNK_PAGES) {
    onStep();
    const pageCount = Math.min(CHUNK_PAGES, image.pageCount - firstPage);
    const scanned = await engine.scan({ image, firstPage, pageCount, previous: null, next });
    try {
      await lookInChunk(engine, { healer, lost, scanned });
    } finally {
      scanned.release();
    }
  }
  for (const part of device === null ? [] : partsOfDevice(device))
    await healer.addPages(wholePages(part));
}

async function lookInFile(
  ledger: Ledger,
  { path, isImage, isAttachment }: HealFile,
  of: Looking,
): Promise<void> {
  if (isAttachment) await of.healer.addPages(wholePages(await bytesOfFile(path)));
  if (isImage) await lookInImage(ledger, path, of);
}

async function lookInImage(ledger: Ledger, path: string, of: Looking): Promise<void> {
  for await (const source of openMoments({ path, timeMs: null, clock: ledger.clock }))
    await lookInGuest(await ledger.engine(), { ...of, captured: await run(source.capture()) });
}

/** Heals what is lost of a group, whose key the engine has: how many pages and patterns. */
async function healGroup(
  ledger: Ledger,
  { from, files, onStep }: HealSources,
  of: { readonly group: string; readonly lost: LostContent },
): Promise<number> {
  const { lost } = of;
  const engine = await ledger.engine();
  const healer = new Healer({ ...packPorts(ledger), engine, places: placesOf(ledger) }, of);
  try {
    const looking = { healer, lost, onStep };
    if (from !== null) await lookInLedger(from, looking);
    for (const file of files) if (!lost.isFound) await lookInFile(ledger, file, looking);
    return await healer.finish();
  } finally {
    await healer.abandon();
  }
}

/**
 * Looks for what cannot be read, as the log says and as was just found, and stores what is found anew.
 * COMPACTION_BUSY.
 */
export function heal(ledger: Ledger, sources: HealSources, found: Lost): Promise<Healed> {
  return alone(ledger, async () => {
    const withoutKey: string[] = [];
    let pages = 0;
    if (sources.from !== null) await sources.from.state.catchUp({ heavy: true });
    for (const [group, of] of lostByGroup(ledger, unreadableIn(ledger, found))) {
      if (await ledger.useKeyAtHand(group))
        pages += await healGroup(ledger, sources, { group, lost: new LostContent(of) });
      else withoutKey.push(group);
    }
    return { pages, withoutKey };
  });
}

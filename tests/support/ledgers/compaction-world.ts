// A small ledger in memory that is recorded into, forgotten from and compacted, by any number of
// openings of it at once, and the plainest model of what it must give back.

import { randomBytes } from 'node:crypto';
import { rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { openLedger, recordImages, Refused, type CaptureRow, type Ledger } from '../../../index.ts';
import type { FileFacts } from '../../../adapters/files/file-port.ts';
import {
  areDense,
  areNumbered,
  areWritesCounted,
  miscountedHolder,
  repeatedIn,
} from '../../../domain/invariants.ts';
import { toHex } from '../../../domain/values/identifier.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { untoldAsZeros } from '../../../domain/use-cases/pages/patch-chain.ts';
import { FIRST_CONTENT, UNTOLD } from '../../../domain/values/holding.ts';
import { unknownWritten } from '../../../projections/models/capture-rows.ts';
import { isWritten } from '../../../projections/models/contents.ts';
import { TEMPORARY_PREFIX } from '../../../adapters/files/whole-file.ts';
import { LossyFiles } from '../../simulation/lossy-files.ts';
import { kdump } from '../guest/kdump-bytes.ts';
import { seededRandom } from '../images.ts';

/**
 * Contents by number: 0 zeros, below FIRST_FAMILY a pattern each, then families of similar pages; and what
 * a dump does not tell.
 */
export type ContentNumber = number;
export const UNTOLD_NUMBER = -1;
const FIRST_FAMILY = 16;
/** What stands for a page that is unknown. */
const UNTOLD_BYTE = 0xee;
/** The page at which the memory in dumps begins: 1 MiB. */
const DUMP_PAGE = 256;
/** Pages left out that are no zeros: dumps with this level have their zeros. */
const DUMP_LEVEL = 30;
const VARIANTS = 16;

const pagesMade = new Map<ContentNumber, Uint8Array>();

/** The bytes of a content. Those of one family differ in a few bytes. */
export function pageOf(number: ContentNumber): Uint8Array {
  let page = pagesMade.get(number);
  if (page !== undefined) return page;
  page = new Uint8Array(PAGE_BYTES);
  if (number === UNTOLD_NUMBER) page.fill(UNTOLD_BYTE);
  if (number > 0 && number < FIRST_FAMILY)
    for (let i = 0; i < PAGE_BYTES; i += 1) page[i] = i % 4 === 0 ? 0x40 + number : 7;
  if (number >= FIRST_FAMILY) {
    const random = seededRandom(1 + Math.floor(number / VARIANTS));
    // Nothing that packs: a pack is not worth rewriting for its bytes alone, whatever packs it.
    for (let i = 0; i < PAGE_BYTES; i += 1) page[i] = random(256);
    const variant = number % VARIANTS;
    for (let i = 0; i < 8 * variant; i += 1) page[variant * 200 + i]! ^= 0x55;
  }
  pagesMade.set(number, page);
  return page;
}

/** The memory that contents make, page by page. */
export function memoryOf(table: readonly ContentNumber[]): Uint8Array {
  const bytes = new Uint8Array(table.length * PAGE_BYTES);
  for (const [gfn, number] of table.entries()) bytes.set(pageOf(number), gfn * PAGE_BYTES);
  return bytes;
}

const WORLD_URL = '/disk/ledger';

/** A disk in memory whose files were all written at one time, but for what is written for its clock. */
export class WorldDisk extends LossyFiles {
  writtenAtMs = Date.now();
  /** What its clock says since; absent: the time at which all was written. */
  nowMs: number | null = null;

  override async facts(path: string): Promise<FileFacts | null> {
    const facts = await super.facts(path);
    const isProbe = posix.basename(path).startsWith(TEMPORARY_PREFIX);
    const modifiedAtMs = (isProbe ? this.nowMs : null) ?? this.writtenAtMs;
    return facts === null ? null : { ...facts, modifiedAtMs };
  }
}

/** A disk with nothing on it. */
export const freshDisk = (): WorldDisk => new WorldDisk(['/', '/disk']);

export const openWorld = (files: LossyFiles, clock?: () => number): Promise<Ledger> =>
  openLedger({
    url: WORLD_URL,
    mode: 'create',
    threads: 0,
    files,
    ...(clock === undefined ? {} : { clock }),
  });

/** Who a VM is, for its first capture. */
export interface VmKind {
  readonly group: string | null;
  readonly share?: 'group' | 'pattern' | 'vm';
}

/** A dump of the memory, without the pages that are unknown. */
const dumpOf = (table: readonly ContentNumber[]): Uint8Array =>
  kdump({
    runs: [{ address: DUMP_PAGE * PAGE_BYTES, bytes: memoryOf(table) }],
    level: DUMP_LEVEL,
    isFiltered: (page) => table[page - DUMP_PAGE] === UNTOLD_NUMBER,
  });

/** Records one capture of these contents. */
export async function recordTable(
  ledger: Ledger,
  request: VmKind & {
    readonly vm: string;
    readonly table: readonly ContentNumber[];
    readonly folder: string;
    readonly timeMs?: number;
  },
): Promise<CaptureRow> {
  const { vm, table, folder, timeMs = null, ...kind } = request;
  const path = join(folder, `image-${randomBytes(6).toString('hex')}`);
  const isDump = table.includes(UNTOLD_NUMBER);
  writeFileSync(path, isDump ? dumpOf(table) : memoryOf(table));
  if (timeMs !== null) utimesSync(path, timeMs / 1000, timeMs / 1000);
  const rows: CaptureRow[] = [];
  try {
    await recordImages(
      ledger,
      { vm, ...kind },
      { files: [path], timeMs, format: isDump ? 'kdump' : 'raw' },
      (row) => rows.push(row),
    );
  } finally {
    rmSync(path, { force: true });
  }
  return rows[0]!;
}

/**
 * The contents at a point, as the ledger gives them back, UNTOLD_BYTE for what is unknown; a refusal's tag
 * where it does not.
 */
export async function tableAt(
  ledger: Ledger,
  { vm, capture }: { readonly vm: string; readonly capture: number },
): Promise<Uint8Array | string> {
  const entry = ledger.vm(vm);
  let row: CaptureRow;
  try {
    row = ledger.resolve(entry, `@${capture}`);
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown.refusal._tag;
    throw thrown;
  }
  const table = await ledger.state.tables.at(entry, ledger.state.contents, row);
  const reader = await ledger.pageReader();
  const bytes = new Uint8Array(table.length * PAGE_BYTES);
  const found = await reader.read(untoldAsZeros(table), bytes);
  for (const [gfn, holding] of table.entries())
    if (holding === UNTOLD) found.fill(UNTOLD_BYTE, gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);
  return found;
}

/** A VM as the model has it. */
export interface ModelVm {
  readonly kind: VmKind;
  readonly captures: (readonly ContentNumber[])[];
  readonly checkpoints: Map<string, number>;
  /** Captures that are held, by lease. */
  readonly leases: Map<string, number>;
  /** Captures that only a checkpoint or a lease keeps. */
  readonly givenUp: Set<number>;
  isRetired: boolean;
}

/** What a ledger must give back. */
export class WorldModel {
  readonly vms = new Map<string, ModelVm>();

  vm(name: string, kind: VmKind = { group: null }): ModelVm {
    let vm = this.vms.get(name);
    if (vm === undefined) {
      vm = {
        kind,
        captures: [],
        checkpoints: new Map(),
        leases: new Map(),
        givenUp: new Set(),
        isRetired: false,
      };
      this.vms.set(name, vm);
    }
    return vm;
  }

  isKept({ checkpoints, leases, givenUp }: ModelVm, capture: number): boolean {
    const keepers = [...checkpoints.values(), ...leases.values()];
    return !givenUp.has(capture) || keepers.includes(capture);
  }

  /** Gives captures of a VM up, but for those that are held. */
  forget(name: string, captures: Iterable<number>): void {
    const { givenUp, leases } = this.vm(name);
    const held = new Set(leases.values());
    for (const capture of captures) if (!held.has(capture)) givenUp.add(capture);
  }

  /** The same of all before one. */
  forgetBefore(name: string, before: number): void {
    this.forget(
      name,
      Array.from({ length: before - 1 }, (_, i) => i + 1),
    );
  }

  /** Gives all captures of a VM up, which is at its end. */
  drop(name: string): void {
    const { captures, checkpoints, givenUp } = this.vm(name);
    for (let capture = 1; capture <= captures.length; capture += 1) givenUp.add(capture);
    checkpoints.clear();
  }

  /** Contents that kept captures of the VMs that share in a group hold. */
  heldIn(group: string | null): Set<ContentNumber> {
    const held = new Set<ContentNumber>();
    for (const vm of this.vms.values())
      if (vm.kind.group === group && vm.kind.share === undefined)
        for (const [i, table] of vm.captures.entries())
          if (this.isKept(vm, i + 1)) for (const number of table) held.add(number);
    return held;
  }

  /** What `sharing` counts of VMs that are not retired, at their newest captures. */
  sharing(): Record<string, number> {
    const counts = { vms: 0, pages: 0, zero: 0, pattern: 0, unknown: 0 };
    /** VMs and pages of each content that is shared by identifier. */
    const holders = new Map<string, { readonly vms: Set<string>; pages: number }>();
    let unlinked = 0;
    for (const [name, { kind, captures, isRetired }] of this.vms) {
      const table = captures.at(-1);
      if (isRetired || table === undefined) continue;
      counts.vms += 1;
      counts.pages += table.length;
      for (const number of table) {
        if (number === UNTOLD_NUMBER) counts.unknown += 1;
        else if (number === 0) counts.zero += 1;
        else if (number < FIRST_FAMILY) counts.pattern += 1;
        else if (kind.share === 'pattern') unlinked += 1;
        else {
          const key = `${kind.group} ${number}`;
          const held = holders.get(key) ?? { vms: new Set<string>(), pages: 0 };
          held.vms.add(name);
          held.pages += 1;
          holders.set(key, held);
        }
      }
    }
    const all = [...holders.values()];
    const holdings = all.reduce((sum, { vms }) => sum + vms.size, 0);
    const pages = all.reduce((sum, held) => sum + held.pages, 0);
    return {
      ...counts,
      unique: all.length + unlinked,
      mergedIntra: pages - holdings,
      mergedInter: holdings - all.length,
    };
  }

  /** What is wrong with what a ledger gives back, as sentences. */
  async faults(ledger: Ledger): Promise<string[]> {
    const faults: string[] = [];
    for (const [name, vm] of this.vms)
      for (const [i, table] of vm.captures.entries()) {
        const capture = i + 1;
        const found = await tableAt(ledger, { vm: name, capture });
        const point = `${name}@${capture}`;
        if (!this.isKept(vm, capture)) {
          if (found !== 'PointForgotten') faults.push(`${point} is not forgotten`);
        } else if (typeof found === 'string') faults.push(`${point} is refused: ${found}`);
        else if (!Buffer.from(memoryOf(table)).equals(found))
          faults.push(`${point} is other memory`);
      }
    return [...faults, ...storedFaults(ledger), ...(await countFaults(ledger))];
  }
}

/** Where counts and numbers of the fold break their invariants. */
async function countFaults({ state }: Ledger): Promise<string[]> {
  const { contents, sharing, catalogue } = state;
  const faults: string[] = [];
  const numbered = { contents: contents.count, patterns: contents.patternCount };
  if (!areDense(contents.packs, numbered)) faults.push('contents are numbered with gaps');
  const tables: Uint32Array[] = [];
  for (const entry of catalogue.vms.values()) {
    for (const row of entry.captures)
      if (!areWritesCounted({ ...row, unknown: unknownWritten(row) }) || unknownWritten(row) < 0)
        faults.push(`${entry.vm}@${row.capture} is miscounted`);
    const last = entry.captures.at(-1);
    if (last === undefined || entry.state.isRetired) continue;
    const table = await state.tables.at(entry, contents, last);
    if (!areNumbered(table, numbered)) faults.push(`${entry.vm} holds what has no number`);
    tables.push(table);
  }
  const holders = { contents: contents.count, of: (content: number) => sharing.holders(content) };
  const miscounted = miscountedHolder(tables, holders);
  if (miscounted !== null) faults.push(`content ${miscounted} has other holders`);
  return faults;
}

/**
 * Where what is stored breaks its invariants: two contents of a group that are equal and both there,
 * patches that refer to nothing, counts of what lies in a pack that are not those of its slots.
 */
function storedFaults({ state, column }: Ledger): string[] {
  const { contents } = state;
  const faults: string[] = [];
  const stored: string[] = [];
  for (const pack of contents.packs)
    for (let slot = 0; pack.isLinked && slot < pack.pages; slot += 1) {
      const content = pack.firstContent + slot;
      if (contents.aliases.has(content) || contents.isReleased(FIRST_CONTENT + content)) continue;
      const identifier = column.read(content);
      if (identifier?.length !== IDENTIFIER_BYTES) {
        faults.push(`content ${content} has no identifier`);
        continue;
      }
      stored.push(`${pack.group} ${toHex(identifier)}`);
    }
  const repeated = repeatedIn(stored);
  if (repeated !== null) faults.push(`${repeated} is stored twice`);
  for (const pack of contents.all) {
    const slots = isWritten(pack) ? pack.pages + pack.patterns : pack.holdings.length;
    let lying = 0;
    for (let slot = 0; slot < slots; slot += 1) {
      const place = contents.placeOf(contents.holdingAt(pack, slot));
      if (place < 0 || contents.packAt(place) !== pack) continue;
      lying += 1;
      const reference = contents.referenceAt(place);
      if (reference !== null && contents.placeOf(reference) < 0)
        faults.push(`slot ${slot} of pack ${pack.ordinal} is a patch of what is released`);
    }
    if (contents.isNeeded(pack) !== lying > 0) faults.push(`pack ${pack.ordinal} is miscounted`);
  }
  return faults;
}

/** What a state says of where everything lies, to compare with another one's. */
export function placesIn({ state }: Ledger): unknown {
  const { contents, catalogue } = state;
  const holdings = Array.from({ length: contents.count }, (_, i) => FIRST_CONTENT + i);
  return {
    places: holdings.map((holding) => contents.placeOf(holding)),
    aliases: [...contents.aliases],
    emptied: [...contents.all].map((pack) => contents.emptiedAtMs(pack)),
    kept: [...catalogue.vms.values()].map((entry) => [
      entry.vm,
      entry.points.givenUp,
      [...entry.points.names],
      entry.captures.map(({ stored, merged }) => [stored, merged]),
    ]),
  };
}

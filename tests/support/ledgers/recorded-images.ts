// Images recorded into a ledger and taken out again through the library, and what counts of them
// should be: computed from the images alone, page by page.

import { createHash } from 'node:crypto';
import { readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import {
  fingerprint,
  historyOf,
  listEvents,
  openLedger,
  PAGE_BYTES,
  recordImages,
  restoreToFile,
  sharingOf,
  verify,
  type CaptureRow,
  type EventRow,
  type LargeHolding,
  type Ledger,
  type LogFilter,
  type OpenLedgerOptions,
  type RestoreFormat,
  type SharePolicy,
} from '../../../index.ts';
import { patternOf } from '../../../domain/patterns/describe.ts';

/** Opens a ledger, works with it and closes it. Inline unless `threads` is given. */
export async function withLedger<T>(
  options: OpenLedgerOptions,
  work: (ledger: Ledger) => Promise<T>,
): Promise<T> {
  const ledger = await openLedger({ threads: 0, ...options });
  try {
    return await work(ledger);
  } finally {
    await ledger.close();
  }
}

export interface ImageFiles {
  readonly folder: string;
  readonly name: string;
  readonly images: Iterable<Uint8Array>;
  /** Modification time of the first; each further one is `stepMs` later. Absent: now. */
  readonly fromMs?: number;
  readonly stepMs?: number;
}

/** Writes images as files; gives their paths. */
export function writeImages(request: ImageFiles): string[] {
  const { folder, name, images, fromMs, stepMs = 0 } = request;
  return [...images].map((image, i) => {
    const path = join(folder, `${name}-${i + 1}.raw`);
    writeFileSync(path, image);
    if (fromMs !== undefined) {
      const seconds = (fromMs + i * stepMs) / 1000;
      utimesSync(path, seconds, seconds);
    }
    return path;
  });
}

/** Records files as captures of a VM. */
export async function recordFiles(
  ledger: Ledger,
  request: {
    readonly vm: string;
    readonly files: readonly string[];
    readonly group?: string;
    readonly share?: SharePolicy;
    readonly large?: LargeHolding;
  },
): Promise<CaptureRow[]> {
  const rows: CaptureRow[] = [];
  const { files, ...of } = request;
  await recordImages(ledger, { group: null, ...of }, { files, timeMs: null }, (row) =>
    rows.push(row),
  );
  return rows;
}

/** Records one image, written into the folder for as long as it takes. */
export async function recordImage(
  ledger: Ledger,
  request: {
    readonly vm: string;
    readonly image: Uint8Array;
    readonly folder: string;
    readonly group?: string;
    readonly share?: SharePolicy;
    readonly large?: LargeHolding;
  },
): Promise<CaptureRow> {
  const { image, folder, ...of } = request;
  const files = writeImages({ folder, name: of.vm, images: [image] });
  const [row] = await recordFiles(ledger, { ...of, files });
  for (const file of files) rmSync(file);
  return row!;
}

let restores = 0;

/** Memory at a point, through a file that is gone afterwards. */
export async function restored(
  ledger: Ledger,
  request: {
    readonly vm: string;
    readonly at: string;
    readonly folder: string;
    readonly format?: RestoreFormat;
  },
): Promise<Buffer> {
  const { vm, at, folder, format = 'raw' } = request;
  const entry = ledger.vm(vm);
  const path = join(folder, `restored-${process.pid}-${(restores += 1)}`);
  const row = ledger.resolve(entry, at);
  await restoreToFile(ledger, { entry, row }, { format, path, isForced: false });
  const bytes = readFileSync(path);
  rmSync(path);
  return bytes;
}

const ALL_EVENTS: LogFilter = { vm: null, type: null, isExpanded: false, from: null, to: null };

/** Rows of the log. */
export async function eventsOf(
  ledger: Ledger,
  filter: Partial<LogFilter> = {},
): Promise<EventRow[]> {
  const rows: EventRow[] = [];
  await listEvents(ledger, { ...ALL_EVENTS, ...filter }, (row) => {
    rows.push(row);
    return Promise.resolve();
  });
  return rows;
}

/** All that a ledger answers, for comparing two: captures, counts, versions, fingerprint, verify. */
export async function answersOf(
  ledger: Ledger,
  gfns: readonly number[],
): Promise<Readonly<Record<string, unknown>>> {
  const vms = [...ledger.state.catalogue.vms.values()];
  const position = ledger.state.next;
  const answers: Record<string, unknown> = {
    sharing: await sharingOf(ledger, { position, vm: null }),
    fingerprint: await fingerprint(ledger),
    verify: await verify(ledger, () => undefined),
    events: await eventsOf(ledger, { isExpanded: true }),
  };
  for (const entry of vms) {
    answers[`captures of ${entry.vm}`] = entry.captures;
    answers[`checkpoints of ${entry.vm}`] = entry.checkpoints;
    answers[`sharing of ${entry.vm}`] = await sharingOf(ledger, { position, vm: entry.vm });
    for (const gfn of gfns)
      answers[`history of ${entry.vm} ${gfn}`] = await historyOf(ledger, entry, gfn);
  }
  return answers;
}

/** What of a sharing answer can be counted from images. */
export interface CountedPages {
  readonly vms: number;
  readonly pages: number;
  readonly zero: number;
  readonly pattern: number;
  readonly unique: number;
  readonly mergedIntra: number;
  readonly mergedInter: number;
}

const ZERO_PAGE = Buffer.alloc(PAGE_BYTES);
const PATTERN = 'pattern ';

/** Contents of an image's pages; null for a page of zeros; what `isPatternContent` for other patterns. */
export function contentsOf(image: Uint8Array): (string | null)[] {
  const contents: (string | null)[] = [];
  for (let at = 0; at < image.length; at += PAGE_BYTES) {
    const page = image.subarray(at, at + PAGE_BYTES);
    const digest = createHash('sha256').update(page).digest('hex');
    const isOfPattern = patternOf(page) !== null;
    contents.push(ZERO_PAGE.equals(page) ? null : isOfPattern ? PATTERN + digest : digest);
  }
  return contents;
}

/** Whether a pattern describes a page of this content. */
export const isPatternContent = (content: string | null): boolean =>
  content === null || content.startsWith(PATTERN);

/** Counts over the memories of VMs, or of one of them, by the definition and nothing else. */
export function countPages(
  memories: ReadonlyMap<string, Uint8Array>,
  vm: string | null = null,
): CountedPages {
  const holders = new Map<string, Set<string>>();
  const own = { pages: 0, zero: 0, pattern: 0 };
  const all = { pages: 0, zero: 0, pattern: 0 };
  const mine = new Set<string>();
  for (const [name, image] of memories)
    for (const content of contentsOf(image)) {
      for (const counts of name === vm ? [all, own] : [all]) {
        counts.pages += 1;
        if (content === null) counts.zero += 1;
        else if (isPatternContent(content)) counts.pattern += 1;
      }
      if (content === null || isPatternContent(content)) continue;
      holders.set(content, (holders.get(content) ?? new Set()).add(name));
      if (name === vm) mine.add(content);
    }
  const restOf = ({ pages, zero, pattern }: typeof all): number => pages - zero - pattern;
  if (vm === null) {
    const unique = holders.size;
    const pairs = [...holders.values()].reduce((sum, { size }) => sum + size, 0);
    const mergedInter = pairs - unique;
    return { vms: memories.size, ...all, unique, mergedIntra: restOf(all) - pairs, mergedInter };
  }
  const unique = [...mine].filter((content) => holders.get(content)!.size === 1).length;
  const mergedInter = mine.size - unique;
  return { vms: 1, ...own, unique, mergedIntra: restOf(own) - mine.size, mergedInter };
}

/** How a ledger says its memory is made up, without what it costs. */
export async function countedBy(ledger: Ledger, vm: string | null = null): Promise<CountedPages> {
  const counts = await sharingOf(ledger, { position: ledger.state.next, vm });
  expect(counts.patched).toBeLessThanOrEqual(counts.unique);
  const { vms, pages, zero, pattern, unique, mergedIntra, mergedInter } = counts;
  return { vms, pages, zero, pattern, unique, mergedIntra, mergedInter };
}

/** Distinct pages, quickly: each is filled with its own number. Compressible. */
export function distinctPages(request: { readonly pages: number; readonly seed: number }): Buffer {
  const image = Buffer.alloc(request.pages * PAGE_BYTES);
  for (let gfn = 0; gfn < request.pages; gfn += 1)
    image.fill(`page ${gfn} of image ${request.seed}; `, gfn * PAGE_BYTES, (gfn + 1) * PAGE_BYTES);
  return image;
}

// The library for those who read a ledger: VMs, captures, bytes and page classes of a point, and changes from
// a place on, as plain objects that go through JSON.stringify. What else can be asked is in index.ts.

import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { pageCountOf } from '../../../domain/values/memory-map.ts';
import { instantText } from '../../../domain/values/instant.ts';
import { splitPoint } from '../../../domain/values/point.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { CLASS_NONE } from '../../../domain/ports/page-engine.ts';
import { patternClassName } from '../../../projections/questions/pattern-classes.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';
import { openLedger } from '../opening/open-ledger.ts';
import type { OpenLedgerOptions } from '../opening/options.ts';
import { classesAt, readPages } from './memory.ts';

/** A VM of a ledger. */
export interface VmSummary {
  readonly vm: string;
  /** Whom it shares pages with. */
  readonly group: string | null;
  /** Of its memory, of 4 KiB; null: the event that tells is lost. */
  readonly pages: number | null;
  readonly captures: number;
  readonly retired: boolean;
}

/** A capture of a VM. Times are ISO 8601 in UTC, positions are texts: they are larger than a number. */
export interface CaptureSummary {
  readonly vm: string;
  readonly capture: number;
  readonly position: string;
  readonly time: string;
  readonly recordedAt: string;
  readonly written: number;
  readonly stored: number;
  readonly merged: number;
  readonly pattern: number;
  readonly unchanged: number;
  /** Whether its memory is kept. */
  readonly forgotten: boolean;
  readonly deviceState: boolean;
  readonly note: string | null;
}

/** Which bytes of a point: whole pages by their number, or a range of guest-physical addresses. */
export type BytesAt =
  | { readonly page: number; readonly pages?: number }
  | { readonly address: number; readonly length: number };

/** What a page of a point is; equal contents have equal numbers, inside one opening of the ledger. */
export interface PageClass {
  readonly gfn: number;
  /** `zero`, `byte`, `word16`, ...: a pattern's; null: no pattern. */
  readonly pattern: string | null;
  readonly content: number;
}

/** From where on changes are told, and which. */
export interface ChangesAfter {
  /** The `place` of the last change that was seen; absent: from the beginning. */
  readonly after?: string;
  readonly vm?: string;
  readonly type?: string;
  /** Whether page events are told one by one. */
  readonly pages?: boolean;
  /** Whether it goes on with what comes, until the signal aborts. Absent: it ends where the log does. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** An event, as `pageledger subscribe` prints it: with what it says beside these. */
export interface ChangeRow {
  readonly position: string;
  readonly item: number | null;
  /** To go on from. */
  readonly place: string;
  readonly type: string;
  readonly vm: string | null;
  readonly time: string;
  readonly capture: number | null;
  readonly [fact: string]: unknown;
}

/** A ledger that is read. Points are as on the command line, with their VM: `web@3`, `web/cp:NAME`. */
export class LedgerReader {
  readonly #ledger: Ledger;
  #isClosed = false;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** The VMs, in the order in which they came. */
  async vms(): Promise<readonly VmSummary[]> {
    const ledger = await this.#now();
    return ledger.vms().map(({ vm, state: { registered }, rows, retired }) => ({
      vm,
      group: registered?.group ?? null,
      pages: registered === null ? null : pageCountOf(registered.memoryMap),
      captures: rows.length,
      retired: retired !== null,
    }));
  }

  /** A VM's captures, oldest first. */
  async captures(vm: string): Promise<readonly CaptureSummary[]> {
    const entry = (await this.#now()).vm(vm);
    return entry.rows.slice(0).map((row) => ({
      vm,
      capture: row.capture,
      position: String(row.position),
      time: instantText(row.timeMs),
      recordedAt: instantText(row.recordedAtMs),
      written: row.written,
      stored: row.stored,
      merged: row.merged,
      pattern: row.pattern,
      unchanged: row.unchanged,
      forgotten: entry.isForgotten(row.capture),
      deviceState: row.hasDevice,
      note: row.note,
    }));
  }

  /** Bytes of a point. GFN_OUT_OF_RANGE, ADDRESS_UNMAPPED, POINT_FORGOTTEN, POINT_DAMAGED. */
  async read(point: string, at: BytesAt): Promise<Uint8Array> {
    const ledger = await this.#now();
    const found = this.#point(ledger, point);
    if ('page' in at) return readPages(ledger, found, gfnsOf(found, at));
    const { readStretches } = await import('../guest/read.ts');
    const standIns = { kallsyms: null, btf: null, vmcoreinfo: null };
    const request = { place: { physical: at.address }, length: at.length };
    const parts: Uint8Array[] = [];
    // What is not there is refused when it is come to: nothing is made of a length before.
    for await (const { bytes } of readStretches(
      ledger,
      { ...found, kernel: null, standIns },
      request,
    ))
      parts.push(bytes.slice());
    return new Uint8Array(Buffer.concat(parts));
  }

  /** What every page of a point is, by its number; no page is read. */
  async classes(point: string): Promise<readonly PageClass[]> {
    const ledger = await this.#now();
    const { holdings, classes } = await classesAt(ledger, this.#point(ledger, point));
    return Array.from(holdings, (content, gfn) => ({
      gfn,
      pattern: classes[gfn] === CLASS_NONE ? null : patternClassName(classes[gfn]!),
      content,
    }));
  }

  /** What happened after a place, in the order of the log. BAD_PLACE, HISTORY_FORGOTTEN. */
  async *changes(of: ChangesAfter = {}): AsyncGenerator<ChangeRow> {
    const { after, follow = false, ...filter } = of;
    const ledger = await this.#now();
    const from = after === undefined ? {} : { from: after };
    for await (const message of ledger.rows({ ...from, ...filter })) {
      if (this.#isClosed) throw closed();
      if (message._tag === 'caughtUp' && !follow) return;
      if (message._tag !== 'row') continue;
      const { position, timeMs, facts, ...row } = message.row;
      yield { ...row, position: String(position), time: instantText(timeMs), ...facts };
    }
  }

  /** Lets go of the ledger: what is asked afterwards is LEDGER_CLOSED. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#ledger.close();
  }

  /** The ledger, as it is now: what others have recorded meanwhile is there. */
  async #now(): Promise<Ledger> {
    if (this.#isClosed) throw closed();
    await this.#ledger.state.catchUp({ heavy: false });
    return this.#ledger;
  }

  #point(ledger: Ledger, text: string): VmPoint {
    const { vm, point } = splitPoint(text);
    if (vm === null)
      throw refuse({ _tag: 'BadPoint', text, why: 'it names no VM, as web@3 or web/latest do' });
    const entry = ledger.vm(vm);
    return { entry, row: ledger.resolve(entry, point) };
  }
}

/** The pages that are asked for, all of them the VM's. */
function gfnsOf(
  { entry, row }: VmPoint,
  { page, pages: count = 1 }: { readonly page: number; readonly pages?: number },
): readonly number[] {
  const pages = entry.pagesAt(row.capture);
  const last = page + count - 1;
  if (last >= pages) throw refuse({ _tag: 'GfnOutOfRange', vm: entry.vm, gfn: last, pages });
  return Array.from({ length: count }, (_, i) => page + i);
}

const closed = (): LedgerError =>
  new LedgerError('LEDGER_CLOSED', 'this ledger was closed: open it again', {});

/** Opens a ledger to read it. NOT_FOUND where there is none. */
export const openReader = async (
  url: string,
  options: Omit<OpenLedgerOptions, 'url' | 'mode'> = {},
): Promise<LedgerReader> => new LedgerReader(await openLedger({ ...options, url, mode: 'read' }));

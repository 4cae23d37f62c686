// Recording a live guest, a capture at every tick.

import { LIVE_GUESTS } from '../../guests/sources.ts';
import type { GuestSource } from '../../../domain/ports/guests.ts';
import { run } from '../../../domain/ports/run.ts';
import type { RecorderOptions } from '../../../domain/use-cases/record/recorder.ts';
import { cloneAt } from '../clones/clones.ts';
import { mappedPointOf } from '../clones/mapped-point.ts';
import type { MappedPoint } from '../../guests/qemu/own-pages.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { blocksOf, recordSources, type RecordListener } from './record.ts';

/** What `recordGuest` records: the live guest of a QMP socket, at every tick. */
export interface GuestRequest {
  /** Path of the guest's QMP socket, its address in QEMU's words, or `libvirt:DOMAIN`. */
  readonly qmp: string;
  /** Where the socket that QEMU sends to is made; absent: where temporary files are. */
  readonly socketFolder?: string;
  /** How QEMU reaches this program: `unix` (a socket in a folder; the default) or `tcp`. */
  readonly stream?: 'unix' | 'tcp';
  /**
   * What /bin/sh runs while the guest stands still for a capture, and after what time it is killed;
   * its output, at most 64 KiB, is kept beside the capture. Absent: nothing.
   */
  readonly atCapture?: { readonly command: string; readonly timeoutMs: number };
  readonly everyMs: number;
  /** Captures to take; null: until stopped. */
  readonly count: number | null;
  readonly signal: AbortSignal;
  /** For temporary files; absent: the system's. */
  readonly folder?: string;
}

/** Who is told how recording a live guest goes on. */
export interface GuestListener extends RecordListener {
  /** Whether the guest is at work on a capture; meanwhile it is best waited for. */
  readonly onSending?: (isSending: boolean) => void;
  /** A tick came while the capture before it was still being recorded. */
  readonly onSkip: (ticks: number) => void;
}

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted || ms <= 0) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });

/** With the point that the guest maps its memory of; null: it does not, as far as is known. */
interface MappedRequest extends GuestRequest {
  readonly mapped: MappedPoint | null;
}

/** A guest whose captures are told of while they are taken. */
const toldOf = (guest: GuestSource, onSending: (isSending: boolean) => void): GuestSource => ({
  warnings: guest.warnings,
  capture: () => async () => {
    onSending(true);
    try {
      return await guest.capture()();
    } finally {
      onSending(false);
    }
  },
  close: () => guest.close(),
});

/** How a live guest is reached, and what runs while it stands still. */
function howOf(ledger: Ledger, vm: string, request: MappedRequest, listener: GuestListener) {
  const { folder, socketFolder, stream, atCapture, mapped } = request;
  const environment = { PAGELEDGER_VM: vm };
  return {
    onDoubt: listener.onWarning,
    known: () => blocksOf(ledger, vm),
    ...(folder === undefined ? {} : { folder }),
    ...(socketFolder === undefined ? {} : { socketFolder }),
    ...(stream === undefined ? {} : { stream }),
    ...(mapped === null ? {} : { mapped }),
    ...(atCapture === undefined
      ? {}
      : { atCapture: { ...atCapture, folder: process.cwd(), environment } }),
  };
}

/** A live guest at every tick, until it is enough. */
async function* atTicks(
  ledger: Ledger,
  vm: string,
  request: MappedRequest,
  listener: GuestListener,
): AsyncGenerator<GuestSource> {
  const { qmp, signal } = request;
  const count = request.count ?? Infinity;
  const guest = toldOf(
    await run(
      LIVE_GUESTS.qmp({ qmp, clock: ledger.clock, ...howOf(ledger, vm, request, listener) }),
    ),
    listener.onSending ?? (() => undefined),
  );
  try {
    for (const sentence of guest.warnings) listener.onWarning(sentence);
    const start = performance.now();
    const ticks = new Ticks(request.everyMs);
    for (let taken = 0; taken < count; taken += 1) {
      if (taken > 0) {
        const { waitMs, skipped } = ticks.next(performance.now() - start);
        if (skipped > 0) listener.onSkip(skipped);
        await sleep(waitMs, signal);
      }
      if (signal.aborted) break;
      yield guest;
    }
  } finally {
    guest.close();
  }
}

/**
 * Records a live guest again and again; an abort lets the capture under way finish. Of a clone the VM
 * names the point that it was started from, and what it never wrote is linked to that, unread.
 */
export async function recordGuest(
  ledger: Ledger,
  options: RecorderOptions,
  request: GuestRequest,
  listener: GuestListener,
): Promise<void> {
  const clone = cloneAt(ledger, request.qmp);
  const { vm } = options;
  if (clone === null)
    return recordSources(
      ledger,
      options,
      atTicks(ledger, vm, { ...request, mapped: null }, listener),
      listener,
    );
  const mapped = await mappedPointOf(ledger, clone, options);
  const of = { ...options, parent: { vm: clone.vm, capture: clone.capture } };
  const sources = atTicks(ledger, vm, { ...request, mapped }, listener);
  return recordSources(ledger, of, sources, listener);
}

/** A grid of instants. Those that pass while a capture is under way are skipped, never queued. */
class Ticks {
  readonly #everyMs: number;
  #last = 0;

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /** The tick to wait for after one was used, and how many before it went by. */
  next(elapsedMs: number): { readonly waitMs: number; readonly skipped: number } {
    const wanted = this.#last + 1;
    this.#last = Math.max(wanted, Math.ceil(elapsedMs / this.#everyMs));
    return { waitMs: this.#last * this.#everyMs - elapsedMs, skipped: this.#last - wanted };
  }
}

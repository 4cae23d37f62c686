// Captures of one connection to a live guest, one at each tick, until it is enough or the guest is gone.

import { LIVE_GUESTS } from '../../guests/sources.ts';
import type { GuestSource } from '../../../domain/ports/guests.ts';
import { run } from '../../../domain/ports/run.ts';
import type { MappedPoint } from '../../guests/qemu/own-pages.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { KeptGuards } from '../../guests/qemu/kept-guards.ts';
import { pauseUnless, Ticks } from './guest-ticks.ts';
import type { GuestTurn, GuestTurns } from './guest-turns.ts';
import { blocksOf, type RecordListener } from './record.ts';

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
  /** Whether it is waited for a guest that is not there, or has ended. Absent: it is not. */
  readonly isFollowed?: boolean;
  /** Whose turn it is, where other guests are recorded in this process. Absent: none are. */
  readonly turns?: GuestTurns;
  /** Who keeps guards where there are many. Absent: the guest has its own. */
  readonly guards?: KeptGuards;
  /** For temporary files; absent: the system's. */
  readonly folder?: string;
}

/** Who is told how recording a live guest goes on. */
export interface GuestListener extends RecordListener {
  /** Whether the guest is at work on a capture; meanwhile it is best waited for. */
  readonly onSending?: (isSending: boolean) => void;
  /** A tick came while the capture before it was still being recorded. */
  readonly onSkip: (ticks: number) => void;
  /** A guest shut down, is not there (and waited for), or is there again. */
  readonly onGuest?: (state: 'ended' | 'away' | 'there') => void;
}

/** With the point that the guest maps its memory of; null: it does not, as far as is known. */
export interface MappedRequest extends GuestRequest {
  readonly mapped: MappedPoint | null;
}

/** How long a guest whose capture failed has to say that it ends. */
const LAST_WORD_MS = 1_000;
const NEVER = new AbortController().signal;

/** A guest whose captures are told of while they are taken, and once they were sent. */
const toldOf = (
  guest: GuestSource,
  { onSending, sent }: Readonly<{ onSending: (is: boolean) => void; sent: () => Promise<void> }>,
): GuestSource => ({
  warnings: guest.warnings,
  argv: guest.argv ?? null,
  capture: () => async () => {
    onSending(true);
    let captured: Awaited<ReturnType<ReturnType<GuestSource['capture']>>>;
    try {
      captured = await guest.capture()();
      // One that ends takes its stream away first, and says so behind that.
      if (captured._tag === 'Left')
        await pauseUnless(
          LAST_WORD_MS,
          NEVER,
          () => guest.gone === undefined || guest.gone() !== null,
        );
    } finally {
      onSending(false);
    }
    if (captured._tag === 'Right') await sent();
    return captured;
  },
  gone: () => guest.gone?.() ?? null,
  arrived: () => guest.arrived?.() ?? 0,
  release: () => guest.release?.(),
  close: () => guest.close(),
});

/** How a live guest is reached, and what runs while it stands still. */
function howOf(ledger: Ledger, vm: string, request: MappedRequest, listener: GuestListener) {
  const { folder, socketFolder, stream, atCapture, mapped, guards } = request;
  const environment = { PAGELEDGER_VM: vm };
  return {
    onDoubt: listener.onWarning,
    known: () => blocksOf(ledger, vm),
    ...(folder === undefined ? {} : { folder }),
    ...(socketFolder === undefined ? {} : { socketFolder }),
    ...(stream === undefined ? {} : { stream }),
    ...(guards === undefined ? {} : { guards }),
    ...(mapped === null ? {} : { mapped }),
    ...(atCapture === undefined
      ? {}
      : { atCapture: { ...atCapture, folder: process.cwd(), environment } }),
  };
}

/** How recording one connection to a guest came to its end. */
export type Ending = 'done' | 'ended' | 'away';

/** A live guest at every tick, until it is enough or the guest has ended. */
export async function* atTicks(
  ledger: Ledger,
  vm: string,
  request: MappedRequest,
  told: {
    readonly listener: GuestListener;
    readonly onEnding: (ending: Ending) => void;
    /** Looks at a guest before it is captured, and throws where it is not to be. */
    readonly onConnected: (guest: GuestSource) => void;
  },
): AsyncGenerator<GuestSource> {
  const { qmp, signal, everyMs } = request;
  const { listener, onEnding, onConnected } = told;
  const count = request.count ?? Infinity;
  let turn: GuestTurn | null = null;
  const guest = toldOf(
    await run(
      LIVE_GUESTS.qmp({ qmp, clock: ledger.clock, ...howOf(ledger, vm, request, listener) }),
    ),
    {
      onSending: listener.onSending ?? (() => undefined),
      sent: async () => turn?.sent(),
    },
  );
  const gone = (): 'ended' | 'lost' | null => guest.gone?.() ?? null;
  try {
    onConnected(guest);
    for (const sentence of guest.warnings) listener.onWarning(sentence);
    const start = performance.now();
    const ticks = new Ticks(everyMs);
    for (let taken = 0; taken < count; taken += 1) {
      if (taken > 0) {
        const { waitMs, skipped } = ticks.next(performance.now() - start);
        if (skipped > 0) listener.onSkip(skipped);
        await pauseUnless(waitMs, signal, () => gone() !== null);
      }
      if (signal.aborted) break;
      if (gone() === 'ended') break;
      turn = (await request.turns?.take(() => guest.arrived?.() ?? 0)) ?? null;
      try {
        // It may have been long until it was its turn.
        if (signal.aborted) break;
        yield guest;
      } finally {
        if (turn !== null) guest.release?.();
        turn?.end();
      }
    }
    onEnding('done');
  } finally {
    // Also where a capture failed because the guest ended meanwhile.
    if (gone() === 'ended') onEnding('ended');
    guest.close();
  }
}

// Recording every guest of a folder of QMP sockets, in one process: guests come and go, a few are captured at
// a time and one is taken in, so that they share one index, memory is that of one recorder and what each guest
// has, and one that hangs holds nobody.

import { KeptGuards } from '../../guests/qemu/kept-guards.ts';
import { socketsIn } from '../../guests/qemu/monitor-folder.ts';
import { isName } from '../../../domain/events/streams.ts';
import { isLedgerError, type LedgerErrorCode } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { RecorderOptions } from '../../../domain/use-cases/record/recorder.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { GuestListener, GuestRequest } from './guest-captures.ts';
import { pauseUnless } from './guest-ticks.ts';
import { GuestTurns } from './guest-turns.ts';
import { recordGuest } from './record-guest.ts';

/** What `recordFolder` records, and how; each guest as `recordGuest` does. */
export interface FolderRequest extends Pick<
  GuestRequest,
  'stream' | 'socketFolder' | 'atCapture' | 'everyMs' | 'signal'
> {
  /** Its sockets are QMP sockets: `web.qmp` is of the VM web. */
  readonly guests: string;
  /** Of new VMs. */
  readonly options: Omit<RecorderOptions, 'vm'>;
  /** Who is told of a VM's recording. */
  readonly listener: (vm: string) => GuestListener;
  /** A guest cannot be recorded for now; it is tried again, unless its name is no VM's. */
  readonly onFailure: (name: string, failure: Error) => void;
}

/** What the guests of one process share. */
type SharedByGuests = Pick<GuestRequest, 'turns' | 'guards'>;

/** How often the folder is looked through. */
const LOOK_MS = 1_000;
/** When a guest that failed is tried again, at first and at last. */
const AGAIN_MS = 5_000;
const AGAIN_MS_MAX = 300_000;

/** Servers that were waited for in vain: no guest can be recorded. */
const SERVERS_AWAY: readonly LedgerErrorCode[] = ['LOG_UNREACHABLE', 'STORE_UNREACHABLE'];

/** Whether it is one guest that cannot be recorded. */
const isOfGuest = (thrown: unknown): thrown is Error =>
  isRefused(thrown) || (isLedgerError(thrown) && !SERVERS_AWAY.includes(thrown.code));

/** Records one guest while its socket is there; what goes wrong is told, and tried again. */
async function recordOne(
  ledger: Ledger,
  request: FolderRequest,
  of: { readonly path: string; readonly vm: string } & Required<SharedByGuests>,
  signal: AbortSignal,
): Promise<void> {
  const { options, listener, onFailure, stream, socketFolder, atCapture, everyMs } = request;
  const { path, vm, turns, guards } = of;
  for (let againMs = AGAIN_MS; !signal.aborted; againMs = Math.min(2 * againMs, AGAIN_MS_MAX)) {
    const asked: GuestRequest = {
      qmp: path,
      everyMs,
      count: null,
      signal,
      isFollowed: true,
      turns,
      guards,
      ...(stream === undefined ? {} : { stream }),
      ...(socketFolder === undefined ? {} : { socketFolder }),
      ...(atCapture === undefined ? {} : { atCapture }),
    };
    try {
      await recordGuest(ledger, { ...options, vm }, asked, listener(vm));
    } catch (thrown) {
      if (!isOfGuest(thrown)) throw thrown;
      onFailure(vm, thrown);
      await pauseUnless(againMs, signal, () => false);
    }
  }
}

/**
 * Records every guest whose socket is, or comes, into a folder, until the signal aborts; a guest whose
 * socket goes is let go of. What goes wrong with one guest does not end the others.
 */
export async function recordFolder(ledger: Ledger, request: FolderRequest): Promise<void> {
  const { guests, signal, onFailure } = request;
  const shared = { turns: new GuestTurns(), guards: new KeptGuards() };
  const recorded = new Map<
    string,
    { readonly end: AbortController; readonly done: Promise<void> }
  >();
  const unnamed = new Set<string>();
  const fault: { thrown: unknown } = { thrown: null };
  const startOne = (path: string, vm: string): void => {
    const end = new AbortController();
    const both = AbortSignal.any([signal, end.signal]);
    const done = recordOne(ledger, request, { path, vm, ...shared }, both)
      .catch((thrown: unknown) => {
        fault.thrown ??= thrown;
      })
      .finally(() => recorded.delete(path));
    recorded.set(path, { end, done });
  };
  while (!signal.aborted && fault.thrown === null) {
    const there = await socketsIn(guests);
    for (const [path, { end }] of recorded) if (!there.has(path)) end.abort();
    for (const [path, vm] of there) {
      if (recorded.has(path) || unnamed.has(path)) continue;
      if (isName(vm)) startOne(path, vm);
      else {
        unnamed.add(path);
        onFailure(
          vm,
          new Error(`${path} is passed over: ${JSON.stringify(vm)} is no name of a VM`),
        );
      }
    }
    await pauseUnless(LOOK_MS, signal, () => fault.thrown !== null);
  }
  for (const { end } of recorded.values()) end.abort();
  await Promise.all([...recorded.values()].map(({ done }) => done));
  if (fault.thrown !== null) throw fault.thrown;
}

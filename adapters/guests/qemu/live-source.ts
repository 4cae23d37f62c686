// A running QEMU as a source: each capture is taken anew, into the same spool.

import { pipe } from 'fp-ts/lib/function.js';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import * as taskEither from 'fp-ts/lib/TaskEither.js';
import type { GuestCapture, GuestSource } from '../../../domain/ports/guests.ts';
import {
  attachmentOfOutcome,
  commandDoubt,
  type CommandOutcome,
} from '../../../domain/values/command-outcome.ts';
import { recordedCommand } from '../../../domain/values/command-line.ts';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { MemoryBlock } from '../../../domain/values/memory-map.ts';
import { attempt } from './failure.ts';
import { connectGuest } from './live-guest.ts';
import type { LiveCapture } from './live-capture.ts';
import type { GuestOptions, LiveGuest, StillGuest } from './live-guest.ts';
import { Spool } from './spool.ts';
import { run } from '../../../domain/ports/run.ts';

export interface LiveSourceRequest extends GuestOptions {
  /** For temporary files; absent: the system's. */
  readonly folder?: string;
  readonly clock: () => number;
  /** The blocks of memory that the VM has by now, which keep their order; absent: none. */
  readonly known?: () => readonly MemoryBlock[];
  /** Told of what did not do well while a guest was captured: a command, its guard. */
  readonly onDoubt?: (sentence: string) => void;
}

const UNGUARDED =
  'the process that guards the guest ended while it was captured (was it killed?): the capture was ' +
  'finished without it, and the next one has a guard of its own';

const notHad = (types: readonly string[]): string =>
  `memory was plugged in (${types.join(', ')}) that QEMU does not say enough of: the recorded command ` +
  'line lacks it; give such a device an id when it is plugged in, or resume with a command of your own';

/** What is kept, and said, of the command that ran while the guest stood still. */
function keptOf(
  command: CommandOutcome,
  { atCapture, onDoubt }: LiveSourceRequest,
): Pick<GuestCapture, 'attachments'> {
  const doubt = commandDoubt(command, atCapture?.timeoutMs ?? 0);
  if (doubt !== null) onDoubt?.(doubt);
  return { attachments: [attachmentOfOutcome(command)] };
}

const MODES: Readonly<Record<LiveCapture['mode'], GuestCapture['mode']>> = {
  background: 'background-snapshot',
  migrate: 'migrate',
  clone: 'clone',
};

/** What is recorded of a capture. */
function capturedOf(
  { image, memoryMap, device, plugged, pauseMs, mode, asAt }: LiveCapture,
  of: Pick<GuestCapture, 'timeMs' | 'source' | 'argv'>,
): GuestCapture {
  return {
    ...of,
    image,
    memoryMap,
    areRangesTold: true,
    device,
    argv: of.argv === null ? null : [...of.argv, ...plugged.options],
    pauseMs,
    mode: MODES[mode],
    ...(asAt === undefined ? {} : { asAt }),
  };
}

/** A guest that stands still once it was captured, and what is recorded of it. */
export interface ParkedGuest extends Omit<StillGuest, 'capture'> {
  readonly captured: GuestCapture;
  close(): void;
}

/** Captures a guest for good; null where its own pages cannot be told apart, and it goes on. */
export const parkGuest = (
  request: LiveSourceRequest,
): TaskEither<LedgerError, ParkedGuest | null> =>
  pipe(
    connectGuest(request),
    taskEither.chain((guest) =>
      attempt(`cannot park the guest of ${request.qmp}`, async () => {
        const { qmp: source, folder, clock } = request;
        const spool = new Spool(folder === undefined ? {} : { folder });
        const close = (): void => {
          spool.close();
          guest.close();
        };
        try {
          const { argv } = await guest.commandLine();
          const timeMs = clock();
          const still = await run(guest.captureLast(spool));
          if (still === null) {
            close();
            return null;
          }
          const { capture, ...rest } = still;
          return { ...rest, captured: capturedOf(capture, { timeMs, source, argv }), close };
        } catch (thrown) {
          close();
          throw thrown;
        }
      }),
    ),
  );

/** Connects to a running guest. */
export const openLiveGuest = (request: LiveSourceRequest): TaskEither<LedgerError, GuestSource> =>
  pipe(
    connectGuest(request),
    taskEither.chain((guest) =>
      pipe(
        guest.writableDisks(),
        taskEither.chain((disks) => sourceOf(guest, { ...request, disks })),
        taskEither.mapLeft((failure) => {
          guest.close();
          return failure;
        }),
      ),
    ),
  );

const sourceOf = (
  guest: LiveGuest,
  request: LiveSourceRequest & { readonly disks: readonly string[] },
): TaskEither<LedgerError, GuestSource> =>
  attempt(`cannot record the guest of ${request.qmp}`, async () => {
    const { qmp, folder, clock, disks, known = () => [] } = request;
    const warnings: string[] = [];
    if (disks.length > 0)
      warnings.push(
        `the guest can write to ${disks.join(', ')}: a disk is not recorded, and memory resumed without the disk of its moment corrupts the guest`,
      );
    const commandLine = await guest.commandLine();
    if (commandLine.argv === null)
      warnings.push(`the guest's command line is not recorded: ${commandLine.reason}`);
    const { argv } = commandLine;
    const kept = argv === null ? null : recordedCommand(argv);
    const leftOut = kept?.leftOut ?? [];
    if (leftOut.length > 0)
      warnings.push(
        `the guest's command line is recorded without what is secret in it (${leftOut.join(', ')}): to resume from it, give a whole one`,
      );
    const spool = new Spool(folder === undefined ? {} : { folder });
    return {
      warnings,
      argv: kept?.argv ?? null,
      capture: () => {
        const timeMs = clock();
        return pipe(
          guest.capture(spool, known()),
          taskEither.chainFirstIOK(({ isGuarded, plugged: { without } }) => () => {
            if (!isGuarded) request.onDoubt?.(UNGUARDED);
            if (without.length > 0) request.onDoubt?.(notHad(without));
          }),
          taskEither.map((capture) => ({
            ...capturedOf(capture, { timeMs, source: qmp, argv }),
            ...(capture.command === null ? {} : keptOf(capture.command, request)),
          })),
        );
      },
      gone: () => guest.gone(),
      arrived: () => spool.taken,
      release: () => guest.release(spool),
      close: () => {
        spool.close();
        guest.close();
      },
    };
  });

// `record qemu`: captures of a running guest, until stopped.

import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Ledger } from '../../../wiring/ledger/ledger.ts';
import type { GuestListener } from '../../../wiring/record/guest-captures.ts';
import { recordedAt } from '../../../wiring/record/pace.ts';
import { recordFolder } from '../../../wiring/record/record-folder.ts';
import { recordGuest } from '../../../wiring/record/record-guest.ts';
import { byteRate, positiveNumber, positiveDuration } from '../argument-values.ts';
import { UsageError } from '../failure.ts';
import { untilSignal } from '../interruption.ts';
import type { Output } from '../output.ts';
import {
  declareRecording,
  RecordedCaptures,
  recorderOptions,
  recordMode,
  sayCost,
  type RecordOptions,
} from '../recording.ts';
import { SkippedTicks } from '../skipped-ticks.ts';
import { progressOf, tell, warn, withLedger } from '../session.ts';

export const declare = (command: Command): Command =>
  declareRecording(
    command
      .option('--vm <name>', 'the VM it is')
      .option('--qmp <socket>', "the guest's QMP socket: a path, unix:PATH or tcp:HOST:PORT")
      .option('--libvirt <domain>', 'a domain of libvirt, whose monitor virsh reaches'),
  )
    .option('--all <folder>', 'every guest whose QMP socket is, or comes, there: web.qmp is VM web')
    .option('--every <duration>', 'time from one capture to the next', '5s')
    .option('--socket-dir <folder>', 'where QEMU connects to; both must see it (default: $TMPDIR)')
    .option(
      '--stream <way>',
      'how QEMU reaches this program: unix (a socket), or tcp (a port of loopback)',
      'unix',
    )
    .option('--at-capture <command>', 'what to run while the guest stands still for a capture')
    .option('--at-capture-within <duration>', 'when it is killed, and the guest goes on', '30s')
    .option('--limit-rate <rate>', 'at most so many bytes of memory a second, as 50M', byteRate)
    .option('--follow-guest', 'wait for the guest where it is not there, has ended or was lost')
    .option('--count <n>', 'captures to take (default: until stopped)', positiveNumber);

/** No guest stands still for longer, whoever asks for it. */
const STANDING_MS_MAX = 86_400_000;

/** It goes on when nobody reads what it prints. */
export const goesOnUnread = true;

interface GuestRecordOptions extends RecordOptions {
  readonly qmp?: string;
  readonly libvirt?: string;
  readonly every: string;
  readonly count?: number;
  readonly followGuest?: boolean;
  readonly limitRate?: number;
  readonly all?: string;
  readonly socketDir?: string;
  readonly stream: string;
  readonly atCapture?: string;
  readonly atCaptureWithin: string;
}

/** What is recorded: a VM by its guest's monitor, or all guests of a folder. */
function guestsOf({ vm, qmp, libvirt, all, count, followGuest }: GuestRecordOptions): Guests {
  if (all !== undefined) {
    if ([vm, qmp, libvirt, count, followGuest].some((given) => given !== undefined))
      throw new UsageError(
        '--all names the VMs by their sockets, and goes on until it is stopped: leave --vm, --qmp, --libvirt, --count and --follow-guest out',
      );
    return { folder: resolve(all) };
  }
  if (vm === undefined) throw new UsageError('--vm NAME was expected, or --all FOLDER');
  if ((qmp === undefined) === (libvirt === undefined))
    throw new UsageError('say which guest: either --qmp SOCKET or --libvirt DOMAIN was expected');
  return { vm, qmp: qmp ?? `libvirt:${libvirt}` };
}

type Guests = { readonly folder: string } | { readonly vm: string; readonly qmp: string };

function streamOf({ stream, socketDir }: GuestRecordOptions): 'unix' | 'tcp' {
  if (stream !== 'unix' && stream !== 'tcp')
    throw new UsageError(`--stream ${stream} is not known: unix or tcp was expected`);
  if (stream === 'tcp' && socketDir !== undefined)
    throw new UsageError('--stream tcp makes no socket, so there is nothing for --socket-dir');
  return stream;
}

/** What runs at each capture, and for how long. */
function commandOf({ atCapture: command, atCaptureWithin }: GuestRecordOptions): {
  readonly atCapture?: { readonly command: string; readonly timeoutMs: number };
} {
  const timeoutMs = positiveDuration('--at-capture-within', atCaptureWithin);
  if (timeoutMs > STANDING_MS_MAX)
    throw new UsageError(`--at-capture-within ${atCaptureWithin} is more than a day`);
  if (command === undefined) return {};
  if (command.trim() === '') throw new UsageError('--at-capture is empty: a command was expected');
  return { atCapture: { command, timeoutMs } };
}

/** Who records until stopped waits for servers as long as it takes. */
const patienceOf = ({ count }: GuestRecordOptions): { readonly patienceMs?: number } =>
  count === undefined ? { patienceMs: Infinity } : {};

/** What becomes of a guest that is recorded. */
function guestText(vm: string, state: 'ended' | 'away' | 'there', isFollowed: boolean): string {
  const waits = isFollowed ? '; waiting for it' : '';
  if (state === 'ended') return `the guest of ${vm} has shut down${waits}`;
  return state === 'away' ? `the guest of ${vm} is not there${waits}` : `${vm} is there again`;
}

/** Which guests are sending, and what a second interrupt waits for. */
class Sending {
  readonly #vms = new Set<string>();

  set(vm: string, isSending: boolean): void {
    if (isSending) this.#vms.add(vm);
    else this.#vms.delete(vm);
  }

  isHeld(command: Command): boolean {
    if (this.#vms.size > 0) tell(command, 'QEMU is still sending: that is read to its end first');
    return this.#vms.size > 0;
  }
}

/** Records what was asked for, and tells of it. */
async function record(
  command: Command,
  to: { readonly ledger: Ledger; readonly output: Output; readonly signal: AbortSignal },
  sending: Sending,
): Promise<void> {
  const { ledger, output, signal } = to;
  const options = command.opts<GuestRecordOptions>();
  const { count = null, socketDir, followGuest = false, limitRate, every } = options;
  const guests = guestsOf(options);
  const where = socketDir === undefined ? {} : { socketFolder: resolve(socketDir) };
  const everyMs = positiveDuration('--every', every);
  const how = { stream: streamOf(options), everyMs, ...where, ...commandOf(options), signal };
  const progress = progressOf(command, 'recording');
  const recorded = new RecordedCaptures(output, { isTimed: true });
  const skipped = new SkippedTicks(every, (sentence) => warn(command, sentence));
  const recorder = {
    ...recorderOptions(options, (done, total) => progress.bytes(done, total)),
    ...(limitRate === undefined ? {} : recordedAt(limitRate, signal)),
  };
  const areAll = 'folder' in guests;
  const listener = (vm: string): GuestListener => ({
    onCapture: (row) => {
      progress.clear();
      recorded.add(vm, row);
    },
    onSending: (isSending) => sending.set(vm, isSending),
    onSkip: (ticks) => skipped.add(ticks),
    onGuest: (state) => tell(command, guestText(vm, state, followGuest || areAll)),
    onWarning: (sentence) => warn(command, areAll ? `${vm}: ${sentence}` : sentence),
  });
  const onFailure = (name: string, { message }: Error): void =>
    warn(command, `${name}: ${message}`);
  const recording = areAll
    ? recordFolder(ledger, {
        ...how,
        guests: guests.folder,
        options: recorder,
        listener,
        onFailure,
      })
    : recordGuest(
        ledger,
        { ...recorder, vm: guests.vm },
        { ...how, qmp: guests.qmp, count, isFollowed: followGuest },
        listener(guests.vm),
      );
  await recording.finally(() => {
    progress.clear();
    skipped.end();
  });
  recorded.end(areAll ? null : guests.vm);
  await sayCost(ledger, output);
}

export async function run(command: Command): Promise<void> {
  const options = command.opts<GuestRecordOptions>();
  // What is not understood is said before a ledger is made.
  positiveDuration('--every', options.every);
  commandOf(options);
  guestsOf(options);
  streamOf(options);
  const sending = new Sending();
  await untilSignal(
    async (signal) => {
      signal.addEventListener('abort', () =>
        tell(command, 'finishing the capture under way, then stopping'),
      );
      await withLedger(
        command,
        recordMode(options),
        (ledger, output) => record(command, { ledger, output, signal }, sending),
        patienceOf(options),
      );
    },
    () => sending.isHeld(command),
  );
}

// A VM's life: registered with its first capture, captured, retired. The decider is pure; what a
// recorder measured (counts, times) comes with the command.

import { append } from 'fp-ts/lib/Array.js';
import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js';
import type { CaptureCommitted, EventOf, SharePolicy } from './events/control.ts';
import { attachmentsRefusal, noteRefusal } from './values/attachment.ts';
import { recordedCommand } from './values/command-line.ts';
import { instantText } from './values/instant.ts';
import {
  isContinued,
  isExtended,
  isSameRanges,
  pageCountOf,
  type MemoryMap,
} from './values/memory-map.ts';
import { PAGE_BYTES } from './values/page.ts';
import type { Refusal } from './values/refusals.ts';
import { isGroupName, isName } from './events/streams.ts';

export type VmEvent = EventOf<
  'VmRegistered' | 'MemoryMapChanged' | 'CommandLineObserved' | 'CaptureCommitted' | 'VmRetired'
>;

export interface VmState {
  readonly registered: {
    readonly vm: string;
    readonly group: string;
    readonly share: SharePolicy;
    readonly memoryMap: MemoryMap;
  } | null;
  readonly captures: number;
  readonly argv: readonly string[] | null;
  readonly isRetired: boolean;
}

/** What a capture has beside what was measured of its memory. */
export type Beside = Pick<CaptureCommitted, 'note' | 'attachments' | 'image'>;

const NOTHING_BESIDE: Beside = { note: null, attachments: [], image: null };

/** A point that a guest was started from. */
export interface ParentPoint {
  readonly vm: string;
  readonly capture: number;
}

export interface CommitCapture {
  readonly _tag: 'CommitCapture';
  readonly vm: string;
  /** Group asked for, or null: whatever the VM has, else the default. */
  readonly group: string | null;
  /** What the VM may share, or null: as it is, else with its group. */
  readonly share: SharePolicy | null;
  readonly memoryMap: MemoryMap;
  /** The point that the VM's guest began at, where it is a clone. Absent: it is none, or was recorded before. */
  readonly parent?: ParentPoint;
  /** Whether somebody said where the memory lies: the guest, or who gave its file. */
  readonly areRangesTold: boolean;
  /** The guest's command line where the source knows it. */
  readonly argv: readonly string[] | null;
  /** The capture's own time, kept as it is: also before the VM's last, or ahead of the clock. */
  readonly timeMs: number;
  readonly measured: Omit<CaptureCommitted, 'vm' | 'capture' | 'timeMs' | keyof Beside>;
  /** What is known and kept of it beside its memory. Absent: nothing. */
  readonly beside?: Beside;
}

export type VmCommand = CommitCapture | { readonly _tag: 'RetireVm'; readonly vm: string };

export const DEFAULT_GROUP = 'default';

export const initialVm: VmState = {
  registered: null,
  captures: 0,
  argv: null,
  isRetired: false,
};

const sizeText = (map: MemoryMap): string =>
  `${pageCountOf(map) * PAGE_BYTES} bytes in ${map.blocks.length} block(s) (${map.blocks
    .slice(0, 4)
    .map((block) => `${block.name} ${block.pages * PAGE_BYTES}`)
    .join(', ')}${map.blocks.length > 4 ? ', ...' : ''})`;

type AskedGroup = Pick<CommitCapture, 'vm' | 'group' | 'share'>;

/** Whether a VM shares with nobody: it has a group of its own then. */
export const isAlone = (share: SharePolicy | null): boolean =>
  share === 'vm' || share === 'pattern';

/** Groups of VMs that share with nobody: such a name is given, never asked for. */
const PRIVATE_GROUP = /^vmh?\./u;

/**
 * The group of a VM that shares with nobody, made from its name: a short name stands in it, of a long
 * one its digest. `digest` is lower-case hex.
 */
export function privateGroupOf(vm: string, digest: (text: string) => string): string {
  const readable = `vm.${vm}`;
  return isGroupName(readable) ? readable : `vmh.${digest(vm).slice(0, 32)}`;
}

/** Why a VM takes no captures at all, or not into this group; null: it does. Asked before any work. */
export function recorderRefusal(state: VmState, asked: AskedGroup): Refusal | null {
  if (!isName(asked.vm)) return { _tag: 'BadVmName', vm: asked.vm };
  if (asked.group !== null && !isGroupName(asked.group))
    return { _tag: 'BadGroupName', group: asked.group };
  if (state.isRetired) return { _tag: 'VmRetired', vm: asked.vm };
  if (state.registered === null) {
    const isReserved = asked.group !== null && PRIVATE_GROUP.test(asked.group);
    return isReserved && !isAlone(asked.share)
      ? { _tag: 'GroupReserved', group: asked.group }
      : null;
  }
  const { group, share } = state.registered;
  if (asked.share !== null && asked.share !== share)
    return { _tag: 'ShareFixed', vm: asked.vm, share, asked: asked.share };
  return asked.group !== null && asked.group !== group
    ? { _tag: 'GroupFixed', vm: asked.vm, group, asked: asked.group }
    : null;
}

/** Why a source cannot be captured into a VM, or null. Asked before the work and again at commit. */
export function captureRefusal(
  state: VmState,
  asked: AskedGroup & Pick<CommitCapture, 'memoryMap'>,
): Refusal | null {
  const refusal = recorderRefusal(state, asked);
  if (refusal !== null || state.registered === null) return refusal;
  const { memoryMap } = state.registered;
  if (!isContinued(memoryMap, asked.memoryMap))
    return {
      _tag: 'MemoryChanged',
      vm: asked.vm,
      was: sizeText(memoryMap),
      now: sizeText(asked.memoryMap),
    };
  return null;
}

/**
 * The memory map from a capture on, where it is another one than before: firmware moves ROM and the
 * windows of devices, and a block that is new lies behind the others. Null: it is as before.
 */
function changedMap(
  { registered }: VmState,
  { memoryMap, areRangesTold }: Pick<CommitCapture, 'memoryMap' | 'areRangesTold'>,
): MemoryMap | null {
  if (registered === null) return null;
  const before = registered.memoryMap;
  const { blocks } = memoryMap;
  const isTold = areRangesTold && memoryMap.ranges.length > 0;
  const ranges = isTold ? memoryMap.ranges : before.ranges;
  const isOther = isExtended(before, memoryMap) || !isSameRanges(before, { blocks, ranges });
  return isOther ? { blocks, ranges } : null;
}

const isSameArgv = (a: readonly string[] | null, b: readonly string[]): boolean =>
  a !== null && a.length === b.length && a.every((word, i) => word === b[i]);

function commit(state: VmState, command: CommitCapture): Either<Refusal, NonEmptyArray<VmEvent>> {
  const { measured, beside = NOTHING_BESIDE } = command;
  const refusal =
    captureRefusal(state, command) ??
    noteRefusal(beside.note) ??
    attachmentsRefusal(beside.attachments.map(({ name }) => name));
  if (refusal !== null) return either.left(refusal);
  const events: VmEvent[] = [];
  const { vm, memoryMap, argv } = command;
  if (state.registered === null) {
    const group = command.group ?? DEFAULT_GROUP;
    const share = command.share ?? 'group';
    const parent = command.parent ?? null;
    events.push({ type: 'VmRegistered', data: { vm, group, share, memoryMap, parent } });
  }
  const changed = changedMap(state, command);
  if (changed !== null) events.push({ type: 'MemoryMapChanged', data: { vm, memoryMap: changed } });
  const observed = argv === null ? null : recordedCommand(argv).argv;
  if (observed !== null && !isSameArgv(state.argv, observed))
    events.push({ type: 'CommandLineObserved', data: { vm, argv: observed } });
  const committed: VmEvent = {
    type: 'CaptureCommitted',
    data: {
      ...measured,
      vm,
      capture: state.captures + 1,
      timeMs: command.timeMs,
      ...beside,
    },
  };
  return either.right(append<VmEvent>(committed)(events));
}

/** What a command brings about in a VM, or why not. */
export const decideVm =
  (state: VmState) =>
  (command: VmCommand): Either<Refusal, NonEmptyArray<VmEvent>> => {
    switch (command._tag) {
      case 'CommitCapture':
        return commit(state, command);
      case 'RetireVm':
        if (state.registered === null) return either.left({ _tag: 'VmUnknown', vm: command.vm });
        if (state.isRetired) return either.left({ _tag: 'VmRetired', vm: command.vm });
        return either.right([{ type: 'VmRetired', data: { vm: command.vm } }]);
      default:
        return command satisfies never;
    }
  };

/** How far a capture's time may be ahead of the recorder's clock before it is warned about. */
export const CLOCK_AHEAD_MS_MAX = 60_000;

/** A capture's own time, and the recorder's clock at its commit. */
export interface CaptureTimes {
  readonly timeMs: number;
  readonly recordedAtMs: number;
}

/** What is doubtful in the time of a capture, as a sentence; null: nothing. The time is kept as it is. */
export function timeDoubt(
  vm: string,
  row: CaptureTimes & { readonly capture: number },
  before: CaptureTimes | undefined,
): string | null {
  const of = `the time of ${vm}@${row.capture}, ${instantText(row.timeMs)},`;
  const kept = 'it is kept as it is, and time: and ago: go by it';
  if (row.timeMs > row.recordedAtMs + CLOCK_AHEAD_MS_MAX)
    return `${of} is ahead of this host's clock, ${instantText(row.recordedAtMs)}: ${kept}`;
  if (before !== undefined && row.timeMs < before.timeMs)
    return `${of} is before that of the capture before it, ${instantText(before.timeMs)}: ${kept}`;
  return null;
}

/**
 * Whether a commit comes a second time: the numbers of captures ascend, so of two commits of one
 * capture the first in log order counts, and the other says nothing.
 */
export const isRepeated = ({ captures }: VmState, capture: number): boolean => capture <= captures;

/** A VM after an event. Of a damaged log: what gives pages other numbers counts for nothing. */
export function evolveVm(state: VmState, event: VmEvent): VmState {
  switch (event.type) {
    case 'VmRegistered': {
      const { vm, group, share, memoryMap } = event.data;
      if (state.registered !== null) return state;
      return { ...state, registered: { vm, group, share, memoryMap } };
    }
    case 'MemoryMapChanged': {
      const { registered } = state;
      const { memoryMap } = event.data;
      if (registered === null || !isContinued(registered.memoryMap, memoryMap)) return state;
      return { ...state, registered: { ...registered, memoryMap } };
    }
    case 'CommandLineObserved':
      return { ...state, argv: event.data.argv };
    case 'CaptureCommitted':
      return isRepeated(state, event.data.capture)
        ? state
        : { ...state, captures: event.data.capture };
    case 'VmRetired':
      return { ...state, isRetired: true };
    default:
      return event satisfies never;
  }
}

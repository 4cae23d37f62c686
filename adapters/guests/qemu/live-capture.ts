// A capture of a running guest as it is taken, and what is asked for one.

import type { PagesAsAt } from '../../../domain/ports/guests.ts';
import type { CommandOutcome } from '../../../domain/values/command-outcome.ts';
import type { MemoryBlock } from '../../../domain/values/memory-map.ts';
import type { MigrationSettings } from './migration-control.ts';
import type { PluggedMemory } from './plugged-memory.ts';
import type { Spool } from './spool.ts';
import type { GuestState } from './stream-layout.ts';

/** How a capture is taken: QEMU's background snapshot, or a migration and `cont`. */
export type LiveMode = 'background' | 'migrate';

export interface LiveCapture extends Pick<
  GuestState,
  'memoryMap' | 'image' | 'device' | 'runState'
> {
  /** What it has as a point of another VM has it, and was not read. Absent: all was. */
  readonly asAt?: PagesAsAt;
  /** The memory that was plugged in since QEMU began: its command line lacks that. */
  readonly plugged: PluggedMemory;
  readonly mode: LiveMode | 'clone';
  /** How long the guest stood still, by QEMU's own times; 0 for one that was paused, null: not told. */
  readonly pauseMs: number | null;
  /** Whether the guest ran when it was captured. */
  readonly wasRunning: boolean;
  /** Whether its guard was there to the end. */
  readonly isGuarded: boolean;
  /** What came of the command that ran meanwhile; null: there was none. */
  readonly command: CommandOutcome | null;
}

/** The same before it is known what was plugged in. */
export type TakenCapture = Omit<LiveCapture, 'plugged'>;

/** Where a capture goes, and how the guest and its QEMU are before it. */
export interface LiveRequest {
  readonly spool: Spool;
  readonly known: readonly MemoryBlock[];
  readonly settings: MigrationSettings;
  readonly wasRunning: boolean;
}

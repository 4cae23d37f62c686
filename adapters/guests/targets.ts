// What a guest can be restored to, by format: a line each, for a file and for a pipe. A new one is a
// module that gives a GuestTarget (domain/ports/guests.ts), and a line here.

import type { OpenFile } from '../files/file-port.ts';
import type { GuestTarget } from '../../domain/ports/guests.ts';
import { sinkOfFile, type ByteSink } from './byte-sink.ts';
import { limeTarget } from './dumps/lime-target.ts';
import { elfFileTarget, elfPipeTarget } from './images/elf-target.ts';
import { rawFileTarget, rawPipeTarget } from './images/raw-target.ts';
import { streamTarget } from './qemu/stream-target.ts';

/** What a target is told beside where it writes to. */
export interface TargetOptions {
  /** Of a QEMU stream: blocks that the guest has from elsewhere. */
  readonly without?: readonly string[];
}

interface TargetFormat {
  readonly file: (file: OpenFile, options?: TargetOptions) => GuestTarget;
  readonly pipe: (sink: ByteSink, options?: TargetOptions) => GuestTarget;
}

export const TARGET_FORMATS = {
  raw: { file: rawFileTarget, pipe: rawPipeTarget },
  elf: { file: elfFileTarget, pipe: elfPipeTarget },
  lime: { file: (file: OpenFile) => limeTarget(sinkOfFile(file)), pipe: limeTarget },
  qemu: {
    file: (file: OpenFile, options?: TargetOptions) => streamTarget(sinkOfFile(file), options),
    pipe: streamTarget,
  },
} as const satisfies Readonly<Record<string, TargetFormat>>;
export type TargetFormatName = keyof typeof TARGET_FORMATS;

// What a guest can be restored to, by format: a line each, for a file and for a pipe. A new one is a
// module that gives a GuestTarget (domain/ports/guests.ts), and a line here.

import type { OpenFile } from '../files/file-port.ts';
import type { GuestTarget } from '../../domain/ports/guests.ts';
import { sinkOfFile, type ByteSink } from './byte-sink.ts';
import { elfFileTarget, elfPipeTarget } from './images/elf-target.ts';
import { rawFileTarget, rawPipeTarget } from './images/raw-target.ts';
import { streamTarget } from './qemu/stream-target.ts';

interface TargetFormat {
  readonly file: (file: OpenFile) => GuestTarget;
  readonly pipe: (sink: ByteSink) => GuestTarget;
}

export const TARGET_FORMATS = {
  raw: { file: rawFileTarget, pipe: rawPipeTarget },
  elf: { file: elfFileTarget, pipe: elfPipeTarget },
  qemu: {
    file: (file) => streamTarget(sinkOfFile(file)),
    pipe: streamTarget,
  },
} as const satisfies Readonly<Record<string, TargetFormat>>;
export type TargetFormatName = keyof typeof TARGET_FORMATS;

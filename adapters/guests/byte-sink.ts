// Where bytes go one after the other: a file, a pipe, a socket. What the system refuses is a
// LedgerError already.

import { write } from 'node:fs';
import type { Writable } from 'node:stream';
import type { OpenFile } from '../files/file-port.ts';
import { guestFailure } from './qemu/failure.ts';

/** Takes bytes in order; they may be reused when the promise resolves. */
export type ByteSink = (bytes: Uint8Array) => Promise<void>;

/** Writes to an open file at its position. */
export function sinkOfDescriptor(fd: number): ByteSink {
  return async (bytes) => {
    let done = 0;
    while (done < bytes.length) {
      done += await new Promise<number>((resolve, reject) => {
        write(fd, bytes, done, bytes.length - done, null, (error, count) => {
          if (error === null) resolve(count);
          else reject(error);
        });
      });
    }
  };
}

/** Writes to a file from its start on. */
export function sinkOfFile(file: OpenFile): ByteSink {
  let offsetBytes = 0;
  return async (bytes) => {
    await file.write(bytes, offsetBytes);
    offsetBytes += bytes.length;
  };
}

/** Writes to a socket or a pipe and waits until it has taken the bytes. */
export const sinkOfWritable =
  (writable: Writable): ByteSink =>
  (bytes) =>
    new Promise((resolve, reject) => {
      writable.write(bytes, (error) => {
        if (error === undefined || error === null) resolve();
        else reject(guestFailure(error, { code: 'IO_FAILED', doing: 'cannot write to the pipe' }));
      });
    });

// A migration stream of QEMU's in a file, alone or behind something else: read once into a spool.

import { keptSource, type GuestSource } from '../../../domain/ports/guests.ts';
import type { FormatFile } from '../images/image-format.ts';
import { sourceOfFile, type ByteSource } from './byte-window.ts';
import { Spool } from './spool.ts';
import { readStream } from './stream-reader.ts';

/** Reads the stream that begins at `offsetBytes` of the file. */
export async function openStreamFile(of: FormatFile, offsetBytes = 0): Promise<GuestSource> {
  const { file } = of;
  const opened = await openStream(of, sourceOfFile({ fd: file.fd, offsetBytes }));
  // Everything is in the spool.
  file.close();
  return opened;
}

/** Reads a stream that comes out of a file, which stays open; its pages at most so many times. */
export async function openStream(
  of: FormatFile,
  source: ByteSource,
  passesMax?: number,
): Promise<GuestSource> {
  const { file, timeMs, folder, path, known } = of;
  const spool = new Spool(folder === undefined ? {} : { folder });
  try {
    const { image, memoryMap, device } = await readStream({
      source,
      spool,
      label: file.label,
      ...(known === undefined ? {} : { known }),
      ...(passesMax === undefined ? {} : { passesMax }),
    });
    return keptSource(
      { image, memoryMap, device, argv: null, timeMs, pauseMs: null, mode: 'stream', source: path },
      () => spool.close(),
    );
  } catch (error) {
    spool.close();
    throw error;
  }
}

// A migration stream of QEMU's in a file, alone or behind something else: read once into a spool.

import { keptSource, type GuestSource } from '../../../domain/ports/guests.ts';
import type { FormatFile } from '../images/image-format.ts';
import { sourceOfFile } from './byte-window.ts';
import { Spool } from './spool.ts';
import { readStream } from './stream-reader.ts';

/** Reads the stream that begins at `offsetBytes` of the file. */
export async function openStreamFile(of: FormatFile, offsetBytes = 0): Promise<GuestSource> {
  const { file, timeMs, folder, path, known } = of;
  const spool = new Spool(folder === undefined ? {} : { folder });
  try {
    const source = sourceOfFile({ fd: file.fd, offsetBytes });
    const { image, memoryMap, device } = await readStream({
      source,
      spool,
      label: file.label,
      ...(known === undefined ? {} : { known }),
    });
    // Everything is in the spool.
    file.close();
    return keptSource(
      { image, memoryMap, device, argv: null, timeMs, pauseMs: null, mode: 'stream', source: path },
      () => spool.close(),
    );
  } catch (error) {
    spool.close();
    throw error;
  }
}

// A migration stream of QEMU's in a file, alone or behind something else: read once into a spool, or,
// where its memory lies plain in the file, read there.

import { keptSource, type GuestCapture, type GuestSource } from '../../../domain/ports/guests.ts';
import type { FormatFile } from '../images/image-format.ts';
import { WatchedFile } from '../images/watched-file.ts';
import { sourceOfFile, type ByteSource } from './byte-window.ts';
import { Spool } from './spool.ts';
import type { GuestState } from './stream-layout.ts';
import { readStream, type ReadStreamRequest } from './stream-reader.ts';

/** Reads the stream that begins at `offsetBytes` of the file. */
export async function openStreamFile(of: FormatFile, offsetBytes = 0): Promise<GuestSource> {
  const { file } = of;
  const watched = file.isShared ? new WatchedFile(file) : null;
  const { fd, label, sizeBytes } = file;
  const source = sourceOfFile({ fd, offsetBytes });
  const { state, spool } = await read(of, { source, file: { fd, label, sizeBytes, offsetBytes } });
  const { behindBytes } = state;
  const warnings =
    behindBytes === 0 ? [] : [`${behindBytes} bytes behind the stream in ${label} are left out`];
  if (!state.isInFile) {
    file.close();
    return keptSource(captureOf(of, state), () => spool.close(), warnings);
  }
  spool.close();
  const mayHaveChanged = async (): Promise<boolean> => (await watched?.mayHaveChanged()) ?? false;
  return keptSource({ ...captureOf(of, state), mayHaveChanged }, () => file.close(), warnings);
}

/** Reads a stream that comes out of a file, which stays open; its pages at most so many times. */
export async function openStream(
  of: FormatFile,
  source: ByteSource,
  passesMax?: number,
): Promise<GuestSource> {
  const { state, spool } = await read(of, {
    source,
    ...(passesMax === undefined ? {} : { passesMax }),
  });
  return keptSource(captureOf(of, state), () => spool.close());
}

/** What a stream holds, and the spool for its pages, which is the caller's to close. */
async function read(
  { file, folder, known }: FormatFile,
  request: Pick<ReadStreamRequest, 'source' | 'passesMax' | 'file'>,
): Promise<{ readonly state: GuestState; readonly spool: Spool }> {
  const spool = new Spool(folder === undefined ? {} : { folder });
  try {
    const { label } = file;
    const of = { spool, label, ...(known === undefined ? {} : { known }) };
    return { state: await readStream({ ...request, ...of }), spool };
  } catch (error) {
    spool.close();
    throw error;
  }
}

const captureOf = (
  { timeMs, path }: FormatFile,
  { image, memoryMap, device }: GuestState,
): GuestCapture => ({
  image,
  memoryMap,
  device,
  argv: null,
  timeMs,
  pauseMs: null,
  mode: 'stream',
  source: path,
});

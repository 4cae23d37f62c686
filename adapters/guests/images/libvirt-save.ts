// The header of a libvirt save file: in front of a QEMU stream, the guest's definition as XML.
//
//   0   16  magic "LibvirtQemudSave"
//  16    4  version: 2
//  20    4  bytes of the definition that follows the header
//  24    4  whether the guest ran
//  28    4  the stream: 0 as it is, 1 gzip, 2 bzip2, 3 xz, 4 lzop, 5 zstd, 6 sparse (mapped-ram.ts)
//  32   60  more, and unused
//  92    -  definition, then the stream
//
// Numbers are in the byte order of the machine that wrote it: the version tells which.

import type { GuestSource } from '../../../domain/ports/guests.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { sourceOfChunks } from '../qemu/byte-window.ts';
import { openStream, openStreamFile } from '../qemu/stream-source.ts';
import { decompress } from './decompression.ts';
import type { FormatFile } from './image-format.ts';

const LIBVIRT_HEADER_BYTES = 92;
const VERSION = 2;
const DEFINITION_BYTES_MAX = 64 * 1024 * 1024;
const FORMATS = ['raw', 'gzip', 'bzip2', 'xz', 'lzop', 'zstd', 'sparse'] as const;
/** How often a page may come: libvirt saves a guest that stands still, and what repeats is a trap. */
const PASSES_MAX = 4;

/** Opens the stream behind the header and the definition. */
export async function openLibvirtSave(of: FormatFile): Promise<GuestSource> {
  const { file, first } = of;
  const { format, offsetBytes } = headerOf(first, file.label);
  if (format === 'raw' || format === 'sparse') return openStreamFile(of, offsetBytes);
  const { chunks, stop } = decompress(file, offsetBytes, format);
  try {
    const opened = await openStream(of, sourceOfChunks(chunks), PASSES_MAX);
    file.close();
    return opened;
  } finally {
    stop();
  }
}

/** Where the QEMU stream begins, and in which form; throws SOURCE_FORMAT where it cannot be read. */
function headerOf(
  header: Uint8Array,
  label: string,
): { readonly format: (typeof FORMATS)[number]; readonly offsetBytes: number } {
  const unreadable = (found: string, instead: string): LedgerError =>
    new LedgerError('SOURCE_FORMAT', `${label} is a libvirt save file ${found}: ${instead}`, {
      label,
    });
  if (header.length < LIBVIRT_HEADER_BYTES) {
    throw unreadable(`of ${header.length} bytes`, 'it was cut short; save the guest again');
  }
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const isLittle = view.getUint32(16, true) === VERSION;
  const version = view.getUint32(16, isLittle);
  if (version !== VERSION) {
    throw unreadable(`of version ${version}`, `expected version ${VERSION}`);
  }
  const number = view.getUint32(28, isLittle);
  const format = FORMATS[number];
  if (format === undefined)
    throw unreadable(
      `with a stream of the form ${number}`,
      'set save_image_format = "raw" and save it again',
    );
  const definitionBytes = view.getUint32(20, isLittle);
  if (definitionBytes > DEFINITION_BYTES_MAX) {
    throw unreadable(
      `with ${definitionBytes} bytes of definition`,
      `expected at most ${DEFINITION_BYTES_MAX}; copy or save it again`,
    );
  }
  return { format, offsetBytes: LIBVIRT_HEADER_BYTES + definitionBytes };
}

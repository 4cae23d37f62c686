// The header of a libvirt save file: in front of a QEMU stream, the guest's definition as XML.
//
//   0   16  magic "LibvirtQemudSave"
//  16    4  version: 2
//  20    4  bytes of the definition that follows the header
//  24    4  whether the guest ran
//  28    4  how the stream is compressed: 0 not at all
//  32   60  more, and unused
//  92    -  definition, then the stream
//
// Numbers are in the byte order of the machine that wrote it: the version tells which.

import type { GuestSource } from '../../../domain/ports/guests.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { openStreamFile } from '../qemu/stream-source.ts';
import type { FormatFile } from './image-format.ts';

const LIBVIRT_HEADER_BYTES = 92;
const VERSION = 2;
const DEFINITION_BYTES_MAX = 64 * 1024 * 1024;
const COMPRESSIONS = ['raw', 'gzip', 'bzip2', 'xz', 'lzop', 'zstd', 'sparse'];

/** Opens the stream behind the header and the definition. */
export async function openLibvirtSave(of: FormatFile): Promise<GuestSource> {
  return openStreamFile(of, streamOffsetOf(of.first, of.file.label));
}

/** Where the QEMU stream begins; throws SOURCE_FORMAT where it cannot be read. */
function streamOffsetOf(header: Uint8Array, label: string): number {
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
  const compression = view.getUint32(28, isLittle);
  if (compression !== 0) {
    const name = COMPRESSIONS[compression] ?? String(compression);
    throw unreadable(`with a ${name} stream`, 'set save_image_format = "raw" and save it again');
  }
  const definitionBytes = view.getUint32(20, isLittle);
  if (definitionBytes > DEFINITION_BYTES_MAX) {
    throw unreadable(
      `with ${definitionBytes} bytes of definition`,
      `expected at most ${DEFINITION_BYTES_MAX}; copy or save it again`,
    );
  }
  return LIBVIRT_HEADER_BYTES + definitionBytes;
}

// QEMU's migration stream, version 3, as far as a ledger reads and writes it (docs/qemu.md). All
// integers are big-endian.
//
//   header    u32 'QEVM', u32 3
//   config    u8 07, u32 length, machine name; then subsections while the next byte is 05:
//             05, u8 length, name, u32 version, body
//   records   01 START, 04 FULL   u32 section, u8 length, name, u32 instance, u32 version, body, footer
//             02 PART, 03 END     u32 section, body, footer
//             08 COMMAND          u16 command, u16 length, data
//             00 EOF, then        06 VMDESCRIPTION, u32 length, JSON
//   footer    7e u32 section
//
// The body of RAM is a run of u64 words, address | flags, each with what its flags ask for, up to
// EOS. A device's body has no length: the JSON at the end tells it.

import type { Image } from '../../../domain/ports/guests.ts';
import type { DeviceState } from '../../../domain/values/device-state.ts';
import type { MemoryMap } from '../../../domain/values/memory-map.ts';

export const STREAM_MAGIC = 0x5145_564d;
export const STREAM_VERSION = 3;

export const RECORD_EOF = 0x00;
export const RECORD_START = 0x01;
export const RECORD_PART = 0x02;
export const RECORD_END = 0x03;
export const RECORD_FULL = 0x04;
export const RECORD_SUBSECTION = 0x05;
export const RECORD_DESCRIPTION = 0x06;
export const RECORD_CONFIGURATION = 0x07;
export const RECORD_COMMAND = 0x08;
export const RECORD_FOOTER = 0x7e;

export const RAM_SECTION = 'ram';
export const RAM_VERSION = 4;
/** Bits of a RAM word that are flags. */
export const RAM_FLAGS_MASK = 0xfff;
export const RAM_ZERO = 0x02;
export const RAM_BLOCKS = 0x04;
export const RAM_PAGE = 0x08;
export const RAM_EOS = 0x10;
export const RAM_CONTINUE = 0x20;

export const COMMAND_OPEN_RETURN_PATH = 1;
export const COMMAND_PING = 2;
export const COMMAND_POSTCOPY_ADVISE = 3;
export const COMMAND_POSTCOPY_LISTEN = 4;
export const COMMAND_POSTCOPY_RUN = 5;
export const COMMAND_RAM_DISCARD = 6;
export const COMMAND_PACKAGED = 7;
export const COMMAND_POSTCOPY_RESUME = 9;
export const COMMAND_RECEIVED_BITMAP = 10;
export const COMMAND_SWITCHOVER_START = 11;

/** Longest name: its length is one byte. */
export const NAME_BYTES_MAX = 255;
/** Most blocks of RAM. */
export const RAM_BLOCKS_MAX = 64;
/** Most bytes of RAM (16 TiB). */
export const RAM_BYTES_MAX = 2 ** 44;
/** Most bytes of header and configuration. */
export const HEAD_BYTES_MAX = 64 * 1024;
/** Most bytes of device state. */
export const DEVICE_BYTES_MAX = 64 * 1024 * 1024;
/** Most bytes of the JSON that describes it. */
export const DESCRIPTION_BYTES_MAX = 8 * 1024 * 1024;

/** A guest as read from a stream. */
export interface GuestState {
  /** The machine's name and version, as `pc-i440fx-7.2`. */
  readonly machine: string;
  readonly memoryMap: MemoryMap;
  /** Valid until the spool it lies in is used again or closed, or the file that it lies in is. */
  readonly image: Image;
  /** Whether the image lies in the stream's own file. */
  readonly isInFile: boolean;
  readonly device: DeviceState;
  /** QEMU's word for what the guest was doing: `running`, `paused`, ...; null where it is not said. */
  readonly runState: string | null;
  readonly streamBytes: number;
  /** Bytes of its file that lie behind it and are something else. */
  readonly behindBytes: number;
}

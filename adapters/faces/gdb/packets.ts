// The packets of GDB's remote protocol: `$payload#checksum`, each answered with + or - unless both sides
// agreed not to. A payload is bytes, here a text with a character a byte.

/** Longest packet that is taken, and the length that clients are told to keep to. */
export const PACKET_BYTES_MAX = 0x4000;

const START = 0x24;
const END = 0x23;
const ESCAPE = 0x7d;
const ESCAPED_BY = 0x20;
const RUN = 0x2a;
const INTERRUPT = 0x03;
const CHECKSUM_DIGITS = 2;

/** What came from a client. */
export type Incoming =
  | { readonly kind: 'packet'; readonly payload: string }
  /** A packet whose checksum is another. */
  | { readonly kind: 'spoiled' }
  | { readonly kind: 'again' }
  | { readonly kind: 'interrupt' };

/** More than a packet may have was sent before its end. */
export class PacketTooLong extends Error {}

function checksumOf(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return sum & 0xff;
}

/** What has a meaning of its own between packets, as characters. */
const SPECIAL = new RegExp(
  `[${[START, END, ESCAPE, RUN].map((byte) => `\\x${byte.toString(16)}`).join('')}]`,
  'gu',
);
const escaped = (character: string): string =>
  String.fromCharCode(ESCAPE, character.charCodeAt(0) ^ ESCAPED_BY);

/** Takes escapes out of a payload. */
function unescaped(bytes: Uint8Array): string {
  const out: number[] = [];
  for (let at = 0; at < bytes.length; at += 1) {
    const isEscape = bytes[at] === ESCAPE && at + 1 < bytes.length;
    out.push(isEscape ? bytes[(at += 1)]! ^ ESCAPED_BY : bytes[at]!);
  }
  return Buffer.from(out).toString('latin1');
}

/** A payload as it is sent. */
export function packetOf(payload: string): Buffer {
  const bytes = Buffer.from(payload, 'latin1').toString('latin1');
  const body = Buffer.from(bytes.replaceAll(SPECIAL, escaped), 'latin1');
  const checksum = checksumOf(body).toString(16).padStart(CHECKSUM_DIGITS, '0');
  return Buffer.concat([Buffer.from('$'), body, Buffer.from(`#${checksum}`)]);
}

/** Takes what comes apart into packets. */
export class PacketReader {
  #kept: Buffer = Buffer.alloc(0);

  /** What is whole once these bytes came. PacketTooLong. */
  take(chunk: Uint8Array): readonly Incoming[] {
    this.#kept = Buffer.concat([this.#kept, chunk]);
    const found: Incoming[] = [];
    let at = 0;
    while (at < this.#kept.length) {
      const first = this.#kept[at]!;
      if (first !== START) {
        if (first === INTERRUPT) found.push({ kind: 'interrupt' });
        if (first === '-'.codePointAt(0)) found.push({ kind: 'again' });
        at += 1;
        continue;
      }
      const end = this.#kept.indexOf(END, at);
      if (end < 0 || end + CHECKSUM_DIGITS >= this.#kept.length) break;
      found.push(this.#packet(at + 1, end));
      at = end + 1 + CHECKSUM_DIGITS;
    }
    this.#kept = this.#kept.subarray(at);
    // A payload of this length may have escapes, and has what encloses it.
    if (this.#kept.length > 2 * PACKET_BYTES_MAX + CHECKSUM_DIGITS + 2) throw new PacketTooLong();
    return found;
  }

  #packet(from: number, end: number): Incoming {
    const body = this.#kept.subarray(from, end);
    const digits = this.#kept.toString('latin1', end + 1, end + 1 + CHECKSUM_DIGITS);
    const isSound =
      /^[0-9a-f]{2}$/iu.test(digits) && Number.parseInt(digits, 16) === checksumOf(body);
    return isSound ? { kind: 'packet', payload: unescaped(body) } : { kind: 'spoiled' };
  }
}

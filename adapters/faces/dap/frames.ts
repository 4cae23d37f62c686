// Messages of the Debug Adapter Protocol as bytes: a header that says how long a message is, an empty
// line, and the message as JSON. A client that sends anything else is let go: nothing behind it can be
// told apart.

import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

/** Longest header, and longest message, that is taken. */
const HEADER_BYTES_MAX = 4096;
export const MESSAGE_BYTES_MAX = 2 ** 20;

const BLANK = '\r\n\r\n';

/** What a client asks. */
const Request = t.intersection([
  t.type({ seq: t.Int, type: t.literal('request'), command: t.string }),
  t.partial({ arguments: t.unknown }),
]);
export type Request = t.TypeOf<typeof Request>;

/** What came is no message of the protocol. */
export class BadFrame extends Error {}

/** A message as it is sent. */
export function frameOf(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message), 'utf8');
  return Buffer.concat([Buffer.from(`Content-Length: ${body.length}${BLANK}`, 'latin1'), body]);
}

/** The length that a header says. */
function lengthIn(header: string): number {
  const lengths = header.split('\r\n').flatMap((line) => {
    const found = /^([A-Za-z-]{1,64}): *(.*)$/u.exec(line);
    if (found === null) throw new BadFrame('a header such as `Content-Length: 119` was expected');
    return found[1]!.toLowerCase() === 'content-length' ? [found[2]!] : [];
  });
  const [length] = lengths;
  if (lengths.length !== 1 || !/^\d{1,9}$/u.test(length!))
    throw new BadFrame('one Content-Length of decimal digits was expected');
  const bytes = Number(length);
  if (bytes <= MESSAGE_BYTES_MAX) return bytes;
  throw new BadFrame(`a message of ${bytes} bytes is longer than ${MESSAGE_BYTES_MAX}`);
}

function requestIn(body: Buffer): Request {
  let message: unknown;
  try {
    message = JSON.parse(body.toString('utf8'));
  } catch {
    throw new BadFrame('a message is no JSON');
  }
  const decoded = Request.decode(message);
  if (either.isRight(decoded)) return decoded.right;
  throw new BadFrame('a message is no request: seq, type and command were expected');
}

/** Takes what comes apart into requests. */
export class FrameReader {
  #kept: Buffer = Buffer.alloc(0);
  /** Of the message whose header was read; null: a header is next. */
  #length: number | null = null;

  /** What is whole once these bytes came. BadFrame. */
  *take(chunk: Uint8Array): Generator<Request> {
    this.#kept = Buffer.concat([this.#kept, chunk]);
    for (;;) {
      this.#length ??= this.#header();
      if (this.#length === null || this.#kept.length < this.#length) return;
      const body = this.#kept.subarray(0, this.#length);
      this.#kept = this.#kept.subarray(this.#length);
      this.#length = null;
      yield requestIn(body);
    }
  }

  #header(): number | null {
    const end = this.#kept.subarray(0, HEADER_BYTES_MAX + BLANK.length).indexOf(BLANK);
    if (end < 0) {
      if (this.#kept.length > HEADER_BYTES_MAX) throw new BadFrame('a header does not end');
      return null;
    }
    const header = this.#kept.toString('latin1', 0, end);
    this.#kept = this.#kept.subarray(end + BLANK.length);
    return lengthIn(header);
  }
}

// What is kept beside a capture: a few small files that belong to it,
// such as the device state that a VMM writes next to its memory, and a note. Their sizes are bounded
// before anything is read.

import { isName } from '../events/streams.ts';
import type { Refusal } from './refusals.ts';
import { refuse } from './refused.ts';

/** Most bytes of one attachment. */
export const ATTACHMENT_BYTES_MAX = 64 * 1024 * 1024;
/** Most attachments of a capture. */
export const ATTACHMENTS_MAX = 16;
/** Most bytes of all attachments of a capture. */
export const ATTACHMENTS_BYTES_MAX = 256 * 1024 * 1024;
/** Most bytes of a note, as UTF-8. */
export const NOTE_BYTES_MAX = 1024;

/** A file to keep beside a capture. */
export interface Attachment {
  readonly name: string;
  /** Its bytes, from the start each time: a capture that is taken in again asks again. */
  readonly content: () => AsyncIterable<Uint8Array>;
}

/** An attachment as its capture's commit tells of it. */
export interface AttachmentEntry {
  readonly name: string;
  readonly bytes: number;
  /** SHA-256 of its bytes, in hex. */
  readonly sha256: string;
}

/** An attachment of bytes at hand. */
export const attachmentOfBytes = (name: string, bytes: Uint8Array): Attachment => ({
  name,
  content: async function* content() {
    yield bytes;
  },
});

/** Whether a text is a note, as events have them. */
export const isNote = (text: string): boolean =>
  text.length > 0 && new TextEncoder().encode(text).length <= NOTE_BYTES_MAX;

/** Why a note cannot be kept; null: it can. */
export function noteRefusal(note: string | null): Refusal | null {
  if (note === null || isNote(note)) return null;
  const { length } = new TextEncoder().encode(note);
  return { _tag: 'BadNote', bytes: length, bytesMax: NOTE_BYTES_MAX };
}

const bad = (name: string, why: string): Refusal => ({ _tag: 'BadAttachment', name, why });

/** Why attachments of these names cannot be kept beside one capture; null: they can. */
export function attachmentsRefusal(names: readonly string[]): Refusal | null {
  for (const [i, name] of names.entries()) {
    if (!isName(name))
      return bad(name, 'names are [A-Za-z0-9][A-Za-z0-9._-]*, at most 128 characters');
    if (names.indexOf(name) < i) return bad(name, 'it is given twice');
    if (i >= ATTACHMENTS_MAX)
      return bad(name, `${names.length} are given, and a capture has at most ${ATTACHMENTS_MAX}`);
  }
  return null;
}

/** An attachment's bytes, at most `bytesMax` of them. Refused as soon as there are more. */
export async function bytesOfAttachment(
  { name, content }: Attachment,
  bytesMax: number,
): Promise<Uint8Array> {
  const limit = Math.min(ATTACHMENT_BYTES_MAX, bytesMax);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of content()) {
    length += chunk.length;
    if (length > limit)
      throw refuse(
        limit === ATTACHMENT_BYTES_MAX
          ? bad(name, `it has more than ${ATTACHMENT_BYTES_MAX} bytes, the most of one`)
          : bad(name, `all together have more than ${ATTACHMENTS_BYTES_MAX} bytes`),
      );
    chunks.push(chunk);
  }
  const [first, second] = chunks;
  if (first !== undefined && second === undefined) return first;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

// What the frames of the link say (docs/format.md, "The link"). Everything is read with its bounds: bodies
// of JSON by codecs, those of pages by their counts.

import { deflateRawSync, inflateRawSync, constants } from 'node:zlib';
import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { CONTROL_CODECS } from '../../../domain/events/control.ts';
import { HOST_CODECS, MIGRATION_CODECS } from '../../../domain/events/host-codecs.ts';
import { capture, count, durationMs, timeMs } from '../../../domain/events/number-codecs.ts';
import { hostText, lease, name, orNull, sha256, word } from '../../../domain/events/text-codecs.ts';
import { IDENTIFIER_BYTES } from '../../../domain/ports/page-engine.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { linkInvalid } from '../../wiring/hosts/arrival.ts';
import {
  ANNOUNCED_PAGES,
  PAGE_CONTENT,
  type AnnouncedPages,
  type WantedPages,
} from '../../wiring/hosts/departure.ts';

export const LINK_MAGIC = 'pageledger link';
export const LINK_VERSION = 2;
/** Pages in one message. */
export const SENT_PAGES_MAX = 64;
const CODEC_RAW = 0;
const CODEC_DEFLATE = 1;

const { memoryMap, group } = CONTROL_CODECS.VmRegistered.type.props;
const argv = t.readonlyArray(t.string);

/** Bodies that are JSON, by the kind of their frame. */
export const BODIES = {
  hello: t.strict({
    magic: t.literal(LINK_MAGIC),
    version: count,
    host: name,
    ledger: orNull(hostText),
  }),
  offer: t.strict({
    migration: MIGRATION_CODECS.MigrationStarted,
    offered: t.strict({
      vm: name,
      capture,
      group,
      keyCheck: hostText,
      memoryMap,
      argv: orNull(argv),
      timeMs,
      pauseMs: orNull(durationMs),
      mode: word,
      source: t.string,
      pages: count,
      hasDevice: t.boolean,
    }),
  }),
  recorded: t.strict({ capture, arrived: count, patched: count, held: count }),
  handOver: t.strict({ vm: name, migration: lease }),
  completed: t.strict({ capture, downtimeMs: orNull(durationMs) }),
  ask: t.strict({ vm: name, migration: lease }),
  answer: t.strict({ phase: t.keyof({ completed: null, failed: null }) }),
  check: t.strict({ vm: name, capture }),
  request: t.strict({ vm: name, to: orNull(name) }),
  moved: t.strict({
    vm: name,
    migration: lease,
    to: name,
    captures: count,
    pages: count,
    bytes: count,
    downtimeMs: orNull(durationMs),
  }),
  refused: t.strict({ code: t.string, message: t.string }),
  contents: HOST_CODECS.HostJoined,
  known: t.strict({ digest: orNull(sha256) }),
} as const;

/** What a body of JSON says, by the kind of its frame. */
export type BodyOf<K extends keyof typeof BODIES> = t.TypeOf<(typeof BODIES)[K]>;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The body of a message that is JSON. */
export const bodyOf = (value: object): Uint8Array => encoder.encode(JSON.stringify(value));

/** What a body of JSON says. LINK_INVALID. */
export function readBody<A>(codec: t.Decoder<unknown, A>, body: Uint8Array): A {
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(body));
  } catch {
    throw linkInvalid('a message is not JSON');
  }
  const read = codec.decode(json);
  if (either.isRight(read)) return read.right;
  const path = read.left[0]?.context.map(({ key }) => key).filter((key) => key !== '') ?? [];
  throw linkInvalid(`the field ${path.join('.')} of a message does not fit`);
}

const FIRST_BYTES = 4;
const wordAt = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(at, true);

function withFirst(first: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const head = new Uint8Array(FIRST_BYTES);
  new DataView(head.buffer).setUint32(0, first, true);
  return Buffer.concat([head, ...parts]);
}

/** u32 first page | u16 pages | a kind each | an identifier for each content. */
export function announcedBody({ firstPage, kinds, identifiers }: AnnouncedPages): Uint8Array {
  const head = Uint8Array.of(kinds.length & 0xff, kinds.length >>> 8);
  return withFirst(firstPage, head, kinds, identifiers);
}

/** LINK_INVALID where counts and lengths do not fit each other. */
export function readAnnounced(body: Uint8Array): AnnouncedPages {
  if (body.length < 6) throw linkInvalid(`identifiers in ${body.length} bytes`);
  const pages = body[4]! + body[5]! * 256;
  if (pages === 0 || pages > ANNOUNCED_PAGES || body.length < 6 + pages)
    throw linkInvalid(`${pages} pages announced in ${body.length} bytes`);
  const kinds = body.slice(6, 6 + pages);
  const contents = kinds.reduce((sum, kind) => sum + Number(kind === PAGE_CONTENT), 0);
  const identifiers = body.slice(6 + pages);
  if (identifiers.length !== contents * IDENTIFIER_BYTES)
    throw linkInvalid(`${identifiers.length} bytes of identifiers for ${contents} contents`);
  return { firstPage: wordAt(body, 0), kinds, identifiers };
}

/** A bit for each announced page that is asked for | one for each that may be a patch | what of, 32 bytes each. */
export function wantedBody({ count: announced, pages, references }: WantedPages): Uint8Array {
  const bits = new Uint8Array(2 * Math.ceil(announced / 8));
  const second = bits.length / 2;
  for (const page of pages) bits[page >>> 3]! |= 1 << (page & 7);
  const patchable = [...references.keys()].toSorted((a, b) => a - b);
  for (const page of patchable) bits[second + (page >>> 3)]! |= 1 << (page & 7);
  return Buffer.concat([bits, ...patchable.map((page) => references.get(page)!)]);
}

/** LINK_INVALID where that is not what was announced, or its lengths do not fit each other. */
export function readWanted(body: Uint8Array, announced: number): WantedPages {
  const bytes = Math.ceil(announced / 8);
  const has = (bits: number, page: number): boolean =>
    (body[bits + (page >>> 3)]! & (1 << (page & 7))) !== 0;
  if (body.length < 2 * bytes)
    throw linkInvalid(`${body.length} bytes of wishes for ${announced} pages`);
  const pages: number[] = [];
  const references = new Map<number, Uint8Array>();
  let at = 2 * bytes;
  for (let page = 0; page < announced; page += 1) {
    const isWanted = has(0, page);
    if (isWanted) pages.push(page);
    if (!has(bytes, page)) continue;
    if (!isWanted) throw linkInvalid(`it has what is like page ${page}, and does not ask for it`);
    references.set(page, body.slice(at, at + IDENTIFIER_BYTES));
    at += IDENTIFIER_BYTES;
  }
  if (at !== body.length)
    throw linkInvalid(`${body.length} bytes of wishes for ${announced} pages`);
  return { count: announced, pages, references };
}

/** u8 patches | u8 codec | u32 page each | what each differs in, a page each, as they are or deflated. */
export function patchesBody(gfns: Uint32Array, masks: Uint8Array): Uint8Array {
  const { codec, packed } = deflated(masks);
  const head = new Uint8Array(2 + 4 * gfns.length);
  head.set([gfns.length, codec]);
  const view = new DataView(head.buffer);
  for (const [i, gfn] of gfns.entries()) view.setUint32(2 + 4 * i, gfn, true);
  return Buffer.concat([head, packed]);
}

/** LINK_INVALID for patches that are not as many as they say; nothing larger is made. */
export function readPatches(body: Uint8Array): {
  readonly gfns: Uint32Array;
  readonly masks: Uint8Array;
} {
  const [told = 0, codec] = body;
  const head = 2 + 4 * told;
  if (told === 0 || told > SENT_PAGES_MAX || body.length < head)
    throw linkInvalid(`${told} patches in a message of ${body.length} bytes`);
  const gfns = Uint32Array.from({ length: told }, (_, i) => wordAt(body, 2 + 4 * i));
  return { gfns, masks: unpacked(body.subarray(head), { codec, pages: told }) };
}

function deflated(pages: Uint8Array): { readonly codec: number; readonly packed: Uint8Array } {
  const packed = deflateRawSync(pages, { level: constants.Z_BEST_SPEED });
  return packed.length < pages.length
    ? { codec: CODEC_DEFLATE, packed }
    : { codec: CODEC_RAW, packed: pages };
}

/** u32 first page | u8 pages | u8 codec | whole pages, as they are or deflated. */
export function pagesBody(firstPage: number, pages: Uint8Array): Uint8Array {
  const { codec, packed } = deflated(pages);
  return withFirst(firstPage, Uint8Array.of(pages.length / PAGE_BYTES, codec), packed);
}

/** LINK_INVALID for pages that are not as many as they say; nothing larger is made. */
export function readPages(body: Uint8Array): {
  readonly firstPage: number;
  readonly pages: Uint8Array;
} {
  const [told = 0, codec] = body.subarray(FIRST_BYTES);
  if (body.length < 6 || told === 0 || told > SENT_PAGES_MAX)
    throw linkInvalid(`${told} pages in a message of ${body.length} bytes`);
  const pages = unpacked(body.slice(6), { codec, pages: told });
  return { firstPage: wordAt(body, 0), pages };
}

/** So many pages out of the bytes of a message. */
function unpacked(
  body: Uint8Array,
  of: { readonly codec: number | undefined; readonly pages: number },
): Uint8Array {
  const bytes = of.pages * PAGE_BYTES;
  const pages = of.codec === CODEC_DEFLATE ? inflated(body, bytes) : body;
  if (pages.length !== bytes || (of.codec !== CODEC_RAW && of.codec !== CODEC_DEFLATE))
    throw linkInvalid(`${pages.length} bytes for ${of.pages} pages`);
  return pages;
}

function inflated(bytes: Uint8Array, most: number): Uint8Array {
  try {
    return inflateRawSync(bytes, { maxOutputLength: most });
  } catch {
    throw linkInvalid('pages that cannot be inflated, or are more than they say');
  }
}

// Places: where a subscriber goes on (docs/events.md, "Following a ledger"). All rows that a ledger can
// show have one total order, whatever of them was asked for: by position, and inside a capture packs,
// then each batch followed by its page events, then the device state, the attachments, the commit.
//
//   POSITION          the row of an event of its own, or of a commit: after everything there
//   POSITION/pN       the Nth pack of the capture that was committed there, from 0
//   POSITION/bITEM    the batch whose first page event is that item
//   POSITION/ITEM     a page event
//   POSITION/d        the device state
//   POSITION/aN       the Nth batch of attachments, from 0
//
// Behind it, `@` and the first digits of the id of the event at the position: a place of another past of
// the log, which was put back from a copy, is told from one of this. A place may be without it.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import type { EventMark, Position } from '../../domain/ports/event-log.ts';
import type { Refusal } from '../../domain/values/refusals.ts';

/** Ranks order the rows of one position. */
export type Rank = number;

/** Where a subscriber stands: whoever goes on from it sees the rows of higher rank there, and all of later positions. */
export interface Cursor {
  readonly position: Position;
  readonly rank: Rank;
  /** The beginning of the id, in hex, of the event there; null: the place does not say. */
  readonly id: string | null;
}

/** More than any item: a capture has less than 2^32 rows, and two items each. */
const ITEMS_MAX = 2 ** 34;
/** A batch comes just before the item that it begins with. */
const BATCH_BEFORE_ITEM = 0.5;

/** Before every row of a position. */
export const RANK_FIRST: Rank = Number.NEGATIVE_INFINITY;
/** After every row of a position. */
export const RANK_LAST: Rank = Number.POSITIVE_INFINITY;
const RANK_DEVICE: Rank = ITEMS_MAX;

/** What of a row tells its place. */
export type RowPart =
  | { readonly _tag: 'whole' | 'device' }
  | { readonly _tag: 'pack' | 'attachments'; readonly number: number }
  | { readonly _tag: 'batch' | 'page'; readonly item: number };

export function rankOf(part: RowPart): Rank {
  switch (part._tag) {
    case 'whole':
      return RANK_LAST;
    case 'device':
      return RANK_DEVICE;
    case 'attachments':
      return RANK_DEVICE + 1 + part.number;
    case 'pack':
      return part.number - ITEMS_MAX;
    case 'batch':
      return part.item - BATCH_BEFORE_ITEM;
    case 'page':
      return part.item;
    default:
      return part satisfies never;
  }
}

function partText(part: RowPart): string {
  switch (part._tag) {
    case 'whole':
      return '';
    case 'device':
      return '/d';
    case 'attachments':
      return `/a${part.number}`;
    case 'pack':
      return `/p${part.number}`;
    case 'batch':
      return `/b${part.item}`;
    case 'page':
      return `/${part.item}`;
    default:
      return part satisfies never;
  }
}

/** Digits of an event's id in a place: more than chance gives to two pasts of a log. */
const ID_DIGITS = 16;

/** A row's place as text, of the event or the commit that it belongs to. */
export const placeText = ({ position, id }: EventMark, part: RowPart): string =>
  `${position}${partText(part)}@${id.slice(0, ID_DIGITS)}`;

const PLACE =
  /^(?<position>\d{1,39})(?:\/(?:p(?<pack>\d{1,10})|b(?<batch>\d{1,10})|(?<page>\d{1,10})|a(?<attached>\d{1,10})|(?<device>d)))?(?:@(?<id>[0-9a-f]{8,32}))?$/u;

function partOf(groups: Readonly<Record<string, string | undefined>>): RowPart {
  const { pack, batch, page, attached, device } = groups;
  if (pack !== undefined) return { _tag: 'pack', number: Number(pack) };
  if (batch !== undefined) return { _tag: 'batch', item: Number(batch) };
  if (attached !== undefined) return { _tag: 'attachments', number: Number(attached) };
  if (page !== undefined) return { _tag: 'page', item: Number(page) };
  return { _tag: device === undefined ? 'whole' : 'device' };
}

/** The place that a text names; BadPlace where it is none. */
export function parseCursor(text: string): Either<Refusal, Cursor> {
  const groups = PLACE.exec(text)?.groups;
  if (groups === undefined)
    return either.left({
      _tag: 'BadPlace',
      text,
      why: 'a place is a position, perhaps with a slash and an item, and an @ and the beginning of an id',
    });
  const id = groups['id'] ?? null;
  return either.right({ position: BigInt(groups['position']!), rank: rankOf(partOf(groups)), id });
}

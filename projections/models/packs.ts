// Packs as the fold knows them (contents.ts has the words).

import type { ReadPack } from '../../domain/ports/models.ts';
import type { Position } from '../../domain/ports/event-log.ts';

/** A pack that a capture wrote, and where it comes from. */
export interface KnownPack extends ReadPack {
  readonly vm: string;
  readonly group: string;
  readonly capture: number;
  /** Position of the commit that brought it. */
  readonly position: Position;
  /** Whether its pages may be shared at all: not those of a VM that shares nothing but patterns. */
  readonly isLinked: boolean;
  /** Its pages are the contents from this number on, in slot order; then its patterns. */
  readonly firstContent: number;
  readonly pages: number;
  readonly firstPattern: number;
  readonly patterns: number;
}

/** A pack that compaction wrote. */
export interface RewrittenPack extends ReadPack {
  readonly group: string;
  readonly position: Position;
  /** What each of its slots holds; UNKNOWN where the event of its home was lost. */
  readonly holdings: Uint32Array;
}

export type AnyPack = KnownPack | RewrittenPack;

export interface PackOrigin {
  readonly vm: string;
  readonly position: Position;
  readonly isLinked: boolean;
}

/** A written pack whose slots were counted, before it has numbers. */
export type CountedPack = PackOrigin &
  Pick<KnownPack, 'name' | 'group' | 'capture' | 'sizeBytes' | 'blocks' | 'patches'> &
  Pick<KnownPack, 'pages' | 'patterns'>;

/** A rewritten pack before it has an ordinal. */
export type HeldPack = Pick<
  RewrittenPack,
  'name' | 'group' | 'sizeBytes' | 'blocks' | 'patches' | 'position' | 'holdings'
>;

export const isWritten = (pack: AnyPack): pack is KnownPack => 'firstContent' in pack;

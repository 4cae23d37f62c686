// What use cases ask of the projections. The projections implement these; see docs/architecture.md.

import type { BlockTable } from '../values/pack.ts';
import type { WritesView } from '../sharing.ts';
import type { Holding } from '../values/holding.ts';
import type { Ordinal, Place } from '../values/place.ts';
import type { PatchTable } from '../events/patches.ts';
import type { Position } from './event-log.ts';
import type { LargePages } from '../large-pages.ts';
import type { VmState } from '../vm.ts';

/**
 * What events refer to a page's content or pattern by: a slot of a committed pack; the nth content or
 * pattern that this capture keeps itself; a public pattern.
 */
export type PageReference =
  | { readonly _tag: 'committed'; readonly pack: string; readonly slot: number }
  | { readonly _tag: 'pending'; readonly kind: 'content' | 'pattern'; readonly number: number }
  | { readonly _tag: 'public'; readonly pattern: number };

/** The sharing state under one capture: what is committed, and the capture's own writes so far. */
export interface CaptureView extends WritesView {
  /** Whether everything that the VM's pages hold is known. */
  readonly isWhole: boolean;
  /** What a content or a pattern is referred to by. */
  reference(holding: Holding): PageReference;
  /** Whether a committed content is held large: nobody but the pages that hold it links to it. */
  isLarge(holding: Holding): boolean;
  /** The VM's pattern that is kept with this identifier, or -1. */
  findPattern(identifier: Uint8Array): Holding;
  /** Takes a pattern in that this capture keeps. */
  storePattern(identifier: Uint8Array): Holding;
  /** What a patch for a page of the VM may refer to: what it held, or what that is a patch of. */
  patchReference(holding: Holding): Holding | null;
  /**
   * Whether something that this capture refers to was released since, or became a patch although a
   * patch of this capture may refer to it. As of what the models have folded.
   */
  isOutdated(): boolean;
}

/** What a capture comes to hold. */
export interface CaptureWants {
  readonly pages: number;
  /** Which pages are held large. */
  readonly regions: { isLarge(gfn: number): boolean; mayStayLarge(gfn: number): boolean };
}

/** What recording reads. */
export interface RecorderModels {
  /** Counts the pasts of the log that were thrown away: a capture is of one. */
  pasts(): number;
  /** Folds what the log holds beyond the models; `past`: past this event at least, which the log gave. */
  catchUp(past?: Position): Promise<void>;
  vm(vm: string): VmState;
  /** Position of a capture's commit, or null. */
  position(vm: string, capture: number): Position | null;
  /** Why the VM's history may be longer than what can be read, or null. */
  lostTail(vm: string): string | null;
  /** Why it may not be known where all content lies, or null. */
  lostStore(): string | null;
  /** What each page of a VM holds at one of its captures, in the numbers of the models' position. */
  tableAt(vm: string, capture: number): Promise<Uint32Array>;
  /** A view for one capture of a VM, at the models' position. */
  captureView(vm: string, wants: CaptureWants): Promise<CaptureView>;
  /** What has become of the VM's large pages. */
  regions(vm: string): LargePages;
}

/** A pack as a reader needs it. */
export interface ReadPack {
  /** Among all packs, in log order. */
  readonly ordinal: Ordinal;
  readonly name: string;
  readonly sizeBytes: number;
  readonly blocks: BlockTable;
  /** Its patches, by their slots. */
  readonly patches: Pick<PatchTable, 'slots'>;
  /** What its patches refer to, in the order of `patches`; UNKNOWN where that was lost. */
  readonly references: Uint32Array;
}

/** Finds what pages hold. A place is a pack's ordinal times PACK_SLOTS, plus a slot. */
export interface PageLocator {
  /** Where a content or a kept pattern lies; below 0: it was forgotten and is gone. */
  placeOf(holding: Holding): Place;
  packAt(place: Place): ReadPack;
  /** What the patch at a place refers to; null: no patch lies there. */
  referenceAt(place: Place): Holding | null;
}

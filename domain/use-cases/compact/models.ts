// What compaction asks of the projections, beside where content lies.

import type { PackUse } from '../../store.ts';
import type { ContentReleased } from '../../events/control.ts';
import type { Holding } from '../../values/holding.ts';
import type { PageLocator } from '../../ports/models.ts';

/** A pack and its number among all packs. */
export interface SurveyedPack extends PackUse {
  readonly ordinal: number;
}

/** What is where, and what of it kept points need, at one position of the log. */
export interface Survey {
  readonly packs: readonly SurveyedPack[];
  /** The last commit that is in it; null: there is none. */
  readonly seen: ContentReleased['seen'];
  /** Whether a kept capture holds this. */
  isHeld(holding: Holding): boolean;
  /** Whether it is held, or a patch that is held refers to it. */
  isNeeded(holding: Holding): boolean;
  /** Takes in what was committed since. */
  refresh(): Promise<void>;
}

/** Contents of one capture that later ones do not hold, each once, in gfn order. */
export interface Versions {
  readonly holdings: Uint32Array;
  /** Where each was. NO_GFN: in a device state or an attachment. */
  readonly gfns: Uint32Array;
}

/** What a VM's kept captures hold, in an order that is good to store it in. */
export interface VmVersions {
  /** Of the newest capture. */
  readonly newest: Versions;
  /** What the pages of the newest capture hold, by gfn. */
  readonly table: Uint32Array;
  /** Of older ones, the newest first. */
  older(): Promise<readonly Versions[]>;
}

/** Gfn of a content that is in a device state or an attachment. */
export const NO_GFN = 0xffff_ffff;

/** Where content lies, and by what it is known. */
export interface ContentPlaces extends PageLocator {
  readonly count: number;
  /** The name and slot by which events refer to a content or a kept pattern. */
  reference(holding: Holding): { readonly pack: string; readonly slot: number };
  /** Those by which the event of a rewritten pack does. */
  source(holding: Holding): { readonly pack: string; readonly slot: number };
  /** What a slot of a pack stands for; UNKNOWN where that is lost. */
  holdingOfSlot(place: number): Holding;
  /** Whether a content is held large. */
  isLarge(holding: Holding): boolean;
  /** Content that others are patches of now: how many. */
  referrers(): Uint32Array;
}

export interface CompactModels {
  /** Folds what the log holds beyond the models. */
  catchUp(): Promise<void>;
  survey(): Promise<Survey>;
  /** VMs of a group. */
  vmsOf(group: string): readonly string[];
  /** What points of a group that were laid out hold and have no copies of, by gfn: a point at a time. */
  laidOut(group: string): AsyncIterable<Uint32Array>;
  /** Null: the VM has no kept capture. */
  versions(vm: string): Promise<VmVersions | null>;
  readonly places: ContentPlaces;
  /** Ordinals of the packs in which something lies that is lost, or a patch of such. */
  unreadable(): ReadonlySet<number>;
  /** Reads what a failure names once more, past all caches; true: it is among `unreadable` from now on. */
  passOver(thrown: unknown): Promise<boolean>;
}

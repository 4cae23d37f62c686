// What use cases ask of the projections. The projections implement these; see docs/architecture.md.

import type { BlockTable } from './pack.ts';
import type { Holding, WritesView } from './page-writes.ts';
import type { Position } from './ports.ts';
import type { VmState } from './vm.ts';

/** Where a content lies: in a committed pack, or the nth content that this capture stores itself. */
export type ContentPlace =
  | { readonly _tag: 'committed'; readonly pack: string; readonly slot: number }
  | { readonly _tag: 'pending'; readonly number: number };

/** The sharing state under one capture: what is committed, and the capture's own writes so far. */
export interface CaptureView extends WritesView {
  /** Whether everything that the VM's pages hold is known. */
  readonly isWhole: boolean;
  place(holding: Holding): ContentPlace;
}

/** What recording reads. */
export interface RecorderModels {
  /** Folds what the log holds beyond the models. */
  catchUp(): Promise<void>;
  vm(vm: string): VmState;
  /** Position of a capture's commit, or null. */
  position(vm: string, capture: number): Position | null;
  /** Why the VM's history may be longer than what can be read, or null. */
  lostTail(vm: string): string | null;
  /** A view for one capture of a VM with this many pages, at the models' position. */
  captureView(vm: string, pageCount: number): Promise<CaptureView>;
}

/** A pack as a reader needs it; its pages are the contents from `firstContent` on, in slot order. */
export interface ReadPack {
  readonly name: string;
  readonly firstContent: number;
  readonly pages: number;
  readonly sizeBytes: number;
  readonly blocks: BlockTable;
}

/** Finds the pack that holds a content (a content number, not a holding). */
export type PackOf = (content: number) => ReadPack;

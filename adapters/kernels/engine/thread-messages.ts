// What the threads of an engine say to each other, and how a failure crosses from one to the other:
// a LedgerError keeps code, message and data; anything else is a bug of ours and stays one.

import { InvariantError } from '../../../domain/values/assert.ts';
import { LedgerError, isLedgerError } from '../../../domain/values/ledger-error.ts';
import type { ErrorFacts, LedgerErrorCode } from '../../../domain/values/ledger-error.ts';
import type {
  EngineKeys,
  FillRequest,
  Grammar,
  PackRequest,
  PatchedBlocks,
  ScanRequest,
} from '../../../domain/ports/page-engine.ts';
import type { ChunkColumns, StoreRequest } from './page-core.ts';

/** What a thread is asked. */
export type ThreadWork =
  | {
      readonly _tag: 'scan';
      readonly slot: number;
      /** Null: the keys of the scan before. */
      readonly keys: EngineKeys | null;
      readonly request: ScanRequest;
    }
  | { readonly _tag: 'store'; readonly slot: number; readonly request: StoreRequest }
  | { readonly _tag: 'pack'; readonly request: PackRequest }
  | { readonly _tag: 'sketch'; readonly pages: Uint8Array }
  | { readonly _tag: 'fill'; readonly request: FillRequest };

export interface ThreadCall {
  readonly id: number;
  readonly work: ThreadWork;
  /** Null: that of the call before. */
  readonly grammar: Grammar | null;
}

export type ThreadFailure =
  | {
      readonly _tag: 'ledger';
      readonly code: LedgerErrorCode;
      readonly message: string;
      readonly facts: ErrorFacts;
    }
  | { readonly _tag: 'bug'; readonly sentence: string };

export type ThreadAnswer =
  | { readonly _tag: 'scanned'; readonly columns: ChunkColumns }
  | { readonly _tag: 'stored'; readonly blocks: PatchedBlocks }
  | { readonly _tag: 'sketched'; readonly sketches: Uint32Array }
  | { readonly _tag: 'filled'; readonly failed: readonly number[] }
  | { readonly _tag: 'failed'; readonly failure: ThreadFailure };

export interface ThreadReply {
  readonly id: number;
  readonly answer: ThreadAnswer;
}

/** A thrown thing as it crosses. */
export function packFailure(thrown: unknown): ThreadFailure {
  if (isLedgerError(thrown)) {
    const { code, message, facts } = thrown;
    return { _tag: 'ledger', code, message, facts };
  }
  const isTraced = typeof thrown === 'object' && thrown !== null && 'stack' in thrown;
  return { _tag: 'bug', sentence: String(isTraced ? thrown.stack : thrown) };
}

/** The thrown thing on the other side. */
export const unpackFailure = (failure: ThreadFailure): Error =>
  failure._tag === 'ledger'
    ? new LedgerError(failure.code, failure.message, failure.facts)
    : new InvariantError(`on a worker thread: ${failure.sentence}`);

// Where one half of the folded state stands (ledger-state.ts), and how that begins its state file.

import * as t from 'io-ts';
import type { Position } from '../../domain/ports/event-log.ts';
import { decodeState, StateUnfit, type StateReader, type StateWriter } from './state-bytes.ts';
import type { AssemblerState } from '../commits.ts';

const PENDING = t.array(t.tuple([t.string, t.number, t.string]));

const START: AssemblerState = { next: 0n, pending: [] };

export interface Half {
  /** Where folding goes on. */
  from: AssemblerState;
  /** Changes up to here are folded already. */
  applied: Position;
}

/** Nothing is folded yet. */
export const START_HALF = (): Half => ({ from: START, applied: -1n });

/** Writes where a half stands, after its format number. */
export function saveHalf(writer: StateWriter, format: number, half: Half): void {
  const pending = half.from.pending.map(({ stream, revision, position }) => [
    stream,
    revision,
    String(position),
  ]);
  writer
    .u32(format)
    .u64(half.from.next)
    .u64(half.applied + 1n)
    .text(JSON.stringify(pending));
}

/** Reads what `saveHalf` wrote; StateUnfit for another format. */
export function loadHalf(reader: StateReader, format: number): Half {
  if (reader.u32() !== format) throw new StateUnfit('another format');
  const next = reader.u64();
  const applied = reader.u64() - 1n;
  const pending = decodeState(reader.text(), PENDING);
  const from = {
    next,
    pending: pending.map(([stream, revision, position]) => ({
      stream,
      revision,
      position: BigInt(position),
    })),
  };
  return { from, applied };
}

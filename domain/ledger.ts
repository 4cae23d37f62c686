// What a ledger is, by its own stream: who it is and where its packs lie, its sharing groups, and the
// grammar of patterns that its recorders recognise. Several processes may append the same at once; the
// first in log order counts, and who comes second finds it done.

import * as either from 'fp-ts/lib/Either.js';
import type { Either } from 'fp-ts/lib/Either.js';
import { pipe } from 'fp-ts/lib/function.js';
import { LYING_FORMAT, type EventOf } from './events/control.ts';
import { isGroupName } from './events/streams.ts';
import {
  addedPatternOf,
  initialPatterns,
  withPattern,
  type PatternsState,
} from './patterns/index.ts';
import type { Compression } from './ports/page-engine.ts';
import { CODEC_PACKED, CODEC_ZSTD } from './values/pack.ts';
import type { Refusal } from './values/refusals.ts';

/**
 * Format of what this release writes. In a ledger of an earlier one no event is of a kind that the
 * releases of its time do not know.
 */
export const LEDGER_FORMAT = 6;

/** Formats from this one on have salted blocks, and packed ones. */
const SALTED_FORMAT = 2;
/** Formats from this one on have short columns in events. */
const SHORT_FORMAT = 3;
/** zstd's level for what is recorded into a ledger without packed blocks. */
const RECORDED_LEVEL = 1;

export type LedgerEvent = EventOf<'LedgerCreated' | 'GroupCreated' | 'PatternAdded'>;

export interface LedgerFacts {
  /** Null: its LedgerCreated is not there, or cannot be read. */
  readonly ledger: {
    readonly id: string;
    readonly pageStore: string | null;
    readonly format: number;
  } | null;
  /** What a group's key is told from others by, by the group's name. */
  readonly groups: ReadonlyMap<string, string>;
  /** Strings that widen the grammar of patterns. */
  readonly patterns: PatternsState;
}

export interface CreateLedger {
  readonly _tag: 'CreateLedger';
  /** Its identity, made by who creates it. */
  readonly ledger: string;
  /** Where its packs lie; null: with its log. */
  readonly pageStore: string | null;
}

/** Makes room for events of kinds that earlier releases do not know. */
export interface RaiseFormat {
  readonly _tag: 'RaiseFormat';
  /** The earliest format whose releases know them: those of its time go on with the ledger. */
  readonly format: number;
}

export interface CreateGroup {
  readonly _tag: 'CreateGroup';
  readonly group: string;
  readonly keyCheck: string;
}

export interface AddPattern {
  readonly _tag: 'AddPattern';
  readonly expression: string;
}

export type LedgerCommand = CreateLedger | RaiseFormat | CreateGroup | AddPattern;

export const initialLedger: LedgerFacts = {
  ledger: null,
  groups: new Map(),
  patterns: initialPatterns,
};

/** What a command brings about in a ledger: nothing where another has done it, or why not. */
export const decideLedger =
  (state: LedgerFacts) =>
  (command: LedgerCommand): Either<Refusal, readonly LedgerEvent[]> => {
    switch (command._tag) {
      case 'CreateLedger': {
        const { ledger, pageStore } = command;
        if (state.ledger !== null) return either.right([]);
        const data = { ledger, format: LEDGER_FORMAT, pageStore };
        return either.right([{ type: 'LedgerCreated', data }]);
      }
      case 'RaiseFormat': {
        const { format } = command;
        if (state.ledger === null || hasFormat(state, format)) return either.right([]);
        const { id: ledger, pageStore } = state.ledger;
        const data = { ledger, format, pageStore };
        return either.right([{ type: 'LedgerCreated', data }]);
      }
      case 'CreateGroup': {
        const { group, keyCheck } = command;
        if (!isGroupName(group)) return either.left({ _tag: 'BadGroupName', group });
        if (state.groups.has(group)) return either.right([]);
        return either.right([{ type: 'GroupCreated', data: { group, keyCheck } }]);
      }
      case 'AddPattern':
        return pipe(
          addedPatternOf(state.patterns, command.expression),
          either.map((data): readonly LedgerEvent[] => [{ type: 'PatternAdded', data }]),
        );
      default:
        return command satisfies never;
    }
  };

/** Whether a ledger's format is at least this one: releases of earlier ones stay away from it. */
export const hasFormat = ({ ledger }: Pick<LedgerFacts, 'ledger'>, format: number): boolean =>
  ledger !== null && ledger.format >= format;

/** Whether packs of a ledger have salted blocks: releases of the time of format 1 read none. */
export const areBlocksSalted = (facts: LedgerFacts): boolean => hasFormat(facts, SALTED_FORMAT);

/** Whether events of a ledger may have short columns: releases of earlier formats read none. */
export const areEventsShort = (facts: LedgerFacts): boolean => hasFormat(facts, SHORT_FORMAT);

/** Whether releases of a ledger may name slots where they lie: programs of earlier formats look for none there. */
export const areReleasesLying = (facts: LedgerFacts): boolean => hasFormat(facts, LYING_FORMAT);

/** How recorders compress pages: releases of the time of format 1 read no packed ones. */
export const recordedCompression = (facts: LedgerFacts): Compression =>
  areBlocksSalted(facts) ? { codec: CODEC_PACKED } : { codec: CODEC_ZSTD, level: RECORDED_LEVEL };

/** A ledger after an event: the first that makes it, or a group, counts; a later one raises its format. */
export function evolveLedger(state: LedgerFacts, event: LedgerEvent): LedgerFacts {
  switch (event.type) {
    case 'LedgerCreated': {
      const { ledger: id, pageStore, format } = event.data;
      const { ledger } = state;
      if (ledger === null) return { ...state, ledger: { id, pageStore, format } };
      const isRaised = ledger.id === id && format > ledger.format;
      return isRaised ? { ...state, ledger: { ...ledger, format } } : state;
    }
    case 'GroupCreated': {
      const { group, keyCheck } = event.data;
      return state.groups.has(group)
        ? state
        : { ...state, groups: new Map(state.groups).set(group, keyCheck) };
    }
    case 'PatternAdded':
      return { ...state, patterns: withPattern(state.patterns, event.data) };
    default:
      return event satisfies never;
  }
}

// Verifying, joined: the log and its packs where they lie, against nothing that was derived.

import * as either from 'fp-ts/lib/Either.js';
import { damagesIn, verifyLedger, type Verified } from '../../../projections/questions/verify.ts';
import {
  MemoryIdentifierColumn,
  type IdentifierColumn,
} from '../../../projections/models/identifier-index.ts';
import { LedgerState, type Replay } from '../../../projections/models/ledger-state.ts';
import { replayCommits } from '../../../projections/observable.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import type { StateFiles } from '../../../domain/ports/derived-files.ts';
import { layoutFindings } from '../points/checkpoint-layout.ts';
import { sha256 } from '../ledger/digest.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { keepSuspects } from './losses.ts';
import { PassedOverNotes } from '../ledger/passed-over.ts';

const NO_FILES: StateFiles = {
  load: () => Promise.resolve(null),
  open: () => Promise.resolve(null),
  save: () => Promise.resolve(),
  list: () => Promise.resolve([]),
  drop: () => Promise.resolve(),
};

/** The log folded from its start, without anything derived that could hide what the log has lost. */
async function foldedAnew(
  { log }: Ledger,
  column: IdentifierColumn,
  onPassedOver: PassedOverNotes['add'],
): Promise<LedgerState> {
  const replay: Replay = (from, consume) => replayCommits(log, from, consume, { onPassedOver });
  const state = new LedgerState({ log, replay, files: NO_FILES, identifiers: () => column });
  await state.catchUp({ heavy: false });
  return state;
}

/** Reads everything back, where it lies, and checks it. */
export async function verify(
  ledger: Ledger,
  onProgress: (progress: { readonly done: number; readonly total: number }) => void,
): Promise<Verified> {
  const { replay, log, store } = ledger;
  const engine = await ledger.engine();
  const column = new MemoryIdentifierColumn();
  const passedOver = new PassedOverNotes();
  const state = await foldedAnew(ledger, column, passedOver.add);
  const { findings, summary, damagedPacks } = await verifyLedger(
    {
      state,
      replay,
      log,
      store: store.origin ?? store,
      engine,
      sha256,
      checkLog: () => log.check(),
      useKey: (group) => ledger.useKeyAtHand(group),
      identifierOf: (content) => column.read(content),
    },
    onProgress,
  );
  await keepSuspects(ledger, damagedPacks);
  const lost = state.catalogue.facts.ledger === null ? await lostLogFindings(ledger) : [];
  const tooOld = await tooOldFindings(ledger);
  const all = [
    ...ledger.findings,
    ...lost,
    ...tooOld,
    ...(await keyFindings(ledger)),
    ...findings,
    ...(await layoutFindings(ledger, state)),
    ...passedOver.findings(),
  ];
  return { findings: all, summary: { ...summary, damaged: damagesIn(all) }, damagedPacks };
}

/** What says that the log is older than the last compaction. */
async function tooOldFindings(ledger: Ledger): Promise<Finding[]> {
  const failure = await ledger.marks.failure();
  if (failure === null) return [];
  return [{ kind: 'log', where: 'the log', reason: failure.message, affects: [] }];
}

/** Packs without the event that made their ledger. */
async function lostLogFindings({ store }: Ledger): Promise<Finding[]> {
  for await (const { name } of store.list())
    return [
      {
        kind: 'log',
        where: 'the log',
        reason: `it has no event that made the ledger, and the page store has packs (${name}): the log was lost, or its beginning; put it back from a copy`,
        affects: [],
      },
    ];
  return [];
}

/** Keys that are there and damaged, or not the ones that the ledger's groups were made with. */
async function keyFindings(ledger: Ledger): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [group, keyCheck] of ledger.state.catalogue.facts.groups) {
    const key = await ledger.keys.load({ group, keyCheck })();
    if (either.isRight(key)) findings.push(...key.right.findings);
    else if (key.left.code === 'KEY_DAMAGED')
      findings.push({
        kind: 'key',
        where: `group ${group}`,
        reason: key.left.message,
        affects: [],
      });
  }
  return findings;
}

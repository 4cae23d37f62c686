// What this host keeps of a ledger's projections, so that the next opening reads little: the state
// files, the identifier column, and the heads of the log's streams where the log keeps none itself.

import { join } from 'node:path';
import * as either from 'fp-ts/lib/Either.js';
import type { StateFiles } from '../../../domain/ports/derived-files.ts';
import { run } from '../../../domain/ports/run.ts';
import type { IdentifierColumn } from '../../../projections/models/identifier-index.ts';
import type { LedgerState } from '../../../projections/models/ledger-state.ts';
import { identifierFile } from '../../stores/derived/identifier-file.ts';
import type { LedgerLog, LocalPlace } from './ledger-parts.ts';

const IDENTIFIERS_FILE = 'identifiers';
const HEADS_FILE = 'log-heads';

/** The column of identifiers that this host keeps. */
export const identifiersOf = ({ files, projections }: LocalPlace): IdentifierColumn =>
  identifierFile({ files, path: join(projections, IDENTIFIERS_FILE) });

interface Kept {
  readonly log: LedgerLog;
  readonly state: LedgerState;
  readonly stateFiles: StateFiles;
}

/** Starts from what is kept, where it is there and fits. */
export async function loadDerived(
  { log, state, stateFiles }: Kept,
  request: { readonly isWithoutContents: boolean },
): Promise<void> {
  const heads = log.heads === undefined ? null : await stateFiles.load(HEADS_FILE);
  if (heads !== null) await run(log.heads!.offer(heads));
  await state.load(request);
}

/** Keeps what was derived. */
export async function saveDerived({ log, state, stateFiles }: Kept): Promise<void> {
  if (!(await state.save()) || log.heads === undefined) return;
  const heads = await log.heads.at(state.next)();
  if (either.isRight(heads)) await stateFiles.save(HEADS_FILE, heads.right);
}

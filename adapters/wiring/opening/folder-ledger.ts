// A ledger in a folder: its log, its packs, its keys and what is derived, all in one place.

import { join } from 'node:path';
import * as either from 'fp-ts/lib/Either.js';
import type { FilePort } from '../../files/file-port.ts';
import { nodeFiles } from '../../files/files.ts';
import {
  openEventLog,
  type EmbeddedEventLog,
} from '../../stores/event-log-embedded/event-log-embedded.ts';
import {
  createLedgerFolder,
  openLedgerFolder,
  type LedgerFolder,
} from '../../stores/ledger-folder/ledger-folder.ts';
import { openPagePacks } from '../../stores/page-store-folder/page-packs.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { NO_STREAM } from '../../../domain/ports/event-log.ts';
import { refuse, type Refused } from '../../../domain/values/refused.ts';
import { decideLedger } from '../../../domain/ledger.ts';
import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import { Ledger } from '../ledger/ledger.ts';
import type { LedgerMode, LedgerParts } from '../ledger/ledger-parts.ts';
import { run } from '../../../domain/ports/run.ts';
import type { OpenLedgerOptions } from './options.ts';

/** Bytes in a folder and those below it. */
async function bytesIn(files: FilePort, folder: string): Promise<number> {
  let bytes = 0;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop())
    for (const name of await files.list(next)) {
      const facts = await files.facts(join(next, name));
      if (facts?.isFolder === true) folders.push(join(next, name));
      else bytes += facts?.sizeBytes ?? 0;
    }
  return bytes;
}

/** The log: who only uses points goes on without writing where he may not. */
async function openLog({
  mode,
  ...where
}: {
  readonly mode: LedgerMode;
  readonly folder: string;
  readonly files: FilePort;
}): Promise<EmbeddedEventLog> {
  const opened = await openEventLog({ ...where, readOnly: mode === 'read' })();
  if (either.isRight(opened)) return opened.right;
  if (mode !== 'use') throw opened.left;
  return run(openEventLog({ ...where, readOnly: true }));
}

/** What a ledger in a folder is made of. */
export async function folderParts(
  options: OpenLedgerOptions,
  folder: LedgerFolder,
): Promise<LedgerParts> {
  const files = options.files ?? nodeFiles;
  const { paths, id, findings } = folder;
  const log = await openLog({ files, mode: options.mode, folder: paths.log });
  return {
    id,
    log,
    store: openPagePacks({ files, folder: paths.packs }),
    local: {
      files,
      keys: options.keys ?? paths.keys,
      projections: paths.projections,
      locks: paths.locks,
    },
    isShared: false,
    findings,
    logBytes: () => bytesIn(files, paths.log),
  };
}

/** The refusal of a place for the packs of a folder; the place itself may hold a secret. */
const ownPacksOnly = (): Refused =>
  refuse({
    _tag: 'BadUrl',
    url: '--page-store',
    why: 'a ledger in a folder keeps its packs in itself; leave --page-store out, or keep the log on a server (esdb://)',
  });

async function folderOf(options: OpenLedgerOptions): Promise<LedgerFolder> {
  const { mode, url: path, pageStore } = options;
  const files = options.files ?? nodeFiles;
  if (mode === 'init') {
    if (pageStore !== undefined) throw ownPacksOnly();
    return run(createLedgerFolder({ files, path }));
  }
  const isMade = mode === 'create';
  // What is refused leaves no folder behind.
  const ifAbsent = isMade && pageStore === undefined ? 'create' : 'fail';
  const opened = await openLedgerFolder({ files, path, ifAbsent })();
  if (either.isRight(opened)) return opened.right;
  const isRefused = isMade && ifAbsent === 'fail' && opened.left.code === 'NOT_FOUND';
  throw isRefused ? ownPacksOnly() : opened.left;
}

/** LOG_DAMAGED where there are packs and no event: a new history is not begun over a log that was lost. */
async function checkUnused(ledger: Ledger): Promise<void> {
  for await (const { name } of ledger.store.list()) {
    await ledger.close();
    throw new LedgerError(
      'LOG_DAMAGED',
      `the log has no event, and the page store has packs (${name}): the log was lost, and a new history is not begun over them; put the log back from a copy`,
      { pack: name },
    );
  }
}

/** Opens a ledger in a folder; makes it first where the mode says so. */
export async function openFolder(options: OpenLedgerOptions): Promise<Ledger> {
  const folder = await folderOf(options);
  const ledger = new Ledger(await folderParts(options, folder), options);
  await ledger.load();
  if (options.mode === 'read' || options.mode === 'use') return ledger;
  // Whoever made the folder may have ended before the first event.
  if ((await run(ledger.log.streamRevision(LEDGER_STREAM))) !== NO_STREAM) return ledger;
  const { id } = folder;
  if (id === null)
    throw new LedgerError(
      'NOT_A_LEDGER',
      `${folder.paths.folder} has no event and no readable format file; remove the folder, or name another`,
      { path: folder.paths.folder },
    );
  if (options.pageStore !== undefined) throw ownPacksOnly();
  await checkUnused(ledger);
  const command = {
    _tag: 'CreateLedger',
    ledger: id,
    pageStore: null,
  } as const;
  await ledger.decide(LEDGER_STREAM, () => decideLedger(ledger.state.catalogue.facts)(command));
  return ledger;
}

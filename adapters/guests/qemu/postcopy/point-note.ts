// Which point a guest's memory is of, and how that is held, beside the socket of its QEMU: whoever goes
// on for a process that has ended must give it the pages of that point and no other.

import { readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isRight } from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { sentenceOf } from '../failure.ts';
import {
  GIVER_SOCKET,
  INCOMING_SOCKET,
  KEEPER_ASKED,
  KEEPER_SAID,
  MONITOR_SOCKET,
} from './sockets.ts';

const PointNote = t.strict({
  vm: t.string,
  capture: t.number,
  commit: t.string,
  lease: t.union([t.string, t.null]),
  process: t.union([t.number, t.null]),
});

/**
 * A point: `commit` is the id of the capture's commit, which no other ledger has. `lease` holds it for
 * `process`, which is QEMU's; null: the ledger could not be written.
 */
export type PointNote = t.TypeOf<typeof PointNote>;

const NAME = 'point.json';
const NOTE_BYTES_MAX = 4096;
const OWNERS_OWN = 0o600;

const noteBeside = (qmpPath: string): string => join(dirname(qmpPath), NAME);

/** Notes the point of a guest. */
export const writeNote = (qmpPath: string, note: PointNote): void =>
  writeFileSync(noteBeside(qmpPath), JSON.stringify(note), { mode: OWNERS_OWN });

/** The point of a guest. NOT_FOUND where none is noted. */
export function readNote(qmpPath: string): PointNote {
  const path = noteBeside(qmpPath);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw noNote(path, sentenceOf(thrown));
  }
  const decoded = text.length > NOTE_BYTES_MAX ? null : PointNote.decode(parsed(text));
  if (decoded !== null && isRight(decoded)) return decoded.right;
  throw noNote(path, 'it holds something else');
}

/** What may lie beside the note. */
const BESIDE = [INCOMING_SOCKET, MONITOR_SOCKET, KEEPER_ASKED, KEEPER_SAID, GIVER_SOCKET];

/** Removes the note, the sockets and pipes beside it, and their folder where nothing else is in it. */
export function removeNote(qmpPath: string): void {
  const folder = dirname(qmpPath);
  const beside = BESIDE.map((name) => join(folder, name));
  for (const path of [noteBeside(qmpPath), ...beside, qmpPath]) rmSync(path, { force: true });
  try {
    rmdirSync(folder);
  } catch {
    // Somebody has put something there.
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const noNote = (path: string, found: string): LedgerError =>
  new LedgerError(
    'NOT_FOUND',
    `${path}, which says of what point a guest that was resumed lazily is, cannot be read: ${found}; give the socket that \`resume\` named`,
    { path },
  );

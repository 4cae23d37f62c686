// The folder of an embedded ledger (docs/format.md, "Ledger folder"). What makes a folder a ledger
// is its `format` file, which is linked into place last and at once: before, there are only empty
// folders, which whoever creates next takes over; of several creators one writes `format`, and the
// others find it. A ledger that lost its `format` file opens all the same, with a finding.

import { randomUUID } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort } from '../../../domain/ports/run.ts';
import type { Finding } from '../../../domain/values/finding.ts';
import type { FilePort } from '../../files/file-port.ts';
import { failureOf, systemCodeOf } from '../../files/failures.ts';
import { FORMAT_BYTES_MAX, formatText, looksLikeFormat, readFormat } from './ledger-format.ts';
import { TEMPORARY_PREFIX, writeWhole } from '../../files/whole-file.ts';

/** Where things are in a ledger's folder. */
export interface LedgerPaths {
  readonly folder: string;
  readonly format: string;
  readonly log: string;
  readonly packs: string;
  readonly keys: string;
  readonly locks: string;
  readonly projections: string;
}

/** An open ledger folder. */
export interface LedgerFolder {
  readonly paths: LedgerPaths;
  /** The ledger's id; null where its `format` file is damaged or missing. */
  readonly id: string | null;
  /** Whether this call made the ledger. */
  readonly isNew: boolean;
  /** What is wrong with the folder itself, and stops nobody from reading. */
  readonly findings: readonly Finding[];
}

export interface LedgerFolderOptions {
  readonly files: FilePort;
  readonly path: string;
}

const ledgerPaths = (path: string): LedgerPaths => {
  const folder = resolve(path);
  return {
    folder,
    format: join(folder, 'format'),
    log: join(folder, 'log'),
    packs: join(folder, 'packs'),
    keys: join(folder, 'keys'),
    locks: join(folder, 'locks'),
    projections: join(folder, 'projections'),
  };
};

const FOLDERS = ['keys', 'locks', 'log', 'packs', 'projections'];

/** What is found at a path. */
type FolderState = 'absent' | 'empty' | 'ledger' | 'ledger without format';

const notALedger = (folder: string, found: string): LedgerError =>
  new LedgerError(
    'NOT_A_LEDGER',
    `${folder} ${found}; a ledger's folder was expected, or, to create one, an empty or absent ` +
      'folder. Nothing in it was touched: check the path that was given',
    { path: folder, found },
  );

/** The names in the folder; NOT_A_LEDGER where it is a file. */
async function namesIn(files: FilePort, folder: string): Promise<readonly string[] | null> {
  const found = await factsOf(files, folder);
  if (found === null) return null;
  if (!found.isFolder) throw notALedger(folder, 'is a file');
  return files.list(folder);
}

async function factsOf(files: FilePort, path: string) {
  try {
    return await files.facts(path);
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOTDIR') throw notALedger(path, 'lies below a file');
    throw thrown;
  }
}

async function isEmptyFolder(files: FilePort, path: string): Promise<boolean> {
  const found = await files.facts(path);
  return found !== null && found.isFolder && (await files.list(path)).length === 0;
}

/** Whether everything there is what a creation that was cut off leaves: our folders, empty. */
async function isUnfinished(
  files: FilePort,
  folder: string,
  names: readonly string[],
): Promise<boolean> {
  for (const name of names) {
    if (name.startsWith(TEMPORARY_PREFIX)) continue;
    if (!FOLDERS.includes(name)) return false;
    if (!(await isEmptyFolder(files, join(folder, name)))) return false;
  }
  return true;
}

async function lookAt(files: FilePort, paths: LedgerPaths): Promise<FolderState> {
  const names = await namesIn(files, paths.folder);
  if (names === null) return 'absent';
  const hasStores = names.includes('log') && names.includes('packs');
  if (names.includes('format') && hasStores) return 'ledger';
  if (names.includes('format')) throw await strayFormat(files, paths);
  if (await isUnfinished(files, paths.folder, names)) return 'empty';
  // Somebody may have created it since its names were read: nothing is put into a ledger's folders
  // before its format file is there.
  if ((await files.facts(paths.format)) !== null) return lookAt(files, paths);
  if (hasStores) return 'ledger without format';
  throw notALedger(paths.folder, `holds other things (${names.slice(0, 3).join(', ')})`);
}

/** The failure of a `format` file without log/ or packs/: of a ledger that lost them, or not ours. */
async function strayFormat(files: FilePort, paths: LedgerPaths): Promise<LedgerError> {
  const isOurs = looksLikeFormat(await textOf(files, paths.format));
  return notALedger(
    paths.folder,
    isOurs ? 'is what is left of a ledger: log or packs is missing' : "has a 'format' not of ours",
  );
}

async function textOf(files: FilePort, path: string): Promise<string> {
  const bytes = await files.load(path, FORMAT_BYTES_MAX);
  return new TextDecoder().decode(bytes ?? new Uint8Array(0));
}

/** The folder and those above it that are absent, and the one that is there, innermost first. */
async function foldersToSync(files: FilePort, folder: string): Promise<string[]> {
  const folders = [folder];
  while ((await factsOf(files, folders.at(-1)!)) === null) folders.push(dirname(folders.at(-1)!));
  return folders;
}

/** Makes what is missing, `format` last: true where this call wrote it. */
async function build(files: FilePort, paths: LedgerPaths): Promise<boolean> {
  const above = await foldersToSync(files, dirname(paths.folder));
  await files.makeFolder(paths.folder);
  for (const name of FOLDERS) await files.makeFolder(join(paths.folder, name));
  for (const folder of [paths.folder, ...above]) await files.syncFolder(folder);
  return writeWhole({
    files,
    path: paths.format,
    parts: [new TextEncoder().encode(formatText(randomUUID()))],
    as: 'durable',
    existing: 'keep',
  });
}

const finding = (paths: LedgerPaths, reason: string): Finding => ({
  kind: 'format',
  where: paths.format,
  reason: `${reason}; everything else in the ledger is read all the same; put it back from a copy`,
  affects: [],
});

async function openExisting(
  files: FilePort,
  paths: LedgerPaths,
  isNew: boolean,
): Promise<LedgerFolder> {
  const text = await textOf(files, paths.format);
  const reading = readFormat(text, paths.folder);
  if (reading._tag === 'whole') return { paths, id: reading.id, isNew, findings: [] };
  return { paths, id: null, isNew, findings: [finding(paths, reading.reason)] };
}

async function create({ files, path }: LedgerFolderOptions): Promise<LedgerFolder> {
  const paths = ledgerPaths(path);
  const place = await lookAt(files, paths);
  if (place === 'absent' || place === 'empty')
    return openExisting(files, paths, await build(files, paths));
  throw new LedgerError(
    'LEDGER_EXISTS',
    `there is a ledger at ${paths.folder} already, and a new one was to be created there; open ` +
      'it, or choose another place',
    { path: paths.folder },
  );
}

async function open(
  options: LedgerFolderOptions & { readonly ifAbsent: 'create' | 'fail' },
): Promise<LedgerFolder> {
  const { files } = options;
  const paths = ledgerPaths(options.path);
  const place = await lookAt(files, paths);
  if (place === 'ledger') return openExisting(files, paths, false);
  if (place === 'ledger without format')
    return { paths, id: null, isNew: false, findings: [finding(paths, 'it is missing')] };
  if (options.ifAbsent === 'create') return openExisting(files, paths, await build(files, paths));
  throw new LedgerError(
    'NOT_FOUND',
    `there is no ledger at ${paths.folder} (${place}); \`pageledger init\` makes one; to use ` +
      'another, say --ledger or set $PAGELEDGER',
    { path: paths.folder, found: place },
  );
}

/**
 * Makes a ledger's folder, complete or not at all. LEDGER_EXISTS where one is; where another process
 * creates one at the same moment, both get that one, and `isNew` says whose it is.
 */
export const createLedgerFolder = (
  options: LedgerFolderOptions,
): TaskEither<LedgerError, LedgerFolder> =>
  atPort(
    () => create(options),
    (thrown) => failureOf(thrown, { operation: 'create a ledger in', path: options.path }),
  );

/** Opens a ledger's folder and writes nothing, unless it is absent or empty and to be created. */
export const openLedgerFolder = (
  options: LedgerFolderOptions & { readonly ifAbsent: 'create' | 'fail' },
): TaskEither<LedgerError, LedgerFolder> =>
  atPort(
    () => open(options),
    (thrown) => failureOf(thrown, { operation: 'open the ledger', path: options.path }),
  );

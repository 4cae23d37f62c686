// A served export as a file, by nbdfuse of libnbd: started, waited for and unmounted.

import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { LedgerError } from '../../../domain/values/ledger-error.ts';

/** The file that a mounted folder has. */
export const MOUNTED_NAME = 'memory';
const LOOK_AGAIN_MS = 20;
/** Longest end of what nbdfuse said that a message has. */
const SAID_CHARACTERS_MAX = 1000;

const run = promisify(execFile);

const isMounted = (folder: string): boolean =>
  statSync(folder).dev !== statSync(dirname(folder)).dev;

/** Refuses a folder in which something is, or that is none. */
export function checkFolder(folder: string): void {
  let entries: string[];
  try {
    entries = readdirSync(folder);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new LedgerError(
      'TARGET_UNWRITABLE',
      `nothing can be mounted at ${folder}: ${why}; an empty folder was expected`,
      { folder },
      thrown,
    );
  }
  if (entries.length > 0)
    throw new LedgerError(
      'TARGET_EXISTS',
      `${folder} is not empty: it has ${entries[0]}, which would be hidden; give an empty folder`,
      { folder },
    );
}

/** A file that nbdfuse keeps mounted until it ends. */
export interface Mounted {
  readonly process: ChildProcess;
  readonly file: string;
  /** Resolves when nbdfuse has ended, as it does when it is unmounted. */
  readonly ended: Promise<unknown>;
}

/** Mounts an export at a folder. MISSING_TOOL, MOUNT_FAILED. */
export async function mountExport(folder: string, uri: string): Promise<Mounted> {
  const file = join(folder, MOUNTED_NAME);
  // A group of its own: what a terminal sends to ours is ours to answer.
  const process = spawn('nbdfuse', [file, uri], {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  let said = '';
  process.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-SAID_CHARACTERS_MAX);
  });
  /** Null: it ended by itself. */
  const ended = new Promise<Error | null>((resolve) => {
    process.once('error', resolve);
    process.once('close', () => resolve(null));
  });
  const { dev } = statSync(folder);
  for (;;) {
    const end = await Promise.race([pause(LOOK_AGAIN_MS, 'runs' as const), ended]);
    if (end === 'runs' && statSync(folder).dev === dev) continue;
    if (end === 'runs') return { process, file, ended };
    if (end === null) break;
    throw new LedgerError(
      'MISSING_TOOL',
      'nbdfuse cannot be run: install it (Debian: apt-get install nbdfuse)',
      { tool: 'nbdfuse', package: 'nbdfuse' },
      end,
    );
  }
  throw new LedgerError('MOUNT_FAILED', `nbdfuse could not mount ${folder}: ${said.trim()}`, {
    folder,
  });
}

/** Unmounts a folder, if anything is mounted there. MOUNT_BUSY, MOUNT_FAILED. `away`: also while it is used. */
export async function unmountFolder(folder: string, how: 'when free' | 'away'): Promise<void> {
  const isThere = (): boolean => {
    try {
      return isMounted(folder);
    } catch {
      // Nobody answers there: what was mounted is there still, or the folder is gone.
      return true;
    }
  };
  if (!isThere()) return;
  try {
    await run('fusermount3', [how === 'away' ? '-uz' : '-u', folder]);
  } catch (thrown) {
    const why =
      thrown instanceof Error && 'stderr' in thrown ? String(thrown.stderr).trim() : String(thrown);
    if (/busy/iu.test(why))
      throw new LedgerError(
        'MOUNT_BUSY',
        `${folder} is in use (${why}): it stays mounted; end what has ${MOUNTED_NAME} open, and unmount it again`,
        { folder },
        thrown,
      );
    if (how === 'away' && /not found in|not mounted/iu.test(why)) return;
    throw new LedgerError(
      'MOUNT_FAILED',
      `${folder} cannot be unmounted: ${why}`,
      { folder },
      thrown,
    );
  }
}

// A point mounted by a process of its own, which `mount` and `clone` start.

import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { resolve as absolute } from 'node:path';
import type { Command } from 'commander';
import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { assert } from '../../../domain/values/assert.ts';
import {
  LEDGER_ERRORS,
  LedgerError,
  type LedgerErrorCode,
} from '../../../domain/values/ledger-error.ts';
import { beginMount, forgetMount, mountAt } from '../nbd/mounts.ts';
import type { FarOptions } from './far-server.ts';
import { leavingNothing } from './interruption.ts';
import { ledgerUrl } from './session.ts';

/** What is said of a file that is there. */
const MountedRow = t.type({
  vm: t.string,
  capture: t.number,
  folder: t.string,
  file: t.string,
  bytes: t.number,
  pid: t.number,
});
export type MountedRow = t.TypeOf<typeof MountedRow>;

const Said = t.type({ error: t.type({ code: t.string, message: t.string }) });

const isCode = (code: string): code is LedgerErrorCode => code in LEDGER_ERRORS;

/** What a process in the background said last, as the failure that it was. */
function failureIn(log: string, place: string): LedgerError {
  const last = log.trimEnd().split('\n').at(-1) ?? '';
  try {
    const said = Said.decode(JSON.parse(last));
    if (either.isRight(said)) {
      const { code, message } = said.right.error;
      return new LedgerError(isCode(code) ? code : 'MOUNT_FAILED', message, { folder: place });
    }
  } catch {
    // It was no object.
  }
  return new LedgerError('MOUNT_FAILED', `${place} could not be mounted: ${last}`, {
    folder: place,
  });
}

/** A point, and the part of it that is mounted; of neither: all RAM. */
export interface MountedPart {
  readonly vm: string;
  readonly capture: number;
  readonly block?: string;
  readonly layout?: string;
  /** What becomes of pages that a dump left out; absent: a point that has some is refused. */
  readonly unknown?: 'zero';
}

/** A part of a point, in the words of `mount`. */
export const wordsOfPart = ({
  vm,
  capture,
  block,
  layout,
  unknown,
}: MountedPart): readonly string[] => [
  '--vm',
  vm,
  '--at',
  `@${capture}`,
  ...(block === undefined ? [] : ['--block', block]),
  ...(layout === undefined ? [] : ['--layout', layout]),
  ...(unknown === undefined ? [] : ['--unknown', unknown]),
];

/** What a memory server serves, in the words of `mount`. */
export const wordsOfFar = ({ from, key }: FarOptions): readonly string[] => [
  ...(from === undefined ? [] : ['--from', from]),
  ...(key === undefined ? [] : ['--key', absolute(key)]),
];

/** Runs `mount` in the background, with words that say of what, and waits until the file is there. */
export async function startMount(
  command: Command,
  place: string,
  what: readonly string[],
): Promise<MountedRow> {
  const { patience } = command.optsWithGlobals<{ patience?: string }>();
  const words = [
    '--json',
    '--ledger',
    ledgerUrl(command),
    ...(patience === undefined ? [] : ['--patience', patience]),
    'mount',
    '--foreground',
    ...what,
    '--',
    place,
  ];
  const log = beginMount(place);
  const fd = openSync(log, 'w', 0o600);
  const child = spawn(process.execPath, [process.argv[1]!, ...words], {
    stdio: ['ignore', 'pipe', fd],
    detached: true,
  });
  closeSync(fd);
  const { stdout } = child;
  assert(stdout !== null, 'what it says comes through a pipe');
  // It unmounts by itself what it has mounted by then.
  const takeAway = (): void => {
    child.kill('SIGTERM');
    if (mountAt(place) === null) forgetMount(place);
  };
  const first = await leavingNothing(
    takeAway,
    () =>
      new Promise<string | null>((resolve, reject) => {
        let text = '';
        child.once('error', reject);
        child.once('close', () => resolve(null));
        stdout.setEncoding('utf8').on('data', (more: string) => {
          text += more;
          if (text.endsWith('\n')) resolve(text);
        });
      }),
  );
  if (first === null) {
    const failure = failureIn(readFileSync(log, 'utf8'), place);
    forgetMount(place);
    throw failure;
  }
  stdout.destroy();
  child.unref();
  const row = MountedRow.decode(JSON.parse(first));
  assert(either.isRight(row), 'what is mounted is told as a row');
  return row.right;
}

// One recorder of a VM on one host (brief, section 4: a second recorder of the same VM is refused).
// On Linux the lock is a socket with an abstract name: the kernel frees it when its process dies,
// however it dies. Whoever holds it answers with its process id. The log arbitrates in any case, by
// the expected revision; this only says so at once, and before any work was done. Other systems
// have no such names, so there the log alone arbitrates, as it does between hosts and containers.

import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { atPort } from '../../../domain/ports/run.ts';
import { failureOf } from '../../files/failures.ts';

export interface RecorderLock {
  /** Lets another recorder record the VM. May be called again. */
  release(): Promise<void>;
}

export interface LockRequest {
  /** What tells the ledger from any other on this host: its id, or the real path of its folder. */
  readonly ledger: string;
  readonly vm: string;
}

/** How long the holder has to say its process id. It may be stopped, or no recorder at all. */
const ANSWER_MS_MAX = 500;
const ANSWER_CHARACTERS_MAX = 16;
/** Tries, where the holder goes away between our listening and our asking. */
const TRIES_MAX = 5;

const NAME_DIGITS = 32;
/** Every socket with a name, of this network namespace, as abstract names are. */
const SOCKETS = '/proc/net/unix';

const ABSTRACT = process.platform === 'linux';

/** Hashes, because a socket's name has at most 107 bytes. */
const digitsOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, NAME_DIGITS);

/** How the names of all who write packs into a ledger begin. */
const writersOf = (ledger: string): string => `pageledger-${digitsOf(ledger)}-`;

const socketName = ({ ledger, vm }: LockRequest): string => `\0${writersOf(ledger)}${digitsOf(vm)}`;

/** A listening server, or null: somebody else listens. */
function listen(name: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      // A holder is not kept alive, nor ended, by those who ask.
      socket.unref();
      socket.on('error', () => socket.destroy());
      socket.end(`${process.pid}\n`);
      // Not left to the other side to end: a client that stays would hold up our release.
      socket.destroySoon();
    });
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen(name, () => {
      server.unref();
      resolve(server);
    });
  });
}

type Holder =
  { readonly _tag: 'gone' } | { readonly _tag: 'there'; readonly processId: number | null };

/** Asks whoever listens for its process id. */
function askHolder(name: string): Promise<Holder> {
  return new Promise((resolve) => {
    const socket: Socket = createConnection(name);
    let answer = '';
    const finish = (holder: Holder): void => {
      socket.destroy();
      resolve(holder);
    };
    const there = (): void => {
      const digits = /^([1-9][0-9]{0,9})\n/u.exec(answer)?.[1];
      finish({ _tag: 'there', processId: digits === undefined ? null : Number(digits) });
    };
    socket.setTimeout(ANSWER_MS_MAX, there);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      answer += text;
      if (answer.includes('\n') || answer.length > ANSWER_CHARACTERS_MAX) there();
    });
    socket.on('end', there);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') finish({ _tag: 'gone' });
      else there();
    });
  });
}

function busy(vm: string, processId: number | null): LedgerError {
  const who = processId === null ? 'another process' : `process ${processId}`;
  return new LedgerError(
    'VM_BUSY',
    `${who} is recording VM '${vm}' into this ledger; a VM has one recorder at a time. ` +
      'Stop that one first, or record under another name.',
    { vm, processId },
  );
}

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
  });

function compacting(processId: number | null): LedgerError {
  const who = processId === null ? 'another process' : `process ${processId}`;
  return new LedgerError(
    'COMPACTION_BUSY',
    `${who} compacts this ledger, and only one does at a time; wait until it has ended`,
    { processId },
  );
}

async function lock(
  name: string,
  failure: (processId: number | null) => LedgerError,
): Promise<RecorderLock> {
  if (!ABSTRACT) return { release: () => Promise.resolve() };
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const server = await listen(name);
    if (server !== null) return { release: () => closeServer(server) };
    const holder = await askHolder(name);
    if (holder._tag === 'there') throw failure(holder.processId);
  }
  throw failure(null);
}

/** Says that a process writes packs into a ledger, beside any others, until it is released. */
export const announceWriter = ({
  ledger,
}: Pick<LockRequest, 'ledger'>): TaskEither<LedgerError, RecorderLock> =>
  // No VM's name has a space.
  lockRecorder({ ledger, vm: ` ${randomUUID()}` });

/** Whether anybody may be writing packs into a ledger on this host: so also where that cannot be told. */
export async function isWritten({ ledger }: Pick<LockRequest, 'ledger'>): Promise<boolean> {
  if (!ABSTRACT) return true;
  const sockets = await readFile(SOCKETS, 'latin1').catch(() => null);
  return sockets === null || sockets.includes(`@${writersOf(ledger)}`);
}

/** Takes the lock of who compacts a ledger, or COMPACTION_BUSY at once. */
export const lockCompactor = ({
  ledger,
}: Pick<LockRequest, 'ledger'>): TaskEither<LedgerError, RecorderLock> =>
  atPort(
    () => lock(`\0pageledger-compact-${digitsOf(ledger)}`, compacting),
    (thrown) => failureOf(thrown, { operation: 'lock the compaction of', path: 'the ledger' }),
  );

/** Takes the lock of a VM, or VM_BUSY at once. It never keeps the process alive. */
export const lockRecorder = (request: LockRequest): TaskEither<LedgerError, RecorderLock> =>
  atPort(
    () => lock(socketName(request), (processId) => busy(request.vm, processId)),
    (thrown) => failureOf(thrown, { operation: 'lock the recording of', path: request.vm }),
  );

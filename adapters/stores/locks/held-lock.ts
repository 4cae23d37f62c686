// Locks on files of a folder of locks (docs/format.md, "Locks"): in the ledger's own folder, or, of a
// ledger that lies elsewhere, in what this host keeps of it. So they are seen from every container
// that has the folder, and nobody holds or reads them who may not write there. Correctness never
// hangs on them: the log arbitrates, and the grace protects packs. They tell at once, and save work.

import { join } from 'node:path';
import type { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { FilePort, LockRequest } from '../../files/file-port.ts';

/** The folder of a ledger's locks. */
export interface LockPlace {
  readonly files: FilePort;
  readonly folder: string;
}

export interface HeldLock {
  /** Lets others have it. May be called again. */
  release(): Promise<void>;
  /** Why there is no lock here, and nothing is held; null where it is held. */
  readonly unavailable: string | null;
}

/** Far more than the number of a process has. */
const HOLDER_BYTES_MAX = 16;

/** The process that wrote its number into the file of a lock that it holds; null: it is not told. */
async function holderOf(files: FilePort, path: string): Promise<number | null> {
  const bytes = await files.load(path, HOLDER_BYTES_MAX).catch(() => null);
  const digits = /^([1-9][0-9]{0,9})\n/u.exec(new TextDecoder().decode(bytes ?? undefined))?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Says who holds the lock: a courtesy, which a full disk may refuse. */
async function signIn(files: FilePort, path: string): Promise<void> {
  try {
    const file = await files.open(path, 'edit');
    try {
      await file.truncate(0);
      await file.write(new TextEncoder().encode(`${process.pid}\n`), 0);
    } finally {
      await file.close();
    }
  } catch {
    // The lock is held without it.
  }
}

const once = (release: () => Promise<void>): (() => Promise<void>) => {
  let released: Promise<void> | null = null;
  return () => (released ??= release());
};

/** Takes a lock; throws what `busy` says of whoever holds it. */
export async function holdLock(
  { files, folder }: LockPlace,
  request: LockRequest & { readonly name: string },
  busy: (processId: number | null) => LedgerError,
): Promise<HeldLock> {
  const path = join(folder, request.name);
  // What keeps the folder from being made is met again, and told, by the lock.
  await files.makeFolder(folder).catch(() => undefined);
  const locked = await files.lock(path, request);
  if (locked._tag === 'busy') throw busy(await holderOf(files, path));
  if (locked._tag === 'unavailable')
    return { release: () => Promise.resolve(), unavailable: locked.reason };
  if (request.kind === 'exclusive') await signIn(files, path);
  return { release: once(() => locked.release()), unavailable: null };
}

/** Hands locks on, and says, once, where one cannot be had. */
export function tellOnce(onNotice: (sentence: string) => void): (lock: HeldLock) => HeldLock {
  let hasTold = false;
  return (lock) => {
    if (lock.unavailable === null || hasTold) return lock;
    hasTold = true;
    onNotice(
      `nothing tells other processes of this host that this one works on the ledger: ${lock.unavailable}; ` +
        'two at once do no harm, the later one may have to begin again',
    );
    return lock;
  };
}

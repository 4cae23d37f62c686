// How the link is reached: a Unix socket of its owner's, or TCP that is told by nobody but who has the
// workgroup's key. Both sides prove that they have it (a pre-shared key, with a secret that is made for the
// connection), and nothing is read before.

import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { connectTo } from '../sockets/connect-to.ts';
import type { ListenAddress } from '../sockets/listen-address.ts';
import { secureAsClient, secureAsServer } from '../sockets/shared-key.ts';
import { Link, LINK_TIMES, type LinkTimes } from './frames.ts';

const IDENTITY = 'pageledger workgroup';
/** A key of fewer bytes can be guessed. */
const KEY_BYTES_MIN = 16;
const KEY_BYTES_MAX = 4096;
const OTHERS = 0o077;
/** How long a host may take to answer at all. */
const ANSWER_MS = 10_000;

/** The workgroup's key. Secret. */
export type LinkKey = Buffer;

/** The key that a file holds: any bytes, of its owner's alone. SOURCE_UNREADABLE, KEY_DAMAGED. */
export function readLinkKey(path: string): LinkKey {
  let file: { readonly mode: number; readonly size: number; readonly bytes: Buffer };
  try {
    const { mode, size } = statSync(path);
    // What is too long is not read: it may be anything.
    file = { mode, size, bytes: size > KEY_BYTES_MAX ? Buffer.alloc(0) : readFileSync(path) };
  } catch (thrown) {
    throw new LedgerError(
      'SOURCE_UNREADABLE',
      `${path} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}; the file with the workgroup's key was expected, as \`openssl rand -hex 32\` makes one`,
      { path },
      thrown,
    );
  }
  const { mode, size, bytes } = file;
  const isOthers = (mode & OTHERS) !== 0;
  if (isOthers || size < KEY_BYTES_MIN || size > KEY_BYTES_MAX)
    throw new LedgerError(
      'KEY_DAMAGED',
      isOthers
        ? `${path} can be read by others: a workgroup's key is its owner's alone (chmod 600)`
        : `${path} has ${size} bytes: a workgroup's key has ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX}, as \`openssl rand -hex 32\` gives`,
      { path },
    );
  return createHash('sha256').update(IDENTITY).update(bytes).digest();
}

/** What a server makes of a client's socket: TCP has to prove the key first, and soon. PEER_REFUSED. */
export const acceptLink = async (
  socket: Socket,
  key: LinkKey | null,
  times: LinkTimes = LINK_TIMES,
): Promise<Link> =>
  timed(key === null ? socket : await secureAsServer(socket, { identity: IDENTITY, key }), times);

const placeOf = (at: ListenAddress): string =>
  at.kind === 'unix' ? at.path : `${at.host}:${at.port}`;

/** Connects to a host. LINK_LOST where nobody answers, in time, or has another key. */
export async function openLink(
  address: ListenAddress,
  key: LinkKey | null,
  times: LinkTimes = LINK_TIMES,
): Promise<Link> {
  const where = placeOf(address);
  if (address.kind === 'tcp' && key === null)
    throw new LedgerError(
      'KEY_MISSING',
      `the host at ${where} takes nobody without the workgroup's key: say --key FILE`,
      { address: where },
    );
  try {
    const socket = await connectTo(address, ANSWER_MS);
    const isPlain = address.kind === 'unix' || key === null;
    const safe = isPlain ? socket : await secureAsClient(socket, { identity: IDENTITY, key });
    return timed(safe, times);
  } catch (thrown) {
    throw new LedgerError(
      'LINK_LOST',
      `no host answers at ${where}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      { address: where },
      thrown,
    );
  }
}

function timed(socket: Socket, times: LinkTimes): Link {
  // What breaks is met where it is read and written.
  socket.on('error', () => undefined);
  socket.setTimeout(times.silenceMs, () => socket.destroy());
  return new Link(socket, times);
}

// How the link is reached: a Unix socket of its owner's, or TCP that is told by nobody but who has the
// workgroup's key. Both sides prove that they have it (a pre-shared key, with a secret that is made for the
// connection), and nothing is read before.

import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ListenAddress } from '../sockets/listen-address.ts';
import { Link, SILENCE_MS_MAX } from './frames.ts';

const IDENTITY = 'pageledger workgroup';
/** A key of fewer bytes can be guessed. */
const KEY_BYTES_MIN = 16;
const KEY_BYTES_MAX = 4096;
const OTHERS = 0o077;
/** Suites whose only secret is the key, and that keep what was said secret when it is lost. */
const SUITES = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const;

/** The workgroup's key. Secret. */
export type LinkKey = Buffer;

/** The key that a file holds: any bytes, of its owner's alone. KEY_DAMAGED. */
export function readLinkKey(path: string): LinkKey {
  const { mode, size } = statSync(path);
  const isOthers = (mode & OTHERS) !== 0;
  if (isOthers || size < KEY_BYTES_MIN || size > KEY_BYTES_MAX)
    throw new LedgerError(
      'KEY_DAMAGED',
      isOthers
        ? `${path} can be read by others: a workgroup's key is its owner's alone (chmod 600)`
        : `${path} has ${size} bytes: a workgroup's key has ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX}, as \`openssl rand -hex 32\` gives`,
      { path },
    );
  return createHash('sha256').update(IDENTITY).update(readFileSync(path)).digest();
}

/** What a server makes of a client's socket: TCP has to prove the key first. */
export function acceptLink(socket: Socket, key: LinkKey | null): Link {
  socket.setTimeout(SILENCE_MS_MAX, () => socket.destroy());
  if (key === null) return new Link(socket);
  const secure = new TLSSocket(socket, {
    isServer: true,
    ...SUITES,
    pskCallback: (_socket: TLSSocket, identity: string) => (identity === IDENTITY ? key : null),
  } as ConstructorParameters<typeof TLSSocket>[1]);
  return new Link(secure);
}

const unreachable = (where: string, thrown: unknown): LedgerError =>
  new LedgerError(
    'LINK_LOST',
    `no host answers at ${where}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    { address: where },
    thrown,
  );

/** Connects to a host. LINK_LOST where nobody answers, or has another key. */
export async function openLink(address: ListenAddress, key: LinkKey | null): Promise<Link> {
  const where = address.kind === 'unix' ? address.path : `${address.host}:${address.port}`;
  if (address.kind === 'unix') {
    const socket = connect(address.path);
    await settled(socket, 'connect', where);
    return timed(socket);
  }
  if (key === null)
    throw new LedgerError(
      'KEY_MISSING',
      `the host at ${where} takes nobody without the workgroup's key: say --key FILE`,
      { address: where },
    );
  const { host, port } = address;
  const socket = connectTls({
    host,
    port,
    ...SUITES,
    checkServerIdentity: () => undefined,
    pskCallback: () => ({ psk: key, identity: IDENTITY }),
  });
  await settled(socket, 'secureConnect', where);
  return timed(socket);
}

function timed(socket: Socket): Link {
  socket.setTimeout(SILENCE_MS_MAX, () => socket.destroy());
  return new Link(socket);
}

const settled = (socket: Socket, event: string, where: string): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.once('error', (thrown) => reject(unreachable(where, thrown)));
    socket.once(event, () => {
      // From here on it is met where it is read and written.
      socket.on('error', () => undefined);
      resolve();
    });
  });

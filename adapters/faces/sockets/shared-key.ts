// TLS between two who have one key, and know each other by that alone (pre-shared keys, RFC 4279, with an
// exchange of fresh ones, RFC 5489): no certificates. What one of them sends, nobody else reads or alters.

import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { LedgerError } from '../../../domain/values/ledger-error.ts';

/** A key, and the name that a client says so that the server knows which is meant. */
export interface SharedKey {
  readonly identity: string;
  readonly key: Uint8Array;
}

/** Suites with a fresh exchange alone, so that a key that is stolen later opens nothing of before. */
const OPTIONS = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305:DHE-PSK-AES256-GCM-SHA384',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const;
const HANDSHAKE_MS = 10_000;

function secured(socket: TLSSocket, event: 'secure' | 'secureConnect'): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new LedgerError('PEER_REFUSED', `no common key with the other side: ${why}`, {}));
    };
    const timer = setTimeout(() => fail('it did not answer in time'), HANDSHAKE_MS);
    socket.once('error', (error) => fail(error.message));
    socket.once('close', () => fail('it broke off'));
    socket.once(event, () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** The server's side, on a connection of which nothing is read any more. PEER_REFUSED. */
export function secureAsServer(socket: Socket, { identity, key }: SharedKey): Promise<TLSSocket> {
  const made = new TLSSocket(socket, {
    isServer: true,
    secureContext: createSecureContext(OPTIONS),
    pskCallback: (_socket: unknown, asked: string) => (asked === identity ? key : null),
  } as ConstructorParameters<typeof TLSSocket>[1]);
  return secured(made, 'secure');
}

/** The client's side. PEER_REFUSED. */
export function secureAsClient(socket: Duplex, { identity, key }: SharedKey): Promise<TLSSocket> {
  const made = connect({
    ...OPTIONS,
    socket,
    pskCallback: () => ({ psk: key, identity }),
    // There is no certificate: who has the key is the one who was meant.
    checkServerIdentity: () => undefined,
  });
  return secured(made, 'secureConnect');
}

// A server of NBD clients.

import type { ListenAddress } from '../sockets/listen-address.ts';
import { SocketServer } from '../sockets/socket-server.ts';
import { serveConnection, type ConnectionWays } from './connection.ts';

/** The name of a socket that nobody named. */
export const NBD_SOCKET = 'nbd.sock';

/** Serves NBD clients at an address until it is closed. ADDRESS_UNUSABLE. */
export const serveNbd = (
  address: ListenAddress,
  ways: ConnectionWays & { readonly onTurnedAway: () => void },
): Promise<SocketServer> =>
  SocketServer.listen(address, { ...ways, serve: (socket) => serveConnection(socket, ways) });

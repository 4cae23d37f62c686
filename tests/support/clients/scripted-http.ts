// A server that answers as a test tells it to: what no sound object store does. It shows what the
// client bears, and nothing of how a real server behaves.

import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createNetServer, type Socket } from 'node:net';

export interface ScriptedServer {
  readonly endpoint: string;
  /** How many requests, or connections, came. */
  readonly count: () => number;
  close(): Promise<void>;
}

const listening = (server: ReturnType<typeof createNetServer>): Promise<string> =>
  new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      resolve(`http://127.0.0.1:${port}`);
    });
  });

/** Ends a server and the connections that it has. */
const ending = (server: ReturnType<typeof createNetServer>, sockets: Set<Socket>) => () =>
  new Promise<void>((resolve) => {
    for (const socket of sockets) socket.destroy();
    server.close(() => {
      resolve();
    });
  });

const gathering = (server: ReturnType<typeof createNetServer>): Set<Socket> => {
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  return sockets;
};

/** A server whose answers `answer` makes; requests are numbered from 0. */
export async function startScriptedHttp(
  answer: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<ScriptedServer> {
  let count = 0;
  const server = createHttpServer((request, response) => {
    response.on('error', () => undefined);
    answer(request, response, count);
    count += 1;
  });
  const sockets = gathering(server);
  return {
    endpoint: await listening(server),
    count: () => count,
    close: ending(server, sockets),
  };
}

/** A server below HTTP: `talk` gets each connection as it is. */
export async function startScriptedSocket(talk: (socket: Socket) => void): Promise<ScriptedServer> {
  let count = 0;
  const server = createNetServer((socket) => {
    count += 1;
    talk(socket);
  });
  const sockets = gathering(server);
  return {
    endpoint: await listening(server),
    count: () => count,
    close: ending(server, sockets),
  };
}

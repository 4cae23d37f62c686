// A way to an S3 server that can be shut in the middle of everything: what comes through is passed on as
// it is, or meets an outage.

import {
  createServer,
  request as send,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** What requests meet: the server, one that has no time, or nobody. */
export type GateState = 'open' | 'busy' | 'gone';

export interface Gate {
  readonly endpoint: string;
  set(state: GateState): Promise<void>;
  close(): Promise<void>;
}

/** Puts a gate before a server. */
export async function startGate(endpoint: string): Promise<Gate> {
  const { hostname, port } = new URL(endpoint);
  let state: GateState = 'open';
  const sockets = new Set<Socket>();
  const pass = (asked: IncomingMessage, answer: ServerResponse): void => {
    const { method, url, headers } = asked;
    const sent = send({ hostname, port, method, path: url, headers, agent: false }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.rawHeaders);
      got.pipe(answer);
    });
    sent.on('error', () => answer.destroy());
    asked.pipe(sent);
  };
  const server = createServer((asked, answer) => {
    answer.on('error', () => undefined);
    if (state === 'open') pass(asked, answer);
    else answer.writeHead(503, { connection: 'close' }).end();
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  const listen = (at: number): Promise<void> =>
    new Promise((resolve) => {
      server.listen(at, '127.0.0.1', resolve);
    });
  const unlisten = (): Promise<void> =>
    new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
  await listen(0);
  const own = (server.address() as AddressInfo).port;
  return {
    endpoint: `http://127.0.0.1:${own}`,
    async set(next) {
      const before = state;
      state = next;
      for (const socket of sockets) socket.destroy();
      if (next === 'gone' && before !== 'gone') await unlisten();
      if (next !== 'gone' && before === 'gone') await listen(own);
    },
    close: () => (state === 'gone' ? Promise.resolve() : unlisten()),
  };
}

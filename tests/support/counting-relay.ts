// A socket that passes on to another one, and counts the bytes that come back.

import { connect, createServer, type Server, type Socket } from 'node:net';

export class CountingRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #bytes = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens at a path, for what listens at another one. */
  static async open(path: string, to: string): Promise<CountingRelay> {
    const server = createServer();
    const relay = new CountingRelay(server);
    server.on('connection', (client) => relay.#pass(client, connect(to)));
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    return relay;
  }

  #pass(client: Socket, server: Socket): void {
    server.on('data', ({ length }: Buffer) => {
      this.#bytes += length;
    });
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.pipe(other);
      one.on('error', () => undefined);
      one.once('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  /** Bytes that came back so far. */
  get bytes(): number {
    return this.#bytes;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

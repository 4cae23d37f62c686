// A socket that passes on to another one, and counts the bytes that come back, or passes only so many of them.

import { connect, createServer, type Server, type Socket } from 'node:net';

export class CountingRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #bytes = 0;
  /** How many bytes that come back a connection passes before it ends; null: all. */
  passedMax: number | null = null;

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
    client.pipe(server);
    this.#passBack(server, client);
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => undefined);
      one.once('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  /** Passes on what comes back, up to where it is cut. */
  #passBack(server: Socket, client: Socket): void {
    let passed = 0;
    server.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      const left = Math.max(0, (this.passedMax ?? Infinity) - passed);
      passed += chunk.length;
      if (chunk.length > left) {
        client.end(chunk.subarray(0, left));
        server.destroy();
      } else if (!client.write(chunk)) {
        server.pause();
        client.once('drain', () => server.resume());
      }
    });
    server.on('end', () => client.end());
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

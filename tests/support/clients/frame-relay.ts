// A Unix socket that passes the link between two hosts on, message by message, and can do something at one
// of them: before it is passed on, or behind it.

import { connect, createServer, type Server, type Socket } from 'node:net';
import { KINDS, type FrameKind } from '../../../adapters/faces/link/frames.ts';

/** A message that passes, whole. */
export interface PassingFrame {
  readonly by: 'source' | 'target';
  readonly kind: FrameKind;
}

/** Asked for each message before it is passed on, and told when it was; false: the link is cut. */
export interface FrameWatcher {
  readonly before: (frame: PassingFrame) => Promise<boolean>;
  readonly behind: (frame: PassingFrame) => Promise<boolean>;
}

const HEADER_BYTES = 5;
const NAMES: ReadonlyMap<number, FrameKind> = new Map(
  Object.entries(KINDS).map(([kind, number]) => [number, kind as FrameKind]),
);

/** The whole messages that come from a socket. */
async function* framesOf(
  socket: Socket,
): AsyncGenerator<{ readonly kind: FrameKind; readonly bytes: Buffer }> {
  let rest = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const length = rest.length < HEADER_BYTES ? Infinity : HEADER_BYTES + rest.readUInt32LE(0);
      if (rest.length < length) break;
      yield { kind: NAMES.get(rest[4]!)!, bytes: rest.subarray(0, length) };
      rest = rest.subarray(length);
    }
  }
}

/** Passes links on. */
export class FrameRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What is done at messages; null: all pass. */
  watcher: FrameWatcher | null = null;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens at a path, for what listens at another one. */
  static async open(path: string, to: string): Promise<FrameRelay> {
    const server = createServer();
    const relay = new FrameRelay(server);
    server.on('connection', (source) => {
      const target = connect(to);
      for (const socket of [source, target]) {
        relay.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.once('close', () => {
          relay.#sockets.delete(socket);
          source.destroy();
          target.destroy();
        });
      }
      void relay.#pass('source', source, target);
      void relay.#pass('target', target, source);
    });
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    return relay;
  }

  async #pass(by: PassingFrame['by'], from: Socket, to: Socket): Promise<void> {
    try {
      for await (const { kind, bytes } of framesOf(from)) {
        if ((await this.watcher?.before({ by, kind })) === false) break;
        await new Promise<void>((resolve) => {
          to.write(bytes, () => resolve());
        });
        if ((await this.watcher?.behind({ by, kind })) === false) break;
      }
    } catch {
      // One of them is gone, which is what the other one sees.
    }
    from.destroy();
    to.destroy();
  }

  /** Ends the links that there are. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => {
      this.#server.close(resolve);
    });
    this.cut();
    await closed;
  }
}

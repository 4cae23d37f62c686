// A way to QEMU's monitor that can fall silent: connections stay, and nothing comes through.

import { connect, createServer, type Server, type Socket } from 'node:net';

export class MonitorRelay {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;

  private constructor(path: string, to: string) {
    this.path = path;
    this.#server = createServer((from) => {
      const onward = connect({ path: to });
      for (const [source, target] of [
        [from, onward],
        [onward, from],
      ] as const) {
        this.#sockets.add(source);
        source.on('data', (bytes) => target.write(bytes));
        source.on('error', () => source.destroy());
        source.on('close', () => {
          this.#sockets.delete(source);
          target.destroy();
        });
        if (this.#isSilent) source.pause();
      }
    });
  }

  /** Listens at `path` for who wants to reach the monitor at `to`. */
  static start(path: string, to: string): Promise<MonitorRelay> {
    const made = new MonitorRelay(path, to);
    return new Promise((resolve) => {
      made.#server.listen(path, () => resolve(made));
    });
  }

  /** Lets nothing through, either way, until `speak`. */
  silence(): void {
    this.#isSilent = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Lets through what has waited, and all that follows. */
  speak(): void {
    this.#isSilent = false;
    for (const socket of this.#sockets) socket.resume();
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

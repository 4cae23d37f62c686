// A server on a unix socket that speaks, or breaks, QMP as a test wants it.

import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

export const GREETING =
  '{"QMP": {"version": {"qemu": {"micro": 1, "minor": 2, "major": 7}, "package": ""}, ' +
  '"capabilities": []}}\r\n';

export interface FakeQmp {
  readonly path: string;
  close(): Promise<void>;
}

export interface FakeCommand {
  readonly execute: string;
  readonly id: number;
}

/** Serves one path: `onConnection` sends the greeting or something else. */
export async function serveFakeQmp(
  path: string,
  onConnection: (socket: Socket) => void,
): Promise<FakeQmp> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    // The client may go away at any time.
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** Greets, accepts the capabilities negotiation, and hands every other command on. */
export const greeting =
  (onCommand: (command: FakeCommand, socket: Socket) => void) =>
  (socket: Socket): void => {
    socket.write(GREETING);
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const command = JSON.parse(line) as FakeCommand;
        if (command.execute === 'qmp_capabilities') answer(socket, command, {});
        else onCommand(command, socket);
      }
    });
  };

export function answer(socket: Socket, command: FakeCommand, value: unknown): void {
  socket.write(`${JSON.stringify({ return: value, id: command.id })}\r\n`);
}

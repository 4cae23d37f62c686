// A link to a server that is some time away: every byte arrives that much later, both ways, in order.
// Run as a program of its own (`delayed-link.js PORT DELAY_MS`), so that what it takes is not the
// bench's; prints the port that it listens on, and ends with its standard input.

import { spawn } from 'node:child_process';
import { createServer, connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

const LOCAL = '127.0.0.1';

export interface DelayedLink {
  readonly port: number;
  stop(): void;
}

/** A link to a port of this machine. `delayMs`: of a whole round trip, half of it each way. */
export async function startDelayedLink(port: number, delayMs: number): Promise<DelayedLink> {
  const argv = [fileURLToPath(import.meta.url), String(port), String(delayMs)];
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const told = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (bytes: Buffer) => {
      resolve(bytes.toString());
    });
    child.once('exit', (code) => {
      reject(new Error(`the link ended (${String(code)}) before it listened`));
    });
  });
  return { port: Number(told), stop: () => child.stdin.end() };
}

/** Passes on what comes, so much later; the end of it too. */
function passOn(from: Socket, to: Socket, delayMs: number): void {
  const later = (work: () => void): void => {
    if (delayMs === 0) work();
    else setTimeout(work, delayMs);
  };
  from.on('data', (bytes) => {
    later(() => to.write(bytes));
  });
  from.on('end', () => {
    later(() => to.end());
  });
  from.on('error', () => to.destroy());
}

function listen(port: number, delayMs: number): void {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: LOCAL, noDelay: true, allowHalfOpen: true });
    passOn(near, far, delayMs / 2);
    passOn(far, near, delayMs / 2);
  });
  server.listen(0, LOCAL, () => {
    const address = server.address();
    process.stdout.write(String(typeof address === 'object' ? address?.port : 0));
  });
  process.stdin.resume().on('end', () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  listen(Number(process.argv[2]), Number(process.argv[3]));

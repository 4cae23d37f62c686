// Whose program is at the other end of a connection over loopback, as the kernel's table of sockets says.
// A port is open to every user of the host, as a path is not: who serves one of them alone asks here.

import { createReadStream, existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import { endianness } from 'node:os';
import { createInterface } from 'node:readline';

/**
 * Linux's: a line a socket, with `LOCAL REMOTE STATE` as second to fourth word, the user as eighth and
 * the inode as tenth. An address is that of IPv4 in the machine's order of bytes, and the port, in hex.
 */
const TABLE = '/proc/net/tcp';
const LOCAL = 1;
const REMOTE = 2;
const USER = 7;
const INODE = 9;
const ROOT = 0;
/** Who reads a table that changes may miss a line of it. */
const ATTEMPTS = 3;

/** An end of a connection as the table has it; null: it is not one of IPv4. */
function endText(address: string | undefined, port: number | undefined): string | null {
  const bytes = (address ?? '').split('.').map(Number);
  if (bytes.length !== 4 || port === undefined) return null;
  if (endianness() === 'LE') bytes.reverse();
  const hex = (value: number, digits: number): string =>
    value.toString(16).toUpperCase().padStart(digits, '0');
  return `${bytes.map((byte) => hex(byte, 2)).join('')}:${hex(port, 4)}`;
}

/** The user of a socket between two ends; null: no program holds one. Cost: a line for each socket. */
async function userOf(local: string, remote: string): Promise<number | null> {
  const stream = createReadStream(TABLE, 'latin1');
  try {
    for await (const line of createInterface({ input: stream })) {
      const words = line.trim().split(/\s+/u);
      // A socket that outlives its program is of no inode, and called root's.
      if (words[LOCAL] === local && words[REMOTE] === remote && words[INODE] !== '0')
        return Number(words[USER]);
    }
    return null;
  } finally {
    stream.destroy();
  }
}

/**
 * Whether the program at the other end is of the user of this one, or root's, to whom nothing is
 * hidden. True where the system has no such table: that cannot be told there.
 */
export async function isOfOurUser(socket: Socket): Promise<boolean> {
  const user = process.getuid?.();
  if (user === undefined || !existsSync(TABLE)) return true;
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  const [theirs, ours] = [endText(remoteAddress, remotePort), endText(localAddress, localPort)];
  if (theirs === null || ours === null) return false;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const found = await userOf(theirs, ours);
    if (found !== null) return found === user || found === ROOT;
  }
  return false;
}

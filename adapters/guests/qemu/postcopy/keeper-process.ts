// Keeps a way to a QEMU whose guest lacks memory: a process of its own, in a session of its own, that
// outlives the one that gives the memory. A processor of the guest may wait for a page while it holds
// QEMU's main lock; then QEMU answers nothing on its control sockets but commands out of band, on
// connections that were made ready for these before. This is one. Whoever goes on with the guest sends
// a line with where QEMU shall listen, and is answered with one: empty, or what QEMU says no with.

import { connect, createServer, type Socket } from 'node:net';
import { END } from './keeper-messages.ts';

const LINE_CHARS_MAX = 4096;
/** Longest line of QEMU's that is looked at. */
const QMP_CHARS_MAX = 1024 * 1024;
const [, , monitorPath = '', listenPath = ''] = process.argv;

const qmp = connect({ path: monitorPath });
const asked: Socket[] = [];
let text = '';

const say = (command: object): boolean => qmp.write(`${JSON.stringify(command)}\n`);

/** QEMU's line, as far as anything is to be done about it. */
function hear(line: string): void {
  let message: { QMP?: unknown; return?: unknown; error?: { desc?: string }; id?: unknown };
  try {
    message = JSON.parse(line);
  } catch {
    return;
  }
  if (message.QMP !== undefined)
    say({ execute: 'qmp_capabilities', arguments: { enable: ['oob'] }, id: 'ready' });
  else if (message.id === 'ready' && message.error === undefined) server.listen(listenPath);
  else if (message.id === 'recover') asked.shift()?.end(`${message.error?.desc ?? ''}\n`);
}

const server = createServer((client) => {
  let line = '';
  client.setEncoding('utf8');
  client.on('error', () => undefined);
  client.on('data', (part: string) => {
    line += part;
    if (line.length > LINE_CHARS_MAX) client.destroy();
    if (!line.includes('\n')) return;
    const uri = line.slice(0, line.indexOf('\n'));
    line = '';
    if (uri === END) process.exit();
    asked.push(client);
    say({ 'exec-oob': 'migrate-recover', arguments: { uri }, id: 'recover' });
  });
});
server.on('error', () => process.exit(1));

qmp.setEncoding('utf8');
qmp.on('data', (part: string) => {
  const lines = (text + part).split('\n');
  text = lines.pop() ?? '';
  for (const line of lines) hear(line);
  if (text.length > QMP_CHARS_MAX) process.exit(1);
});
// Without its QEMU there is nothing to keep.
qmp.on('error', () => process.exit());
qmp.on('close', () => process.exit());

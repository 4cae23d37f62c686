// A `virsh` for machines without libvirt: it knows one domain, whose real QEMU it reaches by two QMP
// sockets, one for commands and one for events, and says what virsh says. With VIRSH_LATE it takes its
// time to set capabilities, and makes the file of that name when it begins to.

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface VirshStandIn {
  /** Where the program is put. */
  readonly folder: string;
  readonly domain: string;
  readonly commands: string;
  readonly events: string;
}

const PROGRAM = `
import { connect } from 'node:net';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
const words = process.argv.slice(2).filter((word) => word !== '-q');
const value = (name) => words[words.indexOf(name) + 1];
const fail = (sentence) => { console.error('error: ' + sentence); process.exit(1); };
if (value('--domain') !== DOMAIN) fail("failed to get domain '" + value('--domain') + "'");
if (words[0] === 'domname') { console.log(DOMAIN); process.exit(); }
const isLoop = words[0] === 'qemu-monitor-event';
const { VIRSH_LATE } = process.env;
if (VIRSH_LATE && !isLoop && /set-capabilities.*"state":true/.test(value('--cmd'))) {
  writeFileSync(VIRSH_LATE, '');
  await delay(1500);
}
const socket = connect(isLoop ? EVENTS : COMMANDS);
socket.on('error', () => fail('Requested operation is not valid: domain is not running'));
socket.on('close', () => isLoop ? process.exit() : fail('internal error: End of file from qemu monitor'));
const say = (message) => socket.write(JSON.stringify(message) + '\\n');
createInterface({ input: socket }).on('line', (line) => {
  const message = JSON.parse(line);
  if (message.QMP) say({ execute: 'qmp_capabilities', id: 'ready' });
  else if (message.id === 'ready') { if (!isLoop) say({ ...JSON.parse(value('--cmd')), id: 'libvirt-1' }); }
  else if (message.id === 'libvirt-1') { console.log(line); process.exit(); }
  else if (isLoop && message.event) {
    const { seconds, microseconds } = message.timestamp;
    const at = seconds + '.' + String(microseconds).padStart(6, '0');
    const data = message.data ? JSON.stringify(message.data) : '<null>';
    console.log('event ' + message.event + ' at ' + at + " for domain '" + DOMAIN + "': " + data);
  }
});
`;

/** Puts the program there; for an environment in which it is the `virsh` that is found. */
export function putVirsh({ folder, domain, commands, events }: VirshStandIn): { PATH: string } {
  const values = { DOMAIN: domain, COMMANDS: commands, EVENTS: events };
  const constants = Object.entries(values).map(
    ([name, value]) => `const ${name} = ${JSON.stringify(value)};`,
  );
  const program = join(folder, 'virsh.mjs');
  writeFileSync(program, [...constants, PROGRAM].join('\n'));
  const script = join(folder, 'virsh');
  writeFileSync(script, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  chmodSync(script, 0o755);
  return { PATH: `${folder}:${process.env['PATH'] ?? ''}` };
}

// A session of time travel on a real guest, from its start to the write that broke it:
//
//   npm ci && npm run build && node examples/time-travel/session.mjs
//
// Boots a small Linux under QEMU in which something overwrites the host name, records it three times,
// and asks GDB, `find`, `values` and `bisect` where that came from. What is asked and what is answered
// is printed as docs/time-travel.md has it. QEMU, a Debian kernel and GDB are needed; nothing is left.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolsAtHand } from '../../dist/adapters/guests/demo-guest/tools.js';
import { startShellGuest } from '../../dist/tests/support/guest/proc-guest.js';

const PROGRAM = fileURLToPath(new URL('../../dist/bin/main.js', import.meta.url));

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
mkfifo /fifo
exec 3<>/fifo >/dev/console 2>&1
echo intact > /proc/sys/kernel/hostname
n=0
while :; do
  n=$((n + 1))
  if [ $n = 8 ]; then echo spoiled > /proc/sys/kernel/hostname; fi
  echo "TICK $n"
  read -t 1 x <&3
done
`;

const tools = toolsAtHand();
if (tools === null) {
  process.stderr.write(
    'QEMU, busybox and a kernel are needed: `npm run demo` says what to install\n',
  );
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'pageledger-session-'));
const ledger = join(folder, 'ledger');

/** Runs a command of pageledger, and shows both it and what it says. */
function pageledger(words, { isShown = true } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...words], {
    encoding: 'utf8',
    env: { ...process.env, PAGELEDGER: ledger },
  });
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
  if (!isShown) return;
  const shown = words.map((word) => (/^[\w/@.=-]+$/u.test(word) ? word : `'${word}'`));
  process.stdout.write(`$ pageledger ${shown.join(' ')}\n${stdout}\n`);
}

/** Says words to GDB, one line after the other, as a person would. */
function gdb(lines) {
  const said = lines.flatMap((line) => [
    '-ex',
    `echo (gdb) ${line.replaceAll('\\', '\\\\')}\\n`,
    '-ex',
    line,
  ]);
  process.stdout.write('$ pageledger gdb --vm g\n');
  const words = [PROGRAM, 'gdb', '--vm', 'g', '--', '-batch', ...said];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    encoding: 'utf8',
    env: { ...process.env, PAGELEDGER: ledger },
  });
  if (status !== 0) throw new Error(`gdb: ${stderr}`);
  process.stdout.write(`${stdout.replaceAll(/\n{2,}/gu, '\n')}\n`);
}

let guest = null;
try {
  pageledger(['init'], { isShown: false });
  guest = await startShellGuest(
    { tools, folder, name: 'g', mebibytes: 128 },
    { init: INIT, programs: [] },
  );
  for (const tick of [3, 8, 10]) {
    await guest.waitForLine(new RegExp(`^TICK ${tick}`, 'u'), { timeoutMs: 300_000 });
    const to = ['--qmp', guest.qmpPath, '--count', '1'];
    pageledger(['record', 'qemu', '--vm', 'g', ...to], { isShown: false });
  }
  const name = 'init_uts_ns.name.nodename';
  gdb([
    `watch *(char(*)[8])${name}`,
    'reverse-continue',
    'continue',
    `who-wrote &${name} 8`,
    `history &${name} 8`,
    "find-bytes 'spoiled'",
    'bt',
  ]);
  pageledger(['values', '--vm', 'g', '--symbol', 'jiffies']);
  pageledger(['find', '--text', 'intact', '--vm', 'g']);
  // 65 bytes of the system's name come before the node's.
  pageledger(['bisect', '--vm', 'g', '--when', 'bytes init_uts_ns+65 == 73706f696c6564']);
} finally {
  await guest?.kill();
  rmSync(folder, { recursive: true, force: true });
}

// `bisect` with a command of its own: what that is given, who else may reach it, and what is left where
// somebody interrupts the search.

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { LedgerCommands, type RunningCommand } from '../../support/command-line.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const LONG_MS = 300_000;
const CAPTURES = 6;
/** A program's own: connects to a debugger's server and asks a packet; what it was sent until it is let go. */
const ASK = `
import { connect } from 'node:net';
export function ask(target, payload) {
  const [host, port] = target.split(':');
  const sum = [...payload].reduce((all, letter) => (all + letter.charCodeAt(0)) & 255, 0);
  const socket = connect(Number(port), host);
  socket.write('$' + payload + '#' + sum.toString(16).padStart(2, '0'));
  return new Promise((resolve) => {
    let said = '';
    const end = () => { socket.destroy(); resolve(said); };
    socket.on('data', (bytes) => { said += bytes; if (/\\$[^#]*#../.test(said)) end(); });
    socket.on('error', () => resolve('an error')).on('close', () => resolve(said));
  });
}
`;

let folder: TemporaryFolder;
let commands: LedgerCommands;

const program = (name: string, text: string): string => {
  const path = join(folder.path, `${name}.mjs`);
  writeFileSync(path, `${ASK}${text}`);
  return path;
};

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  commands = new LedgerCommands(join(folder.path, 'ledger'));
  await commands.run(['init']);
  for (let byte = 1; byte <= CAPTURES; byte += 1)
    await commands.recordRaw('made', new Uint8Array(8192).fill(byte));
}, LONG_MS);
afterAll(() => folder.remove());

test(
  'a command reads memory at host and port, open for as long as it runs',
  async () => {
    const path = program(
      'reads',
      `const target = process.env.PAGELEDGER_GDB;
       console.error('at ' + target);
       const said = await ask(target, 'm1000,1');
       const byte = Number.parseInt(said.split('$')[1], 16);
       process.exit(byte >= 4 ? 1 : 0);`,
    );
    const words = ['--json', 'bisect', '--vm', 'made', '--', process.execPath, path];
    const { exitCode, stdout, stderr } = await commands.run(words);
    expect([exitCode, stdout.toString()]).toEqual([0, expect.stringContaining('"first"')]);
    expect(JSON.parse(stdout.toString().trim().split('\n').at(-1)!)).toMatchObject({ capture: 4 });
    const targets = [...stderr.matchAll(/^at 127\.0\.0\.1:(\d+)$/gmu)];
    expect(targets.length).toBeGreaterThan(2);
    const isOpen = await new Promise((resolve) => {
      const socket = connect(Number(targets.at(-1)![1]), '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    expect(isOpen).toBe(false);
  },
  LONG_MS,
);

/** Counted as skipped where nobody can be another user. */
const describeAsRoot = process.getuid?.() === 0 ? describe : describe.skip;

describeAsRoot('another user of the host', () => {
  test(
    'reads nothing there',
    async () => {
      const path = program(
        'others',
        `import { spawnSync } from 'node:child_process';
       import { readFileSync } from 'node:fs';
       const target = process.env.PAGELEDGER_GDB;
       if (process.argv[2] !== undefined) {
         process.stdout.write(await ask(process.argv[2], 'm1000,1'));
         process.exit(0);
       }
       const text = readFileSync(new URL(import.meta.url), 'utf8');
       const words = ['--input-type=module', '-', target];
       for (const user of [{}, { uid: 65534, gid: 65534 }]) {
         const ran = spawnSync(process.execPath, words, { ...user, cwd: '/', input: text });
         console.error('said ' + JSON.stringify(ran.stdout?.toString()) + ran.status);
       }
       process.exit(1);`,
      );
      const words = ['bisect', '--vm', 'made', '--from', '@6', '--', process.execPath, path];
      const { exitCode, stderr } = await commands.run(words);
      expect([exitCode, stderr.match(/^said .*$/gmu)]).toEqual([
        0,
        ['said "+$06#66"0', 'said ""0'],
      ]);
      expect(stderr).toContain('a client of another user was turned away');
    },
    LONG_MS,
  );
});

describe('a search that is interrupted', () => {
  const started = (words: readonly string[]): { command: RunningCommand; left: () => string[] } => {
    const place = join(folder.path, 'tmp');
    mkdirSync(place, { recursive: true });
    const environment = { TMPDIR: place };
    return {
      command: commands.start(['bisect', '--vm', 'made', ...words], { environment }),
      left: () => readdirSync(place, { recursive: true, encoding: 'utf8' }),
    };
  };
  const leases = async (): Promise<unknown[]> => commands.json('leases');

  test(
    'while its command runs says what is known, and leaves nothing',
    async () => {
      const path = program(
        'stays',
        `await ask(process.env.PAGELEDGER_GDB, 'qAttached');
         if (process.env.PAGELEDGER_POINT === 'made/@6') process.exit(1);
         const [host, port] = process.env.PAGELEDGER_GDB.split(':');
         const socket = connect(Number(port), host, () => socket.write('$?#3f'));
         socket.once('data', () => console.error('stays ' + process.pid));
         setInterval(() => undefined, 1000);`,
      );
      const files = ['--memory', '--core', '--', process.execPath, path];
      const { command, left } = started(files);
      await command.until(({ stderr }) => /stays \d+/u.test(stderr));
      expect(left().some((name) => name.endsWith('/memory'))).toBe(true);
      expect(await leases()).toEqual([expect.objectContaining({ kind: 'debugger' })]);
      command.signal('SIGINT');
      const { exitCode, stdout, stderr } = await command.ended;
      expect([exitCode, stdout.toString()]).toEqual([130, '@6: true\n']);
      expect(stderr).toContain('interrupted by SIGINT: it is true at @6');
      expect(left()).toEqual([]);
      expect(await leases()).toEqual([]);
      const child = Number(/stays (\d+)/u.exec(stderr)![1]);
      expect(() => process.kill(child, 0)).toThrow('ESRCH');
    },
    LONG_MS,
  );

  test(
    'between two of its steps does so too',
    async () => {
      const asked = `[ "$PAGELEDGER_POINT" = made/@6 ] && exit 1
        [ "$PAGELEDGER_POINT" = made/@3 ] || exec sleep 600
        (sleep 0.1; kill -INT $PPID) & exit 0`;
      const { command, left } = started(['--memory', '--core', '--', 'sh', '-c', asked]);
      const { exitCode, stdout, stderr } = await command.ended;
      expect(exitCode).toBe(130);
      expect(stdout.toString()).toBe('@6: true\n@3: not yet\n');
      expect(stderr).toContain('interrupted by SIGINT: it is true at @6, and not yet at @3');
      expect(left()).toEqual([]);
      expect(await leases()).toEqual([]);
    },
    LONG_MS,
  );
});

// What a user gets wrong, or is given: each is an exit code, a sentence that names the offender, and a
// ledger whose record part is byte for byte what it was.

import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openEventLog } from '../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { openImage } from '../../support/guest/open-image.ts';
import { sealLines } from '../../../adapters/files/checksummed-text.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import { openLedger, openRecorder } from '../../../index.ts';
import { COMMAND_LINE, LedgerCommands } from '../../support/command-line.ts';
import { takeSnapshot, type Snapshot } from '../../support/disks/folder-snapshot.ts';
import { answer, greeting, serveFakeQmp } from '../../support/guest/fake-qmp.ts';
import { mappedFile } from '../../support/guest/mapped-bytes.ts';
import * as stream from '../../support/guest/stream-bytes.ts';
import { sampleOf } from '../../support/long-run.ts';
import { changeImage, makeImage } from '../../support/images.ts';
import { valueOf } from '../../support/outcomes.ts';
import {
  digestOf,
  makeGuestLedger,
  recordBytes,
  recordOf,
  restoredDigest,
  streamOf,
} from '../../support/ledgers/small-ledger.ts';
import { makeTemporaryFolder, type TemporaryFolder } from '../../support/disks/temporary-folder.ts';

const PAGES = 24;
const first = makeImage({ seed: 31, pages: PAGES });
const second = changeImage(first, { seed: 32, changedPages: 5 });

let folder: TemporaryFolder;
let commands: LedgerCommands;
let record: Snapshot;
const path = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  folder = await makeTemporaryFolder();
  chmodSync(folder.path, 0o755);
  commands = new LedgerCommands(path('ledger'));
  await makeGuestLedger({ url: commands.ledger, scratch: folder.path, images: [first, second] });
  record = recordOf(commands.ledger);
  writeInputs();
});
afterAll(() => folder.remove());

/** Runs a command that must fail, and looks at what is left. */
async function refused(words: readonly string[], options: { readonly ledger?: string } = {}) {
  const cli = options.ledger === undefined ? commands : new LedgerCommands(options.ledger);
  const { exitCode, stderr, stdout } = await cli.run(words);
  expect(recordOf(commands.ledger)).toEqual(record);
  expect(stderr).not.toContain('unexpected failure');
  expect(stdout.toString()).toBe('');
  return { exitCode, stderr };
}

const wholeStream = (): Buffer => streamOf(first);
const opening = (): Buffer =>
  stream.bytesOf(stream.head(), stream.start([{ name: 'pc.ram', pages: 3 }]));
const HUGE = 2 ** 52;

/** Files that are no whole image, or no image at all. */
const INPUTS: Readonly<Record<string, () => Uint8Array>> = {
  'odd.raw': () => Buffer.alloc(PAGE_BYTES + 1, 1),
  'larger.raw': () => Buffer.alloc((PAGES + 1) * PAGE_BYTES, 1),
  'good.raw': () => second,
  'empty.raw': () => Buffer.alloc(0),
  'cut.stream': () => wholeStream().subarray(0, wholeStream().length / 2),
  'flipped.stream': () => {
    const bytes = wholeStream();
    // The name of the RAM block, so that the page after it belongs to none.
    bytes[bytes.lastIndexOf('pc.ram')]! ^= 4;
    return bytes;
  },
  'huge-block.stream': () =>
    stream.bytesOf(stream.head(), stream.start([{ name: 'pc.ram', pages: HUGE / PAGE_BYTES }])),
  'huge-name.stream': () =>
    stream.bytesOf(Buffer.from('QEVM'), stream.u32(3), stream.u8(7), stream.u32(0xffff_ffff)),
  'huge-description.stream': () =>
    stream.bytesOf(opening(), stream.end(), stream.u8(0, 6), stream.u32(0xffff_ffff)),
  'unknown-section.stream': () => stream.bytesOf(opening(), stream.u8(99), Buffer.alloc(4096, 99)),
  'endless-blocks.stream': () =>
    stream.bytesOf(
      stream.head(),
      stream.start(Array.from({ length: 60_000 }, (_, i) => ({ name: `b${i}`, pages: 1 }))),
    ),
  'page-outside.stream': () =>
    stream.bytesOf(opening(), stream.part(stream.page(2 ** 30, stream.pageOf(1), 'pc.ram'))),
  'core.elf': () =>
    stream.bytesOf(Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), Buffer.alloc(8192)),
  'mapped.stream': () =>
    mappedFile({
      blocks: [{ name: 'pc.ram', pages: [null] }],
      header: { pagesAt: 2 ** 40 },
    }),
  'disk.qcow2': () => stream.bytesOf(Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(8192)),
  'unreadable.raw': () => first,
  file: () => Buffer.from('no ledger'),
  'folder/file': () => Buffer.from('somebody keeps this here'),
};

function writeInputs(): void {
  for (const [name, bytes] of Object.entries(INPUTS)) {
    mkdirSync(dirname(path(name)), { recursive: true });
    writeFileSync(path(name), bytes());
  }
  chmodSync(path('unreadable.raw'), 0);
}

describe('an image that cannot be recorded', () => {
  test.each([
    ['odd.raw', 'new', 'SOURCE_SIZE'],
    ['larger.raw', 'guest', 'guest'],
    ['empty.raw', 'new', 'SOURCE_EMPTY'],
    ['folder', 'new', 'SOURCE_UNREADABLE'],
    ['absent.raw', 'new', 'SOURCE_UNREADABLE'],
    ['cut.stream', 'new', 'STREAM_TRUNCATED'],
    ['flipped.stream', 'new', 'STREAM_INVALID'],
    ['huge-block.stream', 'new', 'STREAM_INVALID'],
    ['huge-name.stream', 'new', 'STREAM_INVALID'],
    ['huge-description.stream', 'new', 'STREAM_'],
    ['unknown-section.stream', 'new', 'STREAM_INVALID'],
    ['endless-blocks.stream', 'new', 'STREAM_INVALID'],
    ['page-outside.stream', 'new', 'STREAM_INVALID'],
    ['core.elf', 'new', 'SOURCE_FORMAT'],
    ['mapped.stream', 'new', 'SOURCE_SIZE'],
    ['disk.qcow2', 'new', 'SOURCE_FORMAT'],
  ])('%s of VM %s is refused: %s', async (name, vm, says) => {
    const { exitCode, stderr } = await refused(['record', 'image', '--vm', vm, path(name)]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(says);
    expect(stderr).toContain(vm === 'new' ? name : vm);
  });

  test('after good ones is refused, and those before it are kept', async () => {
    const url = path('copy-half');
    cpSync(commands.ledger, url, { recursive: true });
    const copy = new LedgerCommands(url);
    const files = [path('good.raw'), path('odd.raw'), path('good.raw')];
    const { exitCode, stderr } = await copy.run(['record', 'image', '--vm', 'guest', ...files]);
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('odd.raw'),
    });
    expect(await copy.json('captures', '--vm', 'guest')).toHaveLength(3);
    expect((await copy.run(['verify'])).exitCode).toBe(0);
  });

  test('that shrinks while it is read is refused, and the next one is recorded', async () => {
    const url = path('copy-shrink');
    cpSync(commands.ledger, url, { recursive: true });
    const image = path('shrinking.raw');
    writeFileSync(image, first);
    const ledger = await openLedger({ url, mode: 'write', threads: 0 });
    const recorder = await openRecorder(ledger, { vm: 'guest', group: null });
    const source = await valueOf(openImage({ path: image, timeMs: 1, clock: ledger.clock }));
    truncateSync(image, 5 * PAGE_BYTES);
    const recording = recorder.record(await valueOf(source.capture()));
    await expect(recording).rejects.toMatchObject({
      name: 'LedgerError',
      message: expect.stringContaining('shrinking.raw'),
    });
    source.close();
    await recorder.close();
    const scratch = path('scratch');
    expect(await recordBytes(ledger, { vm: 'guest', bytes: first, scratch })).toBe(3);
    expect(await restoredDigest(ledger, { vm: 'guest', at: '@3', scratch })).toBe(digestOf(first));
    await ledger.close();
  });
});

describe('a QMP socket', () => {
  const words = (): string[] => [
    'record',
    'qemu',
    '--vm',
    'live',
    '--count',
    '1',
    '--qmp',
    path('qmp'),
  ];

  test('that is absent, or a file, is QMP_UNREACHABLE', async () => {
    const absent = await refused(words());
    expect(absent.exitCode).toBe(6);
    expect(absent.stderr).toContain('QMP_UNREACHABLE');
    expect(absent.stderr).toContain(path('qmp'));
    const file = await refused([...words().slice(0, -1), path('good.raw')]);
    expect(file.exitCode).toBe(6);
    expect(file.stderr).toContain('QMP_UNREACHABLE');
  });

  test.each([
    ['talks of something else', 'SSH-2.0-OpenSSH_9.2\r\n', 'QMP_PROTOCOL'],
    ['sends a line without an end', 'x'.repeat(20_000_000), 'QMP_PROTOCOL'],
    ['sends JSON that is no greeting', '{"hello": [1, 2]}\r\n', 'QMP_PROTOCOL'],
  ])('that %s is refused', async (_name, text, code) => {
    const server = await serveFakeQmp(path('qmp'), (socket) => socket.write(text));
    const { exitCode, stderr } = await refused(words());
    await server.close();
    expect(exitCode).toBe(1);
    expect(stderr).toContain(code);
  });

  test('that says nothing is somebody who does not answer', async () => {
    const server = await serveFakeQmp(path('qmp'), () => undefined);
    const { exitCode, stderr } = await refused(words());
    await server.close();
    expect([exitCode, stderr]).toEqual([6, expect.stringMatching(/no greeting.*QMP_UNREACHABLE/u)]);
  });

  test('that goes away at once, or in the middle of a capture, is named', async () => {
    const closing = await serveFakeQmp(path('qmp'), (socket) => socket.end());
    const atOnce = await refused(words());
    await closing.close();
    expect([1, 6]).toContain(atOnce.exitCode);
    expect(atOnce.stderr).toMatch(/QMP_(LOST|PROTOCOL|UNREACHABLE)/u);
    const dying = await serveFakeQmp(
      path('qmp'),
      greeting((command, socket) => {
        if (command.execute === 'migrate') socket.destroy();
        else if (command.execute === 'query-status')
          answer(socket, command, { status: 'running', running: true });
        else if (command.execute.startsWith('query-block')) answer(socket, command, []);
        else if (command.execute === 'query-migrate-capabilities') answer(socket, command, []);
        else answer(socket, command, {});
      }),
    );
    const inTheMiddle = await refused(words());
    await dying.close();
    expect([1, 6]).toContain(inTheMiddle.exitCode);
    expect(inTheMiddle.stderr).toMatch(/QMP_(LOST|PROTOCOL)/u);
  });

  test('of a guest that refuses a command has the reason in its message', async () => {
    const server = await serveFakeQmp(
      path('qmp'),
      greeting((command, socket) => {
        const error = { class: 'GenericError', desc: 'the guest is not in the mood' };
        socket.write(`${JSON.stringify({ error, id: command.id })}\r\n`);
      }),
    );
    const { exitCode, stderr } = await refused(words());
    await server.close();
    expect(exitCode).toBe(1);
    expect(stderr).toContain('QMP_REFUSED');
    expect(stderr).toContain('not in the mood');
  });
});

describe('a place that is no ledger', () => {
  test.each([
    ['folder', ['captures', '--vm', 'guest'], 'NOT_A_LEDGER'],
    ['folder', ['record', 'image', '--vm', 'guest', 'GOOD'], 'NOT_A_LEDGER'],
    ['file', ['verify'], 'NOT_A_LEDGER'],
    ['file/below', ['record', 'image', '--vm', 'guest', 'GOOD'], 'NOT_A_LEDGER'],
    ['absent', ['vms'], 'NOT_FOUND'],
    ['{"ledger":', ['vms'], 'NOT_FOUND'],
  ])('%s is refused and left alone', async (name, words, code) => {
    const before = takeSnapshot(path('folder'));
    const given = words.map((word) => (word === 'GOOD' ? path('good.raw') : word));
    const { exitCode, stderr } = await refused(given, { ledger: path(name) });
    expect(exitCode).toBe(code === 'NOT_FOUND' ? 5 : 1);
    expect(stderr).toContain(code);
    expect(stderr).toContain(path(name).slice(0, -6));
    expect(takeSnapshot(path('folder'))).toEqual(before);
  });

  test('named by $PAGELEDGER is named in the message', () => {
    const environment = { ...process.env, PAGELEDGER: path('file') };
    const { status, stderr } = spawnSync(process.execPath, [COMMAND_LINE, 'vms'], {
      env: environment,
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr).toContain(path('file'));
  });
});

describe('a ledger of a later release', () => {
  test('by its format is NEWER_FORMAT, and nothing is written', async () => {
    const url = path('copy-format');
    cpSync(commands.ledger, url, { recursive: true });
    const id = /^id .*$/mu.exec(readFileSync(join(url, 'format'), 'utf8'))![0];
    writeFileSync(join(url, 'format'), sealLines(['pageledger ledger', 'format 7', id]));
    const before = takeSnapshot(url);
    for (const words of [['vms'], ['record', 'image', '--vm', 'guest', path('good.raw')]]) {
      const { exitCode, stderr } = await new LedgerCommands(url).run(words);
      expect(exitCode).toBe(1);
      expect(stderr).toContain('NEWER_FORMAT');
    }
    expect(takeSnapshot(url)).toEqual(before);
  });

  test('by the schema of an event is EVENT_NEWER, and nothing is recorded', async () => {
    const url = path('copy-schema');
    cpSync(commands.ledger, url, { recursive: true });
    const log = await valueOf(openEventLog({ folder: join(url, 'log'), files: nodeFiles }));
    const expectedRevision = await valueOf(log.streamRevision(LEDGER_STREAM));
    const data = new TextEncoder().encode('{"group":"x","keyCheck":"y","more":1}');
    const event = {
      id: new Uint8Array(16).fill(7),
      type: 'GroupCreated',
      schema: 2,
      timeMs: 1,
      data,
    };
    await valueOf(log.append({ stream: LEDGER_STREAM, expectedRevision, events: [event] }));
    await log.close();
    const before = recordOf(url);
    for (const words of [['vms'], ['record', 'image', '--vm', 'guest', path('good.raw')]]) {
      const { exitCode, stderr } = await new LedgerCommands(url).run(words);
      expect(exitCode).toBe(1);
      expect(stderr).toContain('EVENT_NEWER');
    }
    expect(recordOf(url)).toEqual(before);
  });
});

/** Each of them is a process. */
const WORDS: readonly (readonly [string, number, string])[] = [
  ['record image --vm ../up GOOD', 2, '../up'],
  ['record image --vm a/b GOOD', 2, 'a/b'],
  ['record image --vm new --group .hidden GOOD', 2, '.hidden'],
  ['record image --vm guest --group other GOOD', 1, 'other'],
  ['record image --vm guest --format zip GOOD', 2, 'zip'],
  ['record image --vm guest --time someday GOOD', 2, 'someday'],
  ['record image GOOD', 2, '--vm'],
  ['record image --vm guest', 2, 'file'],
  ['record qemu --vm live --qmp absent --every 0', 2, '--every 0'],
  ['record qemu --vm live --qmp absent --every -5s', 2, '-5s'],
  ['record qemu --vm live --qmp absent --count 0', 2, 'count'],
  ['captures --vm nobody', 5, 'nobody'],
  ['restore --vm nobody --to OUT', 5, 'nobody'],
  ['restore --vm guest --at @0 --to OUT', 2, '@0'],
  ['restore --vm guest --at @99 --to OUT', 5, '@99'],
  ['restore --vm guest --at noon --to OUT', 2, 'noon'],
  ['restore --vm guest --at time:13h --to OUT', 2, 'time:13h'],
  ['restore --vm guest --at ago:1y2z --to OUT', 2, 'ago:1y2z'],
  ['restore --vm guest --at pos:0 --to OUT', 5, 'pos:0'],
  ['restore --vm guest --at cp:none --to OUT', 5, 'none'],
  ['restore --vm guest --format kdump --to OUT', 2, 'kdump'],
  ['restore --vm guest --format elf --layout packed --to OUT', 2, '--layout'],
  ['restore --vm guest --format qemu --to OUT', 1, 'device state'],
  ['restore --vm guest --to GOOD', 1, 'TARGET_EXISTS'],
  ['restore --vm guest --to absent-folder/x/y', 1, 'TARGET_UNWRITABLE'],
  ['restore --vm guest --force --to FOLDER', 1, 'TARGET_UNWRITABLE'],
  ['resume', 2, '--vm NAME'],
  ['resume --vm guest', 2, 'command line'],
  ['resume --vm guest --at latest --eager', 2, 'command line'],
  ['checkpoint --vm guest --name a/b', 2, 'a/b'],
  ['checkpoint --vm nobody --name x', 5, 'nobody'],
  ['checkpoint --vm guest --name x --at @9', 5, '@9'],
  ['history --vm guest --page 9999', 5, '9999'],
  ['history --vm guest --page -1', 2, '-1'],
  ['history --vm guest --page 1e3', 2, '1e3'],
  ['history --vm guest --address 0xffffffffff', 5, '0xffffffffff'],
  ['history --vm guest --address here', 2, 'here'],
  ['history --vm guest', 2, '--page'],
  ['sharing --at @1', 2, '@1'],
  ['sharing --vm nobody', 5, 'nobody'],
  ['log --from someday', 2, 'someday'],
  ['retire --vm nobody', 5, 'nobody'],
  ['remember everything', 2, 'remember'],
  ['vms --colour', 2, '--colour'],
];

describe('words that do not fit', () => {
  test.each(sampleOf(WORDS, 3))('%s: exit code %i', async (text, expectedCode, names) => {
    const places: Readonly<Record<string, string>> = {
      GOOD: path('good.raw'),
      OUT: path('out'),
      FOLDER: path('folder'),
    };
    const { exitCode, stderr } = await refused(text.split(' ').map((word) => places[word] ?? word));
    expect({ exitCode, stderr }).toEqual({
      exitCode: expectedCode,
      stderr: expect.stringContaining(names),
    });
  });
});

// Going back in a long history of small captures: to the last write of some bytes, through a condition that
// is met late, and over every value that an address had. In the library, in packets as a debugger sends
// them, and by GDB itself, where it is installed. What it is held against is looking at every capture.

import { spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { programPath } from '../../adapters/guests/demo-guest/tools.ts';
import { DebuggedVm } from '../../adapters/wiring/time-travel/debugged-vm.ts';
import { LedgerPast } from '../../adapters/wiring/time-travel/ledger-past.ts';
import { valuesOver } from '../../adapters/wiring/time-travel/values.ts';
import { assert } from '../../domain/values/assert.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import type { Ledger } from '../../index.ts';
import { GdbClient } from '../support/clients/gdb-client.ts';
import { fillPage, seededRandom } from '../support/images.ts';
import { MIB, type Bench, type BenchContext } from './bench.ts';
import { cliWords, freshFolder, guestImage, record, withLedger } from './ledgers.ts';
import { figureOf, rowOf, sampled, secondsOf, type Row } from './measure.ts';

const IMAGE_MIB = 1;
/** Pages that are rewritten beside those that are looked at. */
const CHANGED = 14;
/** A word that is the capture's number, and beside it one that changes once, as does one of a page of its own. */
const COUNTER = 2 * PAGE_BYTES;
const BESIDE = COUNTER + 8;
const ALONE = 3 * PAGE_BYTES;
const CHANGED_AT = 3;
const WORD = 8;
const VM = 'guest';
const PHYSICAL = { kind: 'physical' } as const;
/** What GDB alone takes for each hit of a condition, with a server that does nothing else. */
const GDB_ALONE_MS = 0.38;

interface History {
  readonly folder: string;
  readonly captures: number;
}

/** Records captures of an image that is changed in place. */
async function makeHistory(context: BenchContext, captures: number): Promise<History> {
  context.tell(`${captures} captures of ${IMAGE_MIB} MiB`);
  const folder = freshFolder(context, 'travelled');
  const image = join(context.folder, 'travelled.raw');
  copyFileSync(guestImage(context, IMAGE_MIB, 21), image);
  const random = seededRandom(captures);
  const pages = (IMAGE_MIB * MIB) / PAGE_BYTES;
  const page = Buffer.alloc(PAGE_BYTES);
  const fd = openSync(image, 'r+');
  const put = (address: number, value: number): void => {
    const word = Buffer.alloc(WORD);
    word.writeBigUInt64LE(BigInt(value));
    writeSync(fd, word, 0, WORD, address);
  };
  const change = (capture: number): void => {
    put(COUNTER, capture);
    for (const address of [BESIDE, ALONE]) put(address, capture < CHANGED_AT ? 1 : 2);
    for (let i = 0; i < CHANGED; i += 1) {
      fillPage(page, 'text', random);
      writeSync(fd, page, 0, PAGE_BYTES, (4 + random(pages - 4)) * PAGE_BYTES);
    }
  };
  change(1);
  const files = Array.from({ length: captures }, () => image);
  await withLedger({ folder }, (ledger) =>
    record(ledger, { vm: VM, files }, ({ capture }) => change(capture + 1)),
  );
  closeSync(fd);
  return { folder, captures };
}

const newest = (ledger: Ledger) => {
  const entry = ledger.vm(VM);
  return { entry, row: ledger.resolve(entry, 'latest'), kernel: null };
};

/** Seconds that looking at a word at every capture takes. */
async function scanSeconds(ledger: Ledger): Promise<number> {
  const past = await LedgerPast.open(ledger, newest(ledger).entry);
  return secondsOf(async () => {
    let last = 0;
    for (const capture of past.moments) {
      const memory = await past.memoryAt(capture);
      const [read] = await memory.read([COUNTER / PAGE_BYTES]);
      assert(read !== undefined, 'a page was read');
      last = capture;
    }
    assert(last > 0, 'there are captures');
  });
}

/** Seconds to the last change of a word, by somebody who has looked at nothing yet. */
async function backSeconds(ledger: Ledger, address: number): Promise<number> {
  const vm = await DebuggedVm.open(ledger, newest(ledger));
  try {
    const stretch = { address: BigInt(address), length: WORD };
    return await secondsOf(async () => {
      const changed = await vm.lastChange({ stretch, space: PHYSICAL }, {});
      assert(changed?.after.moment === CHANGED_AT - 1, 'the last change is found');
    });
  } finally {
    await vm.end();
  }
}

/** Seconds that all values of the counter take. */
async function valuesSeconds(ledger: Ledger, captures: number): Promise<number> {
  const { entry, row } = newest(ledger);
  return secondsOf(async () => {
    let count = 0;
    const place = { physical: COUNTER };
    const asked = {
      entry,
      kernel: null,
      place,
      type: { type: 'u64' },
      from: null,
      to: row,
    } as const;
    for await (const { value } of valuesOver(ledger, asked)) {
      count += 1;
      assert(value === BigInt(count), 'a value is the one that was written');
    }
    assert(count === captures, 'every capture has a value of its own');
  });
}

function libraryRows(history: History, samples: number): Promise<Row[]> {
  const { folder, captures } = history;
  return withLedger({ folder }, async (ledger) => {
    // The page index is made once, whoever asks first.
    await scanSeconds(ledger);
    const scans = figureOf(await sampled(samples, () => scanSeconds(ledger)), 's');
    const limit = { what: 'a word looked at in every capture', figure: scans };
    const row = async (what: string, seconds: () => Promise<number>, bound: number) =>
      rowOf({
        what,
        measured: figureOf(await sampled(samples, seconds), 's'),
        limit,
        target: { sense: 'at most', bound },
      });
    return [
      await row(
        `back to the last write, ${captures - CHANGED_AT} captures ago`,
        () => backSeconds(ledger, ALONE),
        0.1,
      ),
      await row(
        'the same, of bytes whose page is written in every capture',
        () => backSeconds(ledger, BESIDE),
        3,
      ),
      await row(
        `every value of an address over ${captures} captures`,
        () => valuesSeconds(ledger, captures),
        5,
      ),
    ];
  });
}

const gdbWords = ({ folder }: History, at = 'latest'): readonly string[] => [
  '--ledger',
  folder,
  'gdb',
  '--vm',
  VM,
  '--at',
  at,
];

/** A client of our server that goes where it is told and times packets. */
class Packets {
  readonly #client: GdbClient;

  constructor(history: History) {
    this.#client = GdbClient.stdio(gdbWords(history));
  }

  async ask(payload: string, expected: RegExp): Promise<void> {
    const answer = await this.#client.ask(payload);
    assert(answer !== null && expected.test(answer), `${payload} is answered: ${answer ?? ''}`);
  }

  async monitor(words: string): Promise<string> {
    return this.#client.monitor(words);
  }

  /** Packets a second. */
  async rate(payload: string, count: number): Promise<number> {
    const seconds = await secondsOf(async () => {
      for (let i = 0; i < count; i += 1) await this.ask(payload, /./u);
    });
    return count / seconds;
  }

  async backSeconds(address: number): Promise<number> {
    const watch = `2,${address.toString(16)},${WORD}`;
    await this.monitor('goto latest');
    await this.ask(`Z${watch}`, /^OK$/u);
    const seconds = await secondsOf(() => this.ask('bc', /watch:/u));
    await this.ask(`z${watch}`, /^OK$/u);
    return seconds;
  }

  end(): void {
    this.#client.end();
  }
}

async function packetRows(history: History, samples: number): Promise<Row[]> {
  const { captures } = history;
  const packets = new Packets(history);
  try {
    const rows: Row[] = [];
    for (const [what, address] of [
      ['back to the last write, over packets', ALONE],
      ['the same, of bytes whose page is written in every capture', BESIDE],
    ] as const) {
      await packets.backSeconds(address);
      const measured = await sampled(samples, () => packets.backSeconds(address));
      rows.push(rowOf({ what, measured: figureOf(measured, 's') }));
    }
    const count = Math.min(captures, 2000);
    const word = `m${COUNTER.toString(16)},${WORD}`;
    await packets.rate(word, count);
    const reads = await sampled(samples, () => packets.rate(word, count));
    const others = await sampled(samples, () => packets.rate('qAttached', count));
    rows.push(
      rowOf({
        what: 'reads of a word a second, over packets',
        measured: figureOf(reads, '/s'),
        limit: { what: 'packets that read nothing', figure: figureOf(others, '/s') },
        target: { sense: 'at least', bound: 0.5 },
      }),
    );
    const holds = async (): Promise<number> => {
      await packets.monitor('goto @1');
      return secondsOf(async () => {
        const said = await packets.monitor(`when u64 0x${COUNTER.toString(16)} == ${captures}`);
        assert(said.startsWith(`holds from @${captures}`), `a condition is met: ${said}`);
      });
    };
    await holds();
    const each = (await sampled(samples, holds)).map((seconds) => (1e3 * seconds) / captures);
    rows.push(
      rowOf({
        what: 'a condition (`when`), each capture that it is looked at in',
        measured: figureOf(each, 'ms'),
        target: { sense: 'at most', bound: GDB_ALONE_MS },
        note: 'held against what GDB alone takes for each hit',
      }),
    );
    return rows;
  } finally {
    packets.end();
  }
}

/** Milliseconds of each hit of a watchpoint whose condition GDB itself looks at. */
function gdbHitMs(history: History, hits: number): number {
  const place = `*(long *)0x${COUNTER.toString(16)}`;
  const lines = [
    'set can-use-hw-watchpoints 1',
    `watch ${place} if ${place} == 1`,
    "python import time; begun = time.time(); gdb.execute('reverse-continue'); print('took', time.time() - begun)",
    'p $seq',
  ];
  const options = ['-batch', ...lines.flatMap((line) => ['-ex', line])];
  const words = [...gdbWords(history, `@${hits + 1}`), '--', ...options];
  const { stdout, stderr } = spawnSync(process.execPath, cliWords(words), { encoding: 'utf8' });
  const took = /^took ([\d.]+)$/mu.exec(stdout)?.[1];
  assert(took !== undefined && /= 1$/mu.test(stdout), `GDB goes back: ${stdout}${stderr}`);
  return (1e3 * Number(took)) / hits;
}

async function run(context: BenchContext): Promise<readonly Row[]> {
  const captures = context.isQuick ? 200 : 10_000;
  const samples = context.isQuick ? 2 : 5;
  const history = await makeHistory(context, captures);
  context.tell('in the library');
  const rows = await libraryRows(history, samples);
  context.tell('over packets');
  rows.push(...(await packetRows(history, samples)));
  if (programPath('gdb') === null) {
    context.tell('no gdb is installed: its conditions are not measured');
    return rows;
  }
  context.tell('GDB itself');
  const hits = Math.min(2000, captures - 1);
  const measured = await sampled(Math.min(samples, 3), () => gdbHitMs(history, hits));
  rows.push(
    rowOf({
      what: `a conditional watchpoint in GDB, each of ${hits} hits`,
      measured: figureOf(measured, 'ms'),
      note: `GDB alone, with a server that does nothing else: 0.27 to ${GDB_ALONE_MS} ms`,
    }),
  );
  return rows;
}

export const timeTravel: Bench = {
  name: 'time-travel',
  title: 'Going back in a history of 10,000 captures',
  run,
};

// `demo`: boots a real guest, records it while it runs, shows what was recorded and
// saved, goes back to an earlier capture and resumes a second QEMU from there, whose console goes on
// from exactly that point. Where QEMU cannot run, the same with images that it makes.

import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import {
  demoFolder,
  demoTools,
  makeImages,
  secondGuest,
  startDemoGuest,
  ticksOf,
} from '../../../wiring/demo.ts';
import { openLedger } from '../../../wiring/opening/open-ledger.ts';
import { recordGuest } from '../../../wiring/record/record-guest.ts';
import { recordImages } from '../../../wiring/record/record-images.ts';
import { restoreToFile } from '../../../wiring/restore/restore.ts';
import { resumeLazily } from '../../../wiring/restore/resume.ts';
import { sharingOf } from '../../../wiring/questions/pages.ts';
import { momentOf } from '../../../wiring/questions/moments.ts';
import { verify } from '../../../wiring/verify/verify.ts';
import type { CaptureRow } from '../../../../projections/models/vm-entry.ts';
import { type Ledger } from '../../../wiring/ledger/ledger.ts';
import { captureRows } from '../../rows/capture-rows.ts';
import { sharingTable } from '../sharing-table.ts';
import { CAPTURE_COLUMNS } from '../tables.ts';
import { EXIT_FAILED } from '../failure.ts';
import { leavingNothing, tellOfInterruption } from '../interruption.ts';
import { bytesText, type Output } from '../output.ts';
import { outputOf } from '../session.ts';

const VM = 'demo';
const CAPTURES = 5;
const EVERY_MS = 1500;
const BACK_TO = 2;
const TICKS_SHOWN = 4;

export const declare = (command: Command): Command =>
  command.option('--keep', 'keep the ledger and say where it is');

/** What is taken away where the demonstration is interrupted; the first guest ends with this process. */
interface LeftBehind {
  second: ChildProcess | null;
}

export async function run(command: Command): Promise<void> {
  const folder = demoFolder();
  const left: LeftBehind = { second: null };
  tellOfInterruption(() => 'the demonstration ends here, and nothing of it stays');
  const takeAway = (): void => {
    left.second?.kill('SIGKILL');
    folder.remove();
  };
  await leavingNothing(takeAway, () => demonstrate(command, folder, left));
}

async function demonstrate(
  command: Command,
  folder: ReturnType<typeof demoFolder>,
  left: LeftBehind,
): Promise<void> {
  const { keep } = command.opts<{ keep?: boolean }>();
  const output = outputOf(command);
  const ledger = await openLedger({ url: join(folder.path, 'ledger'), mode: 'create' });
  try {
    const tools = await demoTools((sentence) => output.say(sentence));
    const isSame =
      tools._tag === 'Right'
        ? await withGuest(ledger, output, { tools: tools.right, folder: folder.path, left })
        : await withImages(ledger, output, folder.path, tools.left.message);
    const { summary } = await verify(ledger, () => undefined);
    output.say(
      `verify: ${summary.checked.pages} stored pages read back, ${summary.damaged} damaged`,
    );
    if (!isSame || summary.damaged > 0) process.exitCode = EXIT_FAILED;
  } finally {
    await ledger.close();
    if (keep === true) output.say(`the ledger is in ${join(folder.path, 'ledger')}`);
    else folder.remove();
  }
}

async function showRecord(ledger: Ledger, output: Output): Promise<void> {
  const entry = ledger.vm(VM);
  output.rows(captureRows(entry), CAPTURE_COLUMNS);
  const counts = await sharingOf(ledger, { ...momentOf(ledger, 'latest'), vm: null });
  sharingTable(output, counts);
  const all = entry.captures.reduce((sum, row) => sum + row.written + row.unchanged, 0) * 4096;
  output.say(
    `${entry.captures.length} captures of ${bytesText(all)} in all are kept in ${bytesText(counts.storedBytes + counts.logBytes)}`,
  );
}

type Tools = Parameters<typeof startDemoGuest>[0]['tools'];

async function withGuest(
  ledger: Ledger,
  output: Output,
  place: { readonly tools: Tools; readonly folder: string; readonly left: LeftBehind },
): Promise<boolean> {
  output.say('starting a Linux guest under QEMU; its workload prints a checksum of its memory');
  const guest = await startDemoGuest(place);
  try {
    output.say(`recording it ${CAPTURES} times while it runs`);
    const printedAt: number[] = [];
    const request = {
      qmp: guest.qmpPath,
      everyMs: EVERY_MS,
      count: CAPTURES,
      signal: new AbortController().signal,
      // What an interruption leaves goes with the rest.
      folder: place.folder,
      socketFolder: place.folder,
    };
    await recordGuest(ledger, { vm: VM, group: null }, request, {
      onCapture: (row: CaptureRow) => {
        printedAt.push(ticksOf(guest.lines()).length);
        output.say(
          `  capture ${row.capture}: the guest stood still for ${(row.pauseMs ?? 0).toFixed(1)} ms`,
        );
      },
      onSkip: () => undefined,
      onWarning: (sentence) => output.say(`  ${sentence}`),
    });
    await showRecord(ledger, output);
    return await goBack(ledger, output, { ...place, lines: () => ticksOf(guest.lines()) });
  } finally {
    await guest.kill();
  }
}

/** Resumes a second guest and compares its console with what the first printed after the capture. */
async function goBack(
  ledger: Ledger,
  output: Output,
  first: {
    readonly tools: Tools;
    readonly folder: string;
    readonly left: LeftBehind;
    readonly lines: () => readonly string[];
  },
): Promise<boolean> {
  const entry = ledger.vm(VM);
  const row = ledger.resolve(entry, `@${BACK_TO}`);
  output.say(`resuming a second guest from capture ${BACK_TO}, while the first one runs on`);
  const second = secondGuest(first);
  const resumed = await resumeLazily(
    ledger,
    { entry, row },
    { command: second.command, isDiskOk: false, isOnDemandOnly: false },
  );
  first.left.second = resumed.process;
  const isLazy = resumed._tag === 'arriving';
  const began = isLazy ? ', before its memory is there' : '';
  try {
    await second.waitForTicks(TICKS_SHOWN);
    const again = second.ticks().slice(0, TICKS_SHOWN);
    const lines = first.lines();
    const from = lines.indexOf(again[0]!);
    const original = from < 0 ? [] : lines.slice(from, from + TICKS_SHOWN);
    const isSame =
      original.length === TICKS_SHOWN && original.every((line, i) => line === again[i]);
    output.say(
      `it runs after ${resumed.startMs.toFixed(0)} ms${began}, and its console goes on from there:`,
    );
    for (const [i, line] of again.entries())
      output.say(
        `  ${line}   ${line === original[i] ? 'as the first guest printed it' : 'DIFFERENT'}`,
      );
    if (output.isJson)
      output.json({
        capture: BACK_TO,
        resumedMs: resumed.startMs,
        lazy: isLazy,
        lines: again,
        same: isSame,
      });
    return isSame;
  } finally {
    resumed.process.kill('SIGKILL');
    // Who gave it its memory lets go of the point then.
    if (isLazy) await resumed.arrived;
  }
}

async function withImages(
  ledger: Ledger,
  output: Output,
  folder: string,
  why: string,
): Promise<boolean> {
  output.say(`no guest can run here: ${why}`);
  output.say('recording images made for the purpose instead');
  const files = makeImages({ folder, count: CAPTURES, pages: 16_384 });
  const request = { files, timeMs: null };
  await recordImages(ledger, { vm: VM, group: null }, request, () => undefined);
  await showRecord(ledger, output);
  const entry = ledger.vm(VM);
  const path = join(folder, 'restored.raw');
  const row = ledger.resolve(entry, `@${BACK_TO}`);
  await restoreToFile(ledger, { entry, row }, { path, format: 'raw', isForced: false });
  const isSame = readFileSync(path).equals(readFileSync(files[BACK_TO - 1]!));
  output.say(
    `capture ${BACK_TO} restored: ${isSame ? 'byte for byte the image that was recorded' : 'DIFFERENT'}`,
  );
  if (output.isJson) output.json({ capture: BACK_TO, same: isSame });
  return isSame;
}

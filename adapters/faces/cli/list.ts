// `vms`, `captures`, `checkpoints`: what the catalogue holds.

import type { Command } from 'commander';
import { pageCountOf } from '../../../domain/values/memory-map.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { CaptureRow } from '../../../projections/models/catalogue.ts';
import type { Ledger } from '../../wiring/ledger.ts';
import { bytesText, field, isoTime, numeric, type Column, type Row } from './output.ts';
import { warn, withLedger } from './session.ts';

/** A capture as `captures` and `record` print it; one that was just recorded is not forgotten. */
export const captureJson = (row: CaptureRow): Row => ({
  capture: row.capture,
  position: String(row.position),
  time: isoTime(row.timeMs),
  written: row.written,
  stored: row.stored,
  merged: row.merged,
  pattern: row.pattern,
  unchanged: row.unchanged,
  sharingBroken: row.broken,
  pauseMs: row.pauseMs,
  mode: row.mode,
  source: row.source,
  deviceState: row.hasDevice,
  damage: row.damage,
  forgotten: false,
});

export const CAPTURE_COLUMNS: readonly Column[] = [
  numeric('capture'),
  numeric('position'),
  field('time'),
  numeric('written'),
  numeric('stored'),
  numeric('merged'),
  numeric('pattern'),
  numeric('unchanged'),
  {
    title: 'pause',
    align: 'right',
    cell: ({ pauseMs }) => (typeof pauseMs === 'number' ? `${pauseMs.toFixed(1)} ms` : '-'),
  },
  field('mode'),
];

/** Only where there is one to tell of. */
const FORGOTTEN: Column = {
  title: '',
  cell: ({ forgotten }) => (forgotten === true ? 'forgotten' : ''),
};

export const captures = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const entry = ledger.vm(command.opts<{ vm: string }>().vm);
    const rows: Row[] = entry.captures.map((row) => ({
      ...captureJson(row),
      forgotten: entry.isForgotten(row.capture),
    }));
    const hasForgotten = rows.some(({ forgotten }) => forgotten === true);
    output.rows(rows, hasForgotten ? [...CAPTURE_COLUMNS, FORGOTTEN] : CAPTURE_COLUMNS);
    if (entry.lostTail !== null)
      warn(
        `the history of VM ${entry.vm} is damaged after its last capture here: ${entry.lostTail}`,
      );
    return Promise.resolve();
  });

const vmRows = (ledger: Ledger): Row[] =>
  [...ledger.state.catalogue.vms.values()]
    .filter((entry) => entry.captures.length > 0 || entry.state.registered !== null)
    .map((entry) => {
      const { registered, argv } = entry.state;
      const pages = registered === null ? null : pageCountOf(registered.memoryMap);
      return {
        vm: entry.vm,
        group: registered?.group ?? null,
        share: registered?.share ?? null,
        pages,
        bytes: pages === null ? null : pages * PAGE_BYTES,
        captures: entry.captures.length,
        firstTime: entry.captures[0] === undefined ? null : isoTime(entry.captures[0].timeMs),
        lastTime: entry.captures.length === 0 ? null : isoTime(entry.captures.at(-1)!.timeMs),
        retired: entry.retired !== null,
        memoryMap: registered?.memoryMap ?? null,
        commandLine: argv,
      };
    });

export const vms = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    output.rows(vmRows(ledger), [
      field('vm'),
      field('group'),
      {
        title: 'memory',
        align: 'right',
        cell: ({ bytes }) => (typeof bytes === 'number' ? bytesText(bytes) : '-'),
      },
      numeric('captures'),
      field('firstTime', 'first'),
      field('lastTime', 'last'),
      { title: '', cell: ({ retired }) => (retired === true ? 'retired' : '') },
    ]);
    return Promise.resolve();
  });

export const checkpoints = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const { vm } = command.opts<{ vm?: string }>();
    const entries = vm === undefined ? [...ledger.state.catalogue.vms.values()] : [ledger.vm(vm)];
    const rows = entries.flatMap((entry) =>
      entry.checkpoints.map(({ name, capture, position, timeMs }) => ({
        vm: entry.vm,
        name,
        capture,
        position: String(position),
        time: isoTime(timeMs),
      })),
    );
    output.rows(rows, [
      field('vm'),
      field('name'),
      numeric('capture'),
      numeric('position'),
      field('time'),
    ]);
    return Promise.resolve();
  });

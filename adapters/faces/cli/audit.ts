// `history`, `verify`.

import type { Command } from 'commander';
import * as either from 'fp-ts/lib/Either.js';
import { gfnOfAddress } from '../../../domain/values/memory-map.ts';
import { historyOf } from '../../wiring/pages.ts';
import { patternClassName } from '../../../projections/questions/pattern-classes.ts';
import { Refused } from '../../../domain/values/refused.ts';
import { verify as verifyLedger } from '../../wiring/audit.ts';
import { type VmEntry } from '../../../projections/models/catalogue.ts';
import { EXIT_DAMAGE, UsageError } from './failure.ts';
import { field, isoTime, numeric, type Row } from './output.ts';
import { progressOf, withLedger } from './session.ts';

function gfnAsked(entry: VmEntry, options: { page?: number; address?: number }): number {
  if ((options.page === undefined) === (options.address === undefined))
    throw new UsageError('either --page or --address was expected');
  const map = entry.state.registered?.memoryMap;
  if (options.page !== undefined) {
    const pages = map?.blocks.reduce((sum, block) => sum + block.pages, 0) ?? 0;
    if (options.page >= pages)
      throw new Refused({ _tag: 'GfnOutOfRange', vm: entry.vm, gfn: options.page, pages });
    return options.page;
  }
  const found = gfnOfAddress(map ?? { blocks: [], ranges: [] }, options.address ?? 0);
  if (either.isLeft(found)) throw new Refused(found.left);
  return found.right.gfn;
}

export const history = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const options = command.opts<{ vm: string; page?: number; address?: number }>();
    const entry = ledger.vm(options.vm);
    const gfn = gfnAsked(entry, options);
    const rows: Row[] = (await historyOf(ledger, entry, gfn)).map((version) => ({
      capture: version.capture,
      position: String(version.position),
      time: isoTime(version.timeMs),
      gfn: version.gfn,
      outcome: version.outcome,
      pattern: patternClassName(version.patternClass),
      identifier: version.identifier,
      storedBytes: version.storedBytes,
      sharers: version.sharers,
      sharersNow: version.sharersNow,
      forgotten: entry.isForgotten(version.capture),
    }));
    output.rows(rows, [
      numeric('capture'),
      field('time'),
      numeric('gfn'),
      field('outcome'),
      field('pattern'),
      numeric('storedBytes', 'bytes'),
      numeric('sharers'),
      numeric('sharersNow', 'now'),
      field('identifier'),
    ]);
  });

export const verify = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const progress = progressOf('verifying');
    const { findings, summary } = await verifyLedger(ledger, ({ done, total }) =>
      progress.bytes(done, total),
    );
    progress.clear();
    if (output.isJson) {
      for (const { kind, where, affects, reason } of findings)
        output.json({ kind, where, affects, reason });
      output.json({
        checked: summary.checked,
        damaged: summary.damaged,
        withoutKey: summary.withoutKey,
      });
    } else {
      for (const { kind, where, affects, reason } of findings)
        output.say(
          `damaged ${kind}: ${where}: ${reason}; affects ${affects.length === 0 ? 'no point' : affects.join(', ')}`,
        );
      const { captures, packs, pages } = summary.checked;
      output.say(
        `${captures} captures, ${packs} packs, ${pages} stored pages checked; ${summary.damaged} damaged`,
      );
      if (summary.withoutKey.length > 0)
        output.say(
          `identifiers were not checked: no key of group ${summary.withoutKey.join(', ')}`,
        );
    }
    if (summary.damaged > 0) process.exitCode = EXIT_DAMAGE;
  });

// `copy`: a ledger into another, of any kind.

import type { Command } from 'commander';
import type { Finding } from '../../../../domain/values/finding.ts';
import { copyLedger } from '../../../wiring/copy/copy.ts';
import { openLedger } from '../../../wiring/opening/open-ledger.ts';
import { findingRow } from '../../rows/finding-rows.ts';
import { EXIT_DAMAGE } from '../failure.ts';
import { interruptible } from '../interruption.ts';
import { bytesText, counted } from '../output.ts';
import { lasting, openOptions, outputOf, progressOf, warn } from '../session.ts';

export const declare = (command: Command): Command =>
  command
    .argument('<from>', 'the ledger to copy')
    .argument('<to>', 'a new ledger, or an earlier copy of the same one');

/** It goes on when nobody reads what it prints. */
export const goesOnUnread = true;

const missedText = ({ where, reason, affects }: Finding): string =>
  `${where} was not copied whole: ${reason}; affects ${affects.length === 0 ? 'no point' : affects.join(', ')}`;

export async function run(command: Command): Promise<void> {
  const output = outputOf(command);
  const { pageStore, ...options } = openOptions(command);
  const from = await openLedger({ ...options, url: lasting(command.args[0]!), mode: 'read' });
  try {
    const store = pageStore === undefined ? {} : { pageStore };
    const to = await openLedger({
      ...options,
      ...store,
      url: lasting(command.args[1]!),
      mode: 'create',
    });
    const progress = progressOf(command, 'copying');
    try {
      const far = { done: 0, total: 0 };
      const told = (): string =>
        `${bytesText(far.done)} of ${bytesText(far.total)} of packs are copied, which stays; the rest is left, and copy goes on from there`;
      const copied = await interruptible(told, (step) =>
        copyLedger({ from, to }, ({ done, total }) => {
          Object.assign(far, { done, total });
          step();
          progress.bytes(done, total);
        }),
      );
      progress.clear();
      const { events, packs, bytes, findings, fingerprint } = copied;
      if (output.isJson) for (const finding of findings) output.json(findingRow(finding));
      else for (const finding of findings) warn(command, missedText(finding));
      output.summary('copy', { events, packs, bytes, missed: findings.length, fingerprint });
      output.say(
        `${counted(events, 'event')} and ${counted(packs, 'pack')} (${bytesText(bytes)}) copied; ${
          fingerprint === null
            ? `the rest is missing: run \`pageledger verify --repair\` on the original, and copy again`
            : `the fingerprint of both ledgers is ${fingerprint}`
        }`,
      );
      if (findings.length > 0) process.exitCode = EXIT_DAMAGE;
    } finally {
      progress.clear();
      await to.close();
    }
  } finally {
    await from.close();
  }
}

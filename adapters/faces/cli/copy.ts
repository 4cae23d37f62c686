// `copy`: a ledger into another, of any kind.

import type { Command } from 'commander';
import { copyLedger } from '../../wiring/copy.ts';
import { openLedger } from '../../wiring/open-ledger.ts';
import { bytesText } from './output.ts';
import { openOptions, outputOf, progressOf } from './session.ts';

export async function copy(
  urls: { readonly from: string; readonly to: string },
  command: Command,
): Promise<void> {
  const output = outputOf(command);
  const { pageStore, ...options } = openOptions(command);
  const from = await openLedger({ ...options, url: urls.from, mode: 'read' });
  try {
    const store = pageStore === undefined ? {} : { pageStore };
    const to = await openLedger({ ...options, ...store, url: urls.to, mode: 'create' });
    const progress = progressOf('copying');
    try {
      const copied = await copyLedger({ from, to }, ({ done, total }) =>
        progress.bytes(done, total),
      );
      progress.clear();
      if (output.isJson) output.json({ ...copied });
      const { events, packs, bytes, fingerprint } = copied;
      output.say(
        `${events} events and ${packs} packs (${bytesText(bytes)}) copied; the fingerprint of both ledgers is ${fingerprint}`,
      );
    } finally {
      progress.clear();
      await to.close();
    }
  } finally {
    await from.close();
  }
}

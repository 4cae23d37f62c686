// `group import`: keeps a key that another host exported.

import type { Command } from 'commander';
import { importGroup, importGroupFromFile } from '../../../wiring/ledger/groups.ts';
import { withLedger } from '../session.ts';

/** Far more than a key file has. */
const KEY_TEXT_CHARACTERS_MAX = 4096;

export const declare = (command: Command): Command =>
  command.argument('<file>', 'the file; - is standard input');

/** Standard input, as far as a key can be long. */
async function textOfInput(): Promise<string> {
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const part of process.stdin) {
    text += String(part);
    if (text.length > KEY_TEXT_CHARACTERS_MAX) break;
  }
  return text;
}

export const run = (command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const path = command.args[0]!;
    const group =
      path === '-'
        ? await importGroup(ledger, { text: await textOfInput(), where: 'standard input' })
        : await importGroupFromFile(ledger, path);
    output.summary('group import', { group });
    output.say(`this host can record into group ${group}`);
  });

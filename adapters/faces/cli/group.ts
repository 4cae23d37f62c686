// `group list`, `group export` and `group import`: sharing groups and the keys that this host has.

import type { Command } from 'commander';
import {
  exportGroup,
  exportGroupToFile,
  importGroup,
  importGroupFromFile,
  listGroups,
} from '../../wiring/groups.ts';
import { field, numeric } from './output.ts';
import { withLedger } from './session.ts';

/** Far more than a key file has. */
const KEY_TEXT_CHARACTERS_MAX = 4096;

export const list = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const rows = await listGroups(ledger);
    output.rows(
      rows.map((row) => ({ ...row })),
      [field('group'), field('key'), numeric('vms')],
    );
  });

export const exportKey = (command: Command): Promise<void> =>
  withLedger(command, 'read', async (ledger, output) => {
    const { group, to } = command.opts<{ group: string; to: string }>();
    if (to === '-') {
      process.stdout.write(await exportGroup(ledger, group));
      return;
    }
    await exportGroupToFile(ledger, { group, path: to });
    if (output.isJson) output.json({ group, to });
    output.say(
      `the key of group ${group} is in ${to}: whoever has it can tell which pages are equal`,
    );
  });

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

export const importKey = (path: string, command: Command): Promise<void> =>
  withLedger(command, 'write', async (ledger, output) => {
    const group =
      path === '-'
        ? await importGroup(ledger, { text: await textOfInput(), where: 'standard input' })
        : await importGroupFromFile(ledger, path);
    if (output.isJson) output.json({ group });
    output.say(`this host can record into group ${group}`);
  });

// Sharing groups and their keys, joined: a key leaves a host only by `exportGroup`,
// and comes to another one by `importGroup`.

import * as either from 'fp-ts/lib/Either.js';
import { nodeFiles } from '../../files/files.ts';
import { KEY_FILE_BYTES_MAX } from '../../stores/keys/group-key-file.ts';
import { groupKeyText, keyCheck, readGroupKey } from '../../stores/keys/group-keys.ts';
import { writeWhole } from '../../files/whole-file.ts';
import { LEDGER_STREAM } from '../../../domain/events/streams.ts';
import { decideLedger } from '../../../domain/ledger.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { type Ledger } from './ledger.ts';
import { run } from '../../../domain/ports/run.ts';

/** A sharing group as this host has it. */
export interface GroupRow {
  readonly group: string;
  /** `here`: recording into the group is possible on this host. */
  readonly key: 'here' | 'missing' | 'damaged';
  /** VMs of the group, retired ones too. */
  readonly vms: number;
}

/** The ledger's groups, by name. */
export async function listGroups(ledger: Ledger): Promise<readonly GroupRow[]> {
  const { facts, vms } = ledger.state.catalogue;
  const rows: GroupRow[] = [];
  for (const [group, check] of [...facts.groups].toSorted(([left], [right]) =>
    left < right ? -1 : 1,
  )) {
    const key = await ledger.keys.load({ group, keyCheck: check })();
    const members = [...vms.values()].filter(({ state }) => state.registered?.group === group);
    rows.push({ group, key: keyStateOf(key), vms: members.length });
  }
  return rows;
}

function keyStateOf(key: either.Either<LedgerError, unknown>): GroupRow['key'] {
  if (either.isRight(key)) return 'here';
  if (key.left.code === 'KEY_MISSING') return 'missing';
  if (key.left.code === 'KEY_DAMAGED') return 'damaged';
  throw key.left;
}

/** The check value of a group's key, from the event that made the group. NOT_FOUND. */
function checkOf(ledger: Ledger, group: string): string {
  const check = ledger.state.catalogue.facts.groups.get(group);
  if (check !== undefined) return check;
  throw new LedgerError(
    'NOT_FOUND',
    `no group ${JSON.stringify(group)} is in this ledger; \`pageledger group list\` lists those that are`,
    { group },
  );
}

/** The text of a group's key file. Secret: whoever has it can tell which pages are equal. */
export async function exportGroup(ledger: Ledger, group: string): Promise<string> {
  const check = checkOf(ledger, group);
  return groupKeyText(await run(ledger.keys.load({ group, keyCheck: check })));
}

/** The same into a new file that only its owner can read. TARGET_EXISTS. */
export async function exportGroupToFile(
  ledger: Ledger,
  { group, path }: { readonly group: string; readonly path: string },
): Promise<void> {
  const text = new TextEncoder().encode(await exportGroup(ledger, group));
  const isNew = await writeWhole({
    files: nodeFiles,
    path,
    parts: [text],
    permissions: 0o600,
    as: 'durable',
    existing: 'keep',
  });
  if (isNew) return;
  throw new LedgerError('TARGET_EXISTS', `${path} exists already; name another file`, { path });
}

/**
 * Keeps a key that `exportGroup` gave, so that this host can record into the group; gives the group. A
 * ledger that has not got the group has it from then on: of another ledger, with which it shares pages.
 * KEY_DAMAGED for anything else, and for a key that the ledger's group was not made with.
 */
export async function importGroup(
  ledger: Ledger,
  { text, where }: { readonly text: string; readonly where: string },
): Promise<string> {
  const key = readGroupKey(text, where);
  const command = { _tag: 'CreateGroup', group: key.group, keyCheck: keyCheck(key.key) } as const;
  await ledger.decide(LEDGER_STREAM, () => decideLedger(ledger.state.catalogue.facts)(command));
  if (command.keyCheck !== checkOf(ledger, key.group))
    throw new LedgerError(
      'KEY_DAMAGED',
      `${where} holds a key of a group '${key.group}', and not the one that this ledger's group of that name was made with; export it from a host that records into this ledger`,
      { group: key.group, where },
    );
  await run(ledger.keys.add(key));
  return key.group;
}

/** The same from a file. SOURCE_UNREADABLE. */
export async function importGroupFromFile(ledger: Ledger, path: string): Promise<string> {
  const bytes = await nodeFiles.load(path, KEY_FILE_BYTES_MAX);
  if (bytes !== null)
    return importGroup(ledger, { text: new TextDecoder().decode(bytes), where: path });
  throw new LedgerError(
    'SOURCE_UNREADABLE',
    `there is no file ${path}; the one that \`pageledger group export\` wrote was expected`,
    { path },
  );
}

// Which guest a QEMU runs, as its command line says: so that one is not recorded under two names, nor two
// under one, unremarked.

import type { Refusal } from './values/refusals.ts';

/** 128 bits as QEMU takes them; all of them 0: none. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u;
const NO_UUID = /^[0-]*$/u;

/** The UUID that a command line gives its guest, the last one counting; null: it gives none. */
export function uuidOf(argv: readonly string[]): string | null {
  let uuid: string | null = null;
  for (const [i, word] of argv.entries()) {
    const value = argv[i + 1];
    if (i === 0 || value === undefined) continue;
    const said = saidUuid(word.replace(/^--/u, '-'), value)?.toLowerCase();
    if (said !== undefined && UUID.test(said)) uuid = said;
  }
  return uuid === null || NO_UUID.test(uuid) ? null : uuid;
}

function saidUuid(option: string, value: string): string | undefined {
  if (option === '-uuid') return value;
  if (option !== '-smbios') return undefined;
  const parts = value.split(',');
  return parts.includes('type=1')
    ? parts.findLast((part) => part.startsWith('uuid='))?.slice('uuid='.length)
    : undefined;
}

/** Whether a guest began as another one was: a clone, or one that was resumed, keeps the UUID of that. */
const isBegunElsewhere = (argv: readonly string[]): boolean =>
  argv.some((word) => word === '-incoming' || word === '--incoming');

/** Why a guest that is followed is not the VM's; null: it may be. */
export function followedRefusal(
  vm: string,
  recorded: readonly string[] | null,
  argv: readonly string[] | null,
): Refusal | null {
  const [was, now] = [recorded, argv].map((line) => (line === null ? null : uuidOf(line)));
  if (was == null || now == null || was === now) return null;
  return { _tag: 'AnotherGuest', vm, was, now };
}

/** A VM, and the command line of its last capture. */
export interface KnownGuest {
  readonly vm: string;
  readonly argv: readonly string[] | null;
}

/**
 * What a person should know where the guest that is to be recorded as a VM seems to be one that is recorded
 * as another VM; null: nothing. `isOneHost`: the others were recorded on this host, where no two guests have
 * one monitor.
 */
export function secondNameDoubt(
  vm: string,
  argv: readonly string[] | null,
  others: Iterable<KnownGuest>,
  isOneHost: boolean,
): string | null {
  if (argv === null) return null;
  const uuid = isBegunElsewhere(argv) ? null : uuidOf(argv);
  const line = JSON.stringify(argv);
  for (const other of others) {
    if (other.vm === vm || other.argv === null) continue;
    const isSameLine = isOneHost && JSON.stringify(other.argv) === line;
    const isSameUuid =
      uuid !== null && !isBegunElsewhere(other.argv) && uuidOf(other.argv) === uuid;
    if (!isSameLine && !isSameUuid) continue;
    const what = isSameUuid ? `UUID (${uuid})` : 'command line';
    return `the guest of ${vm} has the ${what} of VM ${other.vm}: where it is the same guest, it has two histories from here on; \`--vm ${other.vm}\` goes on with the one that is there`;
  }
  return null;
}

// Where this host keeps what was found in a VM's memory of what its guest says of itself: derived state,
// `guests/VM/` (docs/format.md, "State files"). It ends with the VM.

import type { Ledger } from '../ledger/ledger.ts';

const folderOf = (vm: string): string => `guests/${vm}/`;

/** The name of a part of it. */
export const guestStateName = (vm: string, part: string): string => `${folderOf(vm)}${part}`;

/** Lets go of all of it. */
export async function dropGuestState({ stateFiles }: Ledger, vm: string): Promise<void> {
  for (const name of await stateFiles.list(folderOf(vm))) await stateFiles.drop(name);
}

// Memory that was given back out of the ledger: a stream beside the VM's own says by whom, when and how.
// Nothing is decided by it.

import type { EventOf } from './events/control.ts';

/** How memory is given back; another word of a later release is read as well. */
export type RestoredHow =
  'file' | 'pipe' | 'resume' | 'mount' | 'nbd' | 'clone' | 'server' | 'debugger';

/** Longest name of where memory went that is told whole, in UTF-16 units. */
const TO_TEXT_MAX = 1024;

/** What is said of it: of a name that is too long, the end. */
export const restoredEvent = ({
  vm,
  capture,
  how,
  to,
}: {
  readonly vm: string;
  readonly capture: number;
  readonly how: RestoredHow;
  readonly to: string | null;
}): EventOf<'CheckpointRestored'> => ({
  type: 'CheckpointRestored',
  data: { vm, capture, how, to: to === null ? null : to.slice(-TO_TEXT_MAX) },
});

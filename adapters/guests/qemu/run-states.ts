// What a guest may be doing, in QEMU's words, and what of that can be captured. A migration ends in a
// state of its own, `postmigrate`: a guest that slept, or stood because something had happened to it,
// would lose that, and could not be woken or looked into any more.

import { LedgerError } from '../../../domain/values/ledger-error.ts';

/** States that are captured; `postmigrate` is a paused guest that was migrated before. */
const CAPTURED = new Set(['running', 'paused', 'prelaunch', 'postmigrate']);

/** Why not, and what to do first. */
const REFUSED: Readonly<Record<string, string>> = {
  suspended: 'it sleeps (ACPI S3): wake it (system_wakeup, or a key) and record it then',
  'guest-panicked': 'its kernel has panicked: take its memory with dump-guest-memory, or reset it',
  shutdown: 'it has shut down: start it again',
  'io-error': 'it stands at an error of its disk: see to the disk and let it run (cont)',
  watchdog: 'its watchdog has stopped it: reset it, or let it run (cont)',
  'internal-error': 'QEMU has stopped it for an error of its own: reset it',
  debug: 'it stands at a breakpoint: let it run from the debugger',
  inmigrate: 'it waits for a migration that comes in: record it when that is over',
  'finish-migrate': 'it stands at the end of a migration: record it when that is over',
  'save-vm': 'QEMU is saving a snapshot of it: record it when that is over',
  'restore-vm': 'QEMU is loading a snapshot of it: record it when that is over',
  colo: 'it is one half of a COLO pair: record it outside of that',
  preconfig: 'QEMU has not made its machine yet (-preconfig): let it (x-exit-preconfig)',
};

/** Throws QMP_REFUSED for a guest that a capture would harm. */
export function checkRunState(path: string, runState: string): void {
  if (CAPTURED.has(runState)) return;
  const why = REFUSED[runState] ?? 'that is not known here: let it run or pause it (stop)';
  throw new LedgerError(
    'QMP_REFUSED',
    `${path}: the guest is in the state ${runState}, in which it is not captured; ${why}. ` +
      'It was not touched',
    { path, runState },
  );
}

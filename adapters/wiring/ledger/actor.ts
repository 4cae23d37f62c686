// Who works with a ledger from this process: what its control events say of whom they are by.

import { hostname, userInfo } from 'node:os';
import type { Actor } from '../../../domain/events/actor.ts';

/** Of this release: package.json says the same. */
export const VERSION = '0.1.0';

/** The user's name; of one whom the system has no name for, his number. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? '?'}`;
  }
}

/** The user of this process, on this host. */
export const thisActor = (): Actor => ({ user: userName(), host: hostname(), version: VERSION });

// The host's own time zone, for times that people write without one.

import type { Zone } from '../../../domain/values/instant.ts';

const MINUTE_MS = 60_000;

/** Where the clocks are put forward, a time that no clock showed is read as the clock before it. */
export const LOCAL: Zone = {
  wallMs: (ms) => ms - new Date(ms).getTimezoneOffset() * MINUTE_MS,
  instantMs(wallMs) {
    const wall = new Date(wallMs);
    const local = new Date(
      wall.getUTCFullYear(),
      wall.getUTCMonth(),
      wall.getUTCDate(),
      wall.getUTCHours(),
      wall.getUTCMinutes(),
      wall.getUTCSeconds(),
      wall.getUTCMilliseconds(),
    );
    // The constructor takes years below 100 for those of the last century.
    local.setFullYear(wall.getUTCFullYear());
    return local.getTime();
  },
};

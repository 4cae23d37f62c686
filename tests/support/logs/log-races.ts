// A log in a folder with what a log can hold: several streams, appends of several events, lost races.

import { expect } from '@jest/globals';
import type { EmbeddedLogFolder } from './embedded-logs.ts';
import { makeEvents } from './log-events.ts';
import { failureOf, valueOf } from '../outcomes.ts';

/** Appends of several sizes to three streams, one of which lost a race. */
export async function fillLogFolder(folder: EmbeddedLogFolder): Promise<void> {
  await folder.with(async (log) => {
    const revisions = [-1, -1, -1];
    for (const [i, stream] of [0, 1, 0, 2, 0, 1, 1, 2].entries()) {
      const events = makeEvents(1 + (i % 3));
      const expectedRevision = revisions[stream]!;
      await valueOf(log.append({ stream: `vm-${stream}`, expectedRevision, events }));
      revisions[stream]! += events.length;
    }
    const rival = await folder.open();
    // The rival does not know of the append before its own, so that its records are in the log: void.
    for (const count of [2, 1]) {
      await valueOf(rival.streamRevision('vm-0'));
      const race = { stream: 'vm-0', expectedRevision: revisions[0]! };
      await valueOf(log.append({ ...race, events: makeEvents(count) }));
      const lost = await failureOf(rival.append({ ...race, events: makeEvents(2) }));
      expect(lost.code).toBe('REVISION_CONFLICT');
      revisions[0]! += count;
      const next = { stream: 'vm-0', expectedRevision: revisions[0]! };
      await valueOf(log.append({ ...next, events: makeEvents(1) }));
      revisions[0]! += 1;
    }
  });
  await folder.closeLogs();
}

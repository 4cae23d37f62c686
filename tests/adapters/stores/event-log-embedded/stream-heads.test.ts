// Heads of the streams that a reader kept: it goes on from there, in no other log.

import { expect, describe, test } from '@jest/globals';
import { LOG_FORMATS, withLogFolder } from '../../../support/logs/embedded-logs.ts';
import { eventsOf, itemsOf, lineOf } from '../../../support/logs/log-events.ts';
import { fillLogFolder } from '../../../support/logs/log-races.ts';
import { valueOf } from '../../../support/outcomes.ts';

describe.each(LOG_FORMATS)('heads of the streams (format %d)', (format) => {
  test('that were kept let a log go on from there, and are refused by one they do not fit', () =>
    withLogFolder(async (folder) => {
      await fillLogFolder(folder);
      const events = await folder.with((log) => eventsOf(log));
      for (const { position } of events) {
        const heads = await folder.with((log) => valueOf(log.heads.at(position)));
        await folder.with(async (log) => {
          expect(await valueOf(log.heads.offer(heads))).toBe(true);
          const rest = events.filter((event) => event.position >= position).map(lineOf);
          expect((await eventsOf(log, position)).map(lineOf)).toEqual(rest);
          const revision = events.filter(({ stream }) => stream === 'vm-1').length - 1;
          expect(await valueOf(log.streamRevision('vm-1'))).toBe(revision);
        });
      }
      const heads = await folder.with(async (log) =>
        valueOf(log.heads.at(await valueOf(log.head()))),
      );
      const last = events.at(-1)!;
      const bytes = await folder.bytes();
      bytes[Number(last.position) + 120]! ^= 4;
      await folder.write(bytes);
      await folder.with(async (log) => {
        expect(await valueOf(log.heads.offer(heads))).toBe(false);
        expect(await valueOf(log.heads.offer(heads.subarray(1)))).toBe(false);
        expect(await valueOf(log.heads.offer(new Uint8Array(0)))).toBe(false);
        expect((await itemsOf(log)).at(-1)!._tag).toBe('damage');
      });
    }, format));
});

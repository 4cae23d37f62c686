// Answers of a server that the client cannot read: it throws where nobody could catch it, so that one
// such answer would end the process.

import streamsMessages from '@eventstore/db-client/generated/streams_pb.js';
import { expect, test } from '@jest/globals';
import { NO_STREAM } from '../../../../domain/ports/event-log.ts';
import { makeEvents } from '../../../support/logs/log-events.ts';
import { gather, valueOf } from '../../../support/outcomes.ts';
import { withServerLogs } from '../../../support/logs/server-logs.ts';

/** An answer with an event that is in no stream. */
function withoutStream(bytes: Uint8Array): Uint8Array {
  const answer = streamsMessages.ReadResp.deserializeBinary(bytes);
  answer.getEvent()?.getEvent()?.clearStreamIdentifier();
  return answer.serializeBinary();
}

test('an event that is in no stream is refused, where it is read and where it is followed', async () => {
  let isSpoiled = false;
  const onAnswer = (bytes: Uint8Array): Uint8Array => (isSpoiled ? withoutStream(bytes) : bytes);
  await withServerLogs(
    async (logs) => {
      const log = await logs.open();
      const events = makeEvents(3);
      await valueOf(log.append({ stream: 'vm-a', expectedRevision: NO_STREAM, events }));
      isSpoiled = true;
      const { signal } = new AbortController();
      const refused = {
        code: 'LOG_REFUSED',
        message: expect.stringContaining('an answer that is none'),
      };
      await expect(gather(log.read({ from: 0n }))).rejects.toMatchObject(refused);
      await expect(gather(log.subscribe({ from: 0n, signal }))).rejects.toMatchObject(refused);
      isSpoiled = false;
      expect(await gather(log.read({ from: 0n }))).not.toEqual([]);
    },
    { onAnswer },
  );
});

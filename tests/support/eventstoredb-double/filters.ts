// The filters that the server applies before it sends: by the name of the stream or the type of the
// event, by prefixes or by a regular expression.

import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import { status } from '@grpc/grpc-js';
import type { DoubleRecord } from './double-records.ts';
import { refusal } from './refusals.ts';
import { Refused } from './services.ts';

/** Whether the request's filter lets an event through; without a filter all pass. */
export function matcherOf(options: ReadReq.Options): (record: DoubleRecord) => boolean {
  const filter = options.getFilter();
  if (filter === undefined) return () => true;
  const byType = filter.hasEventType();
  const expression = byType ? filter.getEventType() : filter.getStreamIdentifier();
  if (expression === undefined)
    throw new Refused(refusal(status.INVALID_ARGUMENT, 'A filter without an expression.'));
  const subject = (record: DoubleRecord): string => (byType ? record.type : record.stream);
  if (expression.getRegex() !== '') {
    // The server's dialect is .NET's; what both understand alike is what tests are to use.
    const pattern = new RegExp(expression.getRegex());
    return (record) => pattern.test(subject(record));
  }
  const prefixes = expression.getPrefixList();
  return (record) => prefixes.some((prefix) => subject(record).startsWith(prefix));
}

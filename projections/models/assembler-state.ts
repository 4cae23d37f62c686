// Where in the log a fold stands, as state files bear it: with the last event that was read, which
// tells the log from another past of it.

import * as t from 'io-ts';
import { position } from './catalogue-state.ts';

export const assemblerState = t.strict({
  next: position,
  last: t.union([t.strict({ position, id: t.string }), t.null]),
  pending: t.array(t.strict({ stream: t.string, revision: t.number, position })),
});

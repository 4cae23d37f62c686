// Who brought a control event about, as the host that appended it says (docs/events.md, "By whom"). It
// stands beside the fields of the event's schema, whatever its type: a reader that does not know it
// passes over it, and one that does not fit counts as absent, so that every release folds the same.

import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

/** Longest text of an actor, in UTF-16 units. */
const ACTOR_TEXT_MAX = 64;

const text = t.refinement(t.string, ({ length }) => length <= ACTOR_TEXT_MAX, 'actorText');
const actor = t.strict({ user: text, host: text, version: text });
const borne = t.type({ by: actor });

/** A user of a host, and the release of pageledger that he ran. Nobody vouches for any of it. */
export type Actor = Readonly<t.TypeOf<typeof actor>>;

const bounded = (long: string): string => long.slice(0, ACTOR_TEXT_MAX);

/** An actor as it is written: of texts that are too long, the beginning. */
export const boundedActor = ({ user, host, version }: Actor): Actor => ({
  user: bounded(user),
  host: bounded(host),
  version: bounded(version),
});

/** The actor that an event's JSON bears; null: it bears none that could be. */
export function actorIn(json: unknown): Actor | null {
  const decoded = borne.decode(json);
  return either.isRight(decoded) ? decoded.right.by : null;
}

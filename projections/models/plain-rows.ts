// Codecs of plain rows, of which a state file may have a hundred thousand: as io-ts's `strict`, which
// makes a context and an answer for every field, and takes most of the time of opening a long ledger.

import * as either from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

const isRecord = (u: unknown): u is Record<string, unknown> =>
  typeof u === 'object' && u !== null && !Array.isArray(u);

/**
 * A codec as `t.strict(fields)`, for fields whose values are what they are decoded to wherever they are
 * of their type. Of what does not fit it says less.
 */
export function plainRow<P extends t.Props>(
  fields: P,
): t.Type<t.TypeOfProps<P>, t.OutputOfProps<P>> {
  const whole = t.strict(fields);
  const codecs: readonly (readonly [string, t.Mixed])[] = Object.entries(fields);
  return new t.Type<t.TypeOfProps<P>, t.OutputOfProps<P>>(
    whole.name,
    (u): u is t.TypeOfProps<P> => whole.is(u),
    (u, context) => {
      if (!isRecord(u)) return t.failure(u, context);
      // What io-ts calls a codec of anything, as each field was decoded by its own.
      const row: t.TypeOf<t.Mixed> = {};
      for (const [key, codec] of codecs) {
        const value = u[key];
        if (codec.is(value)) row[key] = value;
        else {
          const decoded: t.Validation<unknown> = codec.validate(value, context);
          if (either.isLeft(decoded)) return decoded;
          row[key] = decoded.right;
        }
      }
      return t.success(row);
    },
    (row) => whole.encode(row),
  );
}

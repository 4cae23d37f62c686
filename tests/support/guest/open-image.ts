// The first moment of a file, as one source.

import type { TaskEither } from 'fp-ts/lib/TaskEither.js';
import { openMoments, type OpenSourceRequest } from '../../../adapters/guests/sources.ts';
import type { GuestSource } from '../../../domain/ports/guests.ts';
import { atPort } from '../../../domain/ports/run.ts';
import { isLedgerError, type LedgerError } from '../../../domain/values/ledger-error.ts';

/** Opens a file as a source; the caller closes it. */
export const openImage = (request: OpenSourceRequest): TaskEither<LedgerError, GuestSource> =>
  atPort(
    async () => {
      const moments = openMoments(request);
      const first = await moments.next();
      if (first.done === true) throw new TypeError('a file has a moment');
      const source = first.value;
      const close = (): void => void moments.return(undefined);
      return { warnings: source.warnings, capture: () => source.capture(), close };
    },
    (thrown) => {
      if (isLedgerError(thrown)) return thrown;
      throw thrown;
    },
  );

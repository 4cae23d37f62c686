// A word on events of a later release: their kinds allow passing over, and whoever reads on should know
// that there is more.

import type { Finding } from '../../../domain/values/finding.ts';
import type { PassedOver } from '../../../projections/commits.ts';

/** Types that are told of at most. */
const TYPES_MAX = 64;

/** Tells once of each type that was passed over. */
export function tellPassedOver(onNotice: (sentence: string) => void): (event: PassedOver) => void {
  const told = new Set<string>();
  return ({ type, position }) => {
    if (told.has(type) || told.size === TYPES_MAX) return;
    told.add(type);
    onNotice(
      `found an event of type ${type} at position ${position}, which this release does not know: such events are passed over, and nothing that they say is shown; use the release that wrote them`,
    );
  };
}

/** Notes of what was passed over, a type each. */
export class PassedOverNotes {
  readonly #types = new Map<string, { readonly position: bigint; count: number }>();

  readonly add = ({ type, position }: PassedOver): void => {
    const known = this.#types.get(type);
    if (known !== undefined) known.count += 1;
    else if (this.#types.size < TYPES_MAX) this.#types.set(type, { position, count: 1 });
  };

  findings(): Finding[] {
    return [...this.#types].map(([type, { position, count }]) => ({
      kind: 'newer-event',
      where: `the log, from position ${position} on`,
      reason: `found ${count} events of type ${type}, which this release does not know; they are passed over: use the release that wrote them`,
      affects: [],
      isNote: true,
    }));
  }
}

// Peers that ask about migrations of which nothing is known here: each such question is written down for
// good, so that one peer may ask so many in an hour.

const HOUR_MS = 3_600_000;
/** Who moves guests asks about one that never began here once in a long time. */
export const UNKNOWN_ASKS_MAX = 12;
/** Peers that are kept count of. */
const PEERS_MAX = 256;

/** Counts questions that are written down, by who asks. */
export class UnknownAsks {
  readonly #timesMs = new Map<string, readonly number[]>();

  /** Whether a peer may ask one more; it counts. */
  take(peer: string, nowMs: number): boolean {
    for (const [name, times] of this.#timesMs) {
      const late = times.filter((timeMs) => nowMs - timeMs < HOUR_MS);
      if (late.length === 0) this.#timesMs.delete(name);
      else this.#timesMs.set(name, late);
    }
    const times = this.#timesMs.get(peer) ?? [];
    if (times.length >= UNKNOWN_ASKS_MAX) return false;
    if (times.length === 0 && this.#timesMs.size >= PEERS_MAX) return false;
    this.#timesMs.set(peer, [...times, nowMs]);
    return true;
  }
}

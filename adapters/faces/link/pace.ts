// How slowly a peer may send while it holds what others wait for.

import { linkInvalid } from '../../wiring/hosts/arrival.ts';
import { LINK_TIMES, type Link } from './frames.ts';

/** What a peer may take: a time for the first message, and for what follows the more the more that is. */
export interface Pace {
  readonly patienceMs: number;
  readonly bytesASecond: number;
}

/** Slower than any link over which a guest could be moved. */
export const SLOWEST: Pace = { patienceMs: LINK_TIMES.silenceMs, bytesASecond: 2 ** 14 };

/**
 * Works on what a peer sends, as long as that comes at a pace: by whole messages, so that bytes now and
 * then are none. LINK_INVALID, with the link closed, where it is slower.
 */
export async function atPace<A>(link: Link, pace: Pace, work: () => Promise<A>): Promise<A> {
  const startMs = performance.now();
  const before = link.bytes;
  const leftMs = (): number => {
    const earnedMs = ((link.bytes - before) / pace.bytesASecond) * 1000;
    return startMs + pace.patienceMs + earnedMs - performance.now();
  };
  let isLate = false;
  const look = (): void => {
    const ms = leftMs();
    if (ms > 0) timer = setTimeout(look, ms);
    else {
      isLate = true;
      link.close();
    }
  };
  let timer = setTimeout(look, pace.patienceMs);
  try {
    return await work();
  } catch (thrown) {
    if (!isLate) throw thrown;
    const sent = `${link.bytes - before} bytes in ${((performance.now() - startMs) / 1000).toFixed(0)} s`;
    throw linkInvalid(`it sent ${sent}: that is too slow while others wait`);
  } finally {
    clearTimeout(timer);
  }
}

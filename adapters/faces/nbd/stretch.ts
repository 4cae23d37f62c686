// Stretches of an export: bytes that follow each other, and what is said of their pages.

import { PAGE_BYTES } from '../../../domain/values/page.ts';

export interface Stretch {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** A stretch of whose pages one thing is said. */
export interface Run<A> extends Stretch {
  readonly said: A;
}

/** A stretch as runs, from its beginning on: of no two neighbours the same is said. */
export function* runsOf<A>(
  { offsetBytes, lengthBytes }: Stretch,
  sayOf: (page: number) => A,
): Generator<Run<A>> {
  const end = offsetBytes + lengthBytes;
  for (let at = offsetBytes; at < end;) {
    let page = Math.floor(at / PAGE_BYTES);
    const said = sayOf(page);
    while (page * PAGE_BYTES < end && sayOf(page) === said) page += 1;
    const next = Math.min(end, page * PAGE_BYTES);
    yield { offsetBytes: at, lengthBytes: next - at, said };
    at = next;
  }
}

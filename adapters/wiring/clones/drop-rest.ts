// How long clones are left alone once they dropped something: until they have got on, by the processor time
// that they have had since.

import { ticksOf } from '../../guests/process-time.ts';
import { haveGotOn } from '../../../domain/host-relief.ts';

/** A tick of a processor, as the kernel tells it to programs (USER_HZ), in milliseconds. */
const TICK_MS = 10;

/** A rest that begins now, of processes that may end meanwhile. */
export class DropRest {
  readonly #begun = performance.now();
  readonly #ticks: ReadonlyMap<number, number>;

  constructor(processes: readonly number[]) {
    this.#ticks = new Map(processes.map((process) => [process, ticksOf(process) ?? 0]));
  }

  get isOver(): boolean {
    const since = [...this.#ticks].flatMap(([process, before]) => {
      const ticks = ticksOf(process);
      return ticks === null ? [] : [ticks - before];
    });
    const ticks = since.reduce((sum, each) => sum + each, 0);
    const ms = performance.now() - this.#begun;
    return haveGotOn({ ms, processorMs: ticks * TICK_MS, clones: since.length });
  }
}

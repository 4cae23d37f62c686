// The point at which a debugger stands is held, so that nobody who forgets or compacts takes it away, and
// the ledger is told that it is read. Who runs through thousands of captures holds none of them, and tells
// of none: that is done once the debugger stays at one.

import { isRefused } from '../../../domain/values/refused.ts';
import { Turn } from '../../../domain/values/turn.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { VmPoint } from '../ledger/vm-point.ts';
import { holdPoint, type HeldPoint } from '../points/leases.ts';
import { recordRestored } from '../restore/restored.ts';

/** How long a debugger has to stay at a point before it is held. */
const SETTLED_MS = 1000;

export class Standing {
  readonly #ledger: Ledger;
  readonly #turn = new Turn();
  readonly #told = new Set<number>();
  #held: { readonly capture: number; readonly point: HeldPoint } | null = null;
  #at: VmPoint;
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  private constructor(ledger: Ledger, at: VmPoint) {
    this.#ledger = ledger;
    this.#at = at;
  }

  /** Stands at a point, which is held from now on. Refused where it was forgotten. */
  static async begin(ledger: Ledger, at: VmPoint): Promise<Standing> {
    const standing = new Standing(ledger, at);
    await standing.#hold();
    return standing;
  }

  /** Stands somewhere else: that is held soon, and until then what was held is. */
  move(at: VmPoint): void {
    this.#at = at;
    if (this.#timer !== null || this.#isOver) return;
    const settled = (): void => {
      this.#timer = null;
      // Forgotten meanwhile, it is not there to be held, which is met when it is read.
      this.#turn
        .run(() => this.#hold())
        .catch((thrown: unknown) => {
          if (!isRefused(thrown)) throw thrown;
        });
    };
    this.#timer = setTimeout(settled, SETTLED_MS);
    this.#timer.unref();
  }

  async #hold(): Promise<void> {
    const at = this.#at;
    const { capture } = at.row;
    const before = this.#held;
    if (this.#isOver || before?.capture === capture) return;
    const point = await holdPoint(this.#ledger, at, { kind: 'debugger' });
    this.#held = { capture, point };
    if (!this.#told.has(capture)) {
      this.#told.add(capture);
      await recordRestored(this.#ledger, at, { how: 'debugger' });
    }
    await before?.point.release();
  }

  /** Stands nowhere any more. */
  async end(): Promise<void> {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#turn.run(async () => this.#held?.point.release());
  }
}

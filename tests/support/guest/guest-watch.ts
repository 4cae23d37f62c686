// A guest seen from outside while others record it, by a monitor of the test's own: how long it stood
// still, by QEMU's times, and its clock, the ACPI timer of the machine `pc`, which stands while it does.

import { connectQmp, type QmpClient } from '../../../adapters/guests/qemu/qmp-client.ts';

/** Where the firmware puts the timer, how fast it counts and where it begins anew. */
const TIMER = 'i /w 0x608';
const TIMER_HZ = 3_579_545;
const TIMER_SPAN = 2 ** 24;

export class GuestWatch {
  readonly #qmp: QmpClient;
  readonly #pauses: number[] = [];
  #stoppedAtMs: number | null = null;
  #stoodMs = 0;
  #last: { readonly hostMs: number; readonly ticks: number } | null = null;
  /** By the host's clock and by the guest's, since the first look. */
  #hostMs = 0;
  #guestMs = 0;
  /** Within how many milliseconds the first look and the last are known. */
  #firstWithinMs: number | null = null;
  #lastWithinMs = 0;

  private constructor(qmp: QmpClient) {
    this.#qmp = qmp;
    qmp.onEvent(({ event, timeMs }) => {
      if (event === 'STOP') this.#stoppedAtMs = timeMs;
      if (event !== 'RESUME' || this.#stoppedAtMs === null) return;
      this.#pauses.push(timeMs - this.#stoppedAtMs);
      this.#stoodMs += timeMs - this.#stoppedAtMs;
      this.#stoppedAtMs = null;
    });
  }

  static async connect(path: string): Promise<GuestWatch> {
    return new GuestWatch(await connectQmp({ path, commandTimeoutMs: 600_000 }));
  }

  /** The pauses since this was last asked, in milliseconds. */
  takePauses(): number[] {
    return this.#pauses.splice(0);
  }

  /** How long it stood still in all. */
  get stoodMs(): number {
    return this.#stoodMs;
  }

  /** Looks at the clock; at least every few seconds, unless the host's clock tells the rest. */
  async look(): Promise<void> {
    const askedMs = performance.now();
    const text = await this.#qmp.monitor(TIMER);
    const withinMs = (performance.now() - askedMs) / 2;
    const hostMs = askedMs + withinMs;
    this.#firstWithinMs ??= withinMs;
    this.#lastWithinMs = withinMs;
    const ticks = Number(/= *(0x[0-9a-f]+)/u.exec(text)?.[1]) % TIMER_SPAN;
    const last = this.#last ?? { hostMs, ticks };
    this.#last = { hostMs, ticks };
    const passedMs = hostMs - last.hostMs;
    const counted = (ticks - last.ticks + TIMER_SPAN) % TIMER_SPAN;
    const expected = (passedMs / 1000) * TIMER_HZ;
    const rounds = Math.max(0, Math.round((expected - counted) / TIMER_SPAN));
    this.#hostMs += passedMs;
    this.#guestMs += ((counted + rounds * TIMER_SPAN) / TIMER_HZ) * 1000;
  }

  /** How far the guest's clock has fallen behind the host's, how well that is known, and over how long. */
  get drift(): { readonly behindMs: number; readonly withinMs: number; readonly overMs: number } {
    return {
      behindMs: this.#hostMs - this.#guestMs,
      withinMs: (this.#firstWithinMs ?? 0) + this.#lastWithinMs,
      overMs: this.#hostMs,
    };
  }

  close(): void {
    this.#qmp.close();
  }
}

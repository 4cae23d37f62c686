// The end of a migration, from QEMU's events.

import type { Qmp, QmpEvent } from './qmp.ts';

export class MigrationOutcome {
  readonly #stop: () => void;
  #status: string | null = null;
  #wake: (() => void) | null = null;

  constructor(qmp: Qmp) {
    this.#stop = qmp.onEvent((event: QmpEvent) => {
      const status = event.event === 'MIGRATION' ? event.data['status'] : null;
      if (status !== 'completed' && status !== 'failed' && status !== 'cancelled') return;
      this.#status = status;
      this.#wake?.();
    });
  }

  /** What the migration ended as, null where it did not within `ms`. */
  async within(ms: number): Promise<string | null> {
    if (this.#status !== null) return this.#status;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    return this.#status;
  }

  close(): void {
    this.#stop();
  }
}

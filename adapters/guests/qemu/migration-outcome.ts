// The end of a migration, from QEMU's events. They may come late (virsh), so that those of the migration
// before are heard too: this one begins with `setup`.

import type { Qmp, QmpEvent } from './qmp.ts';

export class MigrationOutcome {
  readonly #stop: () => void;
  #hasBegun = false;
  #status: string | null = null;
  #wake: (() => void) | null = null;

  constructor(qmp: Qmp) {
    this.#stop = qmp.onEvent((event: QmpEvent) => {
      const status = event.event === 'MIGRATION' ? event.data['status'] : null;
      if (status === 'setup') this.#hasBegun = true;
      if (status !== 'completed' && status !== 'failed' && status !== 'cancelled') return;
      if (!this.#hasBegun) return;
      this.#status = status;
      this.#wake?.();
    });
  }

  /** What a migration that is begun after this was made ended as; null where it did not within `ms`. */
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

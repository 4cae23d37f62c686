// What is done to a running guest, each time under a guard (guard.ts): whatever becomes of this program, and
// of the work, the guest is as it was afterwards.

import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { abandon } from './failed-capture.ts';
import { Guard } from './guard.ts';
import type { KeptGuards } from './kept-guards.ts';
import { letRun, restoreSettings, untilIdle, type Unfinished } from './migration-control.ts';
import type { Qmp } from './qmp.ts';
import type { FoundProcess } from './qemu-process.ts';
import { makeStreamPlace, type LiveStream } from './stream-place.ts';

/** What must be known of work to bring it to an end, and how QEMU reaches us meanwhile. */
export interface GuardedWork extends Unfinished {
  readonly stream: LiveStream;
}

/** Whether QEMU refused something. */
export const isRefusal = (thrown: unknown): boolean =>
  isLedgerError(thrown) && thrown.code === 'QMP_REFUSED';

/** Lets a guest be as it was before a capture that is over. */
export async function putBack(
  qmp: Qmp,
  { settings, wasRunning }: Pick<Unfinished, 'settings' | 'wasRunning'>,
): Promise<void> {
  await untilIdle(qmp);
  if (wasRunning) await letRun(qmp);
  await restoreSettings(qmp, settings);
}

export class Guards {
  readonly #qmp: Qmp;
  readonly #where: {
    readonly within: string | undefined;
    readonly process: () => Promise<FoundProcess>;
    readonly kept: KeptGuards | undefined;
  };
  #guard: Guard | null = null;

  constructor(
    qmp: Qmp,
    where: {
      readonly within: string | undefined;
      readonly process: () => Promise<FoundProcess>;
      /** Of which guests guards are kept from one capture to the next; undefined: of this one. */
      readonly kept: KeptGuards | undefined;
    },
  ) {
    this.#qmp = qmp;
    this.#where = where;
  }

  /** A guard that watches nothing ends. */
  close(): void {
    if (this.#guard !== null) this.#where.kept?.wake(this.#guard);
    this.#guard?.close();
  }

  /** Does something to a guest that a guard brings to an end where this program cannot. */
  async during<A>(
    request: GuardedWork,
    work: (of: {
      readonly guard: Guard;
      readonly uri: string;
      readonly folder: string | null;
    }) => Promise<A>,
  ): Promise<{ readonly result: A; readonly isGuarded: boolean }> {
    const { within, process } = this.#where;
    const { stream, wasRunning, settings, isCancellable } = request;
    const place = makeStreamPlace({
      stream,
      ...(within === undefined ? {} : { within }),
      found: await process(),
      label: this.#qmp.path,
    });
    const unfinished = { wasRunning, settings, isCancellable };
    try {
      const guard = this.#guardNow();
      const port = await guard.begin({
        kind: 'begin',
        qmp: this.#qmp.path,
        folder: place.folder,
        listen: place.listen,
        ...unfinished,
      });
      try {
        const result = await work({ guard, uri: place.uri(port), folder: place.folder });
        await guard.end();
        this.#where.kept?.rest(guard);
        return { result, isGuarded: !guard.isGone };
      } catch (error) {
        throw await this.#afterFailure(error, { ...request, ...unfinished, guard });
      }
    } finally {
      place.remove();
    }
  }

  #guardNow(): Guard {
    const { kept } = this.#where;
    if (this.#guard !== null) kept?.wake(this.#guard);
    if (this.#guard === null || this.#guard.isGone) this.#guard = Guard.start(this.#qmp);
    return this.#guard;
  }

  /**
   * What QEMU refused leaves nothing behind but settings. Anything else is left to the guard, and
   * the connection with it.
   */
  async #afterFailure(
    error: unknown,
    request: Unfinished & { readonly guard: Guard },
  ): Promise<unknown> {
    if (isRefusal(error)) {
      try {
        await putBack(this.#qmp, request);
        await request.guard.end();
        this.#where.kept?.rest(request.guard);
        return error;
      } catch (second) {
        if (!isLedgerError(second)) throw second;
      }
    }
    return abandon(error, { ...request, qmp: this.#qmp });
  }
}

// Clones of a memory server that run before their memory is there: what each touches is asked of the server,
// by the process that started it, or by one that goes on for that.

import { setTimeout as pause } from 'node:timers/promises';
import type { Command } from 'commander';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import type { Holder } from '../../../domain/values/lease.ts';
import { rangesWhere } from '../../../domain/values/page-ranges.ts';
import type { ParentPoint } from '../../../domain/vm.ts';
import {
  farNoteOf,
  recoverArrivingClone,
  startArrivingClone,
  type ArrivingClone,
  type FarSource,
} from '../../wiring/clones/far-arriving.ts';
import { FarGuest } from '../../wiring/clones/far-point.ts';
import { PageLooks } from '../../wiring/clones/page-looks.ts';
import { holderOf, lookUp } from '../../wiring/processes.ts';
import { FarMemory, readMaster } from '../nbd/far-memory.ts';
import { ToldLooks } from '../nbd/told-looks.ts';
import { awaitArrival, recoveringLine } from './arriving.ts';
import { startFar, tellFarEnded } from './far-clones.ts';
import { UsageError } from './failure.ts';
import { farServerOf, type Far, type FarOptions } from './far-server.ts';
import type { NumberedClone } from './running-guests.ts';
import type { Output } from './output.ts';
import { tell, warn } from './session.ts';
import { pointText } from './started-clones.ts';
import { farWaitingTold } from './waiting.ts';

/** How often it is looked whether a guest has ended that another process started. */
const LOOK_EVERY_MS = 500;

/** A guest of a memory server, and its memory, for as long as it is needed. */
interface OpenSource extends FarSource {
  readonly master: ParentPoint;
  close(): void;
}

/** Opens what a memory server serves. PEER_UNREACHABLE, PEER_REFUSED. */
async function openSource(command: Command, { server, check }: Far): Promise<OpenSource> {
  const { master, bytes, devices } = await readMaster(server, check);
  const { vm, capture, block } = master;
  const guest = await FarGuest.read(devices, { block, bytes });
  try {
    const memory = await FarMemory.open(server, { check, waiting: farWaitingTold(command) });
    const { master: now, sizeBytes } = memory;
    const isSame = now.vm === vm && now.capture === capture && now.block === block;
    if (isSame && sizeBytes === bytes) {
      const close = (): void => {
        memory.close();
        guest.close();
      };
      return { guest, memory, master: { vm, capture }, close };
    }
    memory.close();
    throw new LedgerError('PEER_REFUSED', 'the memory server serves another point by now', {});
  } catch (thrown) {
    guest.close();
    throw thrown;
  }
}

/** Starts clones whose memory arrives; `closed` once all have ended. */
export class ArrivingClones {
  readonly #command: Command;
  readonly #far: Far;
  readonly #source: OpenSource;
  readonly #clones = new Map<string, ArrivingClone>();
  readonly #told: ToldLooks;
  readonly #arrivals: Promise<void>[] = [];
  /** At what each has fetched. */
  readonly looks: PageLooks;

  private constructor(command: Command, far: Far, source: OpenSource) {
    this.#command = command;
    this.#far = far;
    this.#source = source;
    this.#told = new ToldLooks(far.server, { ...source.master, file: '' });
    this.looks = new PageLooks((clone) => this.#seen(clone), this.#told);
  }

  static async open(command: Command, far: Far): Promise<ArrivingClones> {
    return new ArrivingClones(command, far, await openSource(command, far));
  }

  get master(): ParentPoint {
    return this.#source.master;
  }

  /** What a clone has fetched. Nothing of it is another's, so it is of a file of its own. */
  #seen(clone: string) {
    const { fetched } = this.#clones.get(clone)!;
    const base = { ...this.master, file: `postcopy-${clone}` };
    const { gfn, pages } = this.#source.guest.mapped;
    const mapped = rangesWhere(fetched.subarray(gfn, gfn + pages), 1, gfn);
    return { clone, base, mapped, own: [] };
  }

  /** Starts one. */
  async start(request: {
    readonly command: readonly string[];
    readonly isDiskOk: boolean;
    readonly onStderr?: (text: string) => void;
  }): Promise<Pick<NumberedClone, 'clone' | 'teller'>> {
    const { server } = this.#far;
    const started = await startFar(
      this.#command,
      { server, kind: 'postcopy', told: this.#told },
      async (name) => {
        const { master } = this;
        const clone = await startArrivingClone(this.#source, { ...request, name, master });
        this.#clones.set(name, clone);
        return clone;
      },
    );
    this.#arrivals.push(this.#arrived(started.clone));
    return started;
  }

  async #arrived({ memory, qmpPath }: ArrivingClone): Promise<void> {
    try {
      await memory.arrived;
    } catch (thrown) {
      if (!isLedgerError(thrown)) throw thrown;
      warn(
        this.#command,
        `a clone stands at a page that it lacks: ${thrown.message}; it goes on with: ${recoveringLine(this.#command, qmpPath)}`,
      );
    }
  }

  /** Waits until nobody needs the server any more. */
  async close(): Promise<void> {
    await Promise.all(this.#arrivals);
    this.#source.close();
  }
}

/** Waits until a process of this host has ended. */
async function untilGone({ process, started }: Holder): Promise<void> {
  for (let now = lookUp(process); now?.started === started; now = lookUp(process))
    await pause(LOOK_EVERY_MS);
}

/**
 * Goes on with a clone whose command was killed, until it has its memory; then stays until it has ended, since
 * nobody else tells the server.
 */
export async function recoverFar(
  command: Command,
  output: Output,
  of: { readonly qmpPath: string; readonly isOnDemandOnly: boolean },
): Promise<void> {
  const { qmpPath, isOnDemandOnly } = of;
  const far = await farServerOf(command.opts<FarOptions>());
  if (far === null) throw new UsageError('--from was expected');
  const { vm, capture, lease, process } = farNoteOf(qmpPath);
  const source = await openSource(command, far);
  try {
    if (source.master.vm !== vm || source.master.capture !== capture)
      throw new LedgerError(
        'PEER_REFUSED',
        `the guest is of ${vm}@${capture}, and the memory server serves ${pointText(source.master)}`,
        { vm, capture },
      );
    const holder = holderOf(process ?? 0);
    const memory = await recoverArrivingClone(source, { qmpPath, isOnDemandOnly });
    const label = `${vm}@${capture}`;
    const row = { vm, capture, state: memory.runState, qmp: qmpPath };
    if (output.isJson) output.json({ ...row, recovered: true });
    else tell(command, `${label} is ${memory.runState} again; its memory goes on arriving`);
    await awaitArrival(command, output, { memory, label, row });
    await untilGone(holder);
    if (lease !== null) await tellFarEnded(command, far.server, { lease, holder, qmp: qmpPath });
  } finally {
    source.close();
  }
}

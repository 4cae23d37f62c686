// A migration at its source, from beginning to end: what is moved, when the guest stands, and who has it
// whatever fails.

import {
  controlGuest,
  decideOnMigration,
  migrationNow,
  migrationOf,
  type GuestControl,
} from '../../wiring/hosts/migrations.ts';
import { promisedPages } from '../../wiring/hosts/held.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import type { VmPoint } from '../../wiring/ledger/vm-point.ts';
import { recordGuest } from '../../wiring/record/record-guest.ts';
import { endOf, isUnderWay } from '../../../domain/migrations.ts';
import { isRefused, refuse } from '../../../domain/values/refused.ts';
import type { Link } from './frames.ts';
import {
  askTarget,
  checkTarget,
  greet,
  handOver,
  sendCapture,
  type Moved,
  type Moving,
} from './source.ts';

/** Rounds of a live guest before it is stopped, at most. */
const ROUNDS_MAX = 4;
/** Pages of a round after which the next one is the last, with the guest stopped (4 MiB). */
const LAST_PAGES_MAX = 1024;
/** A round that sends more than this share of the one before brings nothing. */
const SHRINKS_TO = 0.75;

export interface MoveRequest {
  readonly ledger: Ledger;
  readonly vm: string;
  readonly migration: string;
  readonly from: string;
  readonly to: string;
  /** The point that is moved; of a live guest absent: captures of it are. */
  readonly point: VmPoint | null;
  /** QMP of the guest that is moved; null: none runs. */
  readonly qmp: string | null;
  /** Reaches the target, once more where it broke off. */
  readonly reach: () => Promise<Link>;
  /** Ends it, as long as the guest was not handed over: it stays. Absent: nothing does. */
  readonly signal?: AbortSignal;
  readonly onMoved: (moved: Moved) => void;
  readonly onTold: (sentence: string) => void;
}

/** What became of a migration. */
export interface MoveResult {
  readonly phase: 'completed' | 'failed';
  /** How long the guest stood; null: none ran. */
  readonly downtimeMs: number | null;
}

/** Captures the guest as it is now, in this ledger. */
async function captureOf({ ledger, vm, onTold }: MoveRequest, qmp: string): Promise<VmPoint> {
  const request = { qmp, everyMs: 0, count: 1, signal: new AbortController().signal };
  const listener = { onCapture: () => undefined, onWarning: onTold, onSkip: () => undefined };
  await recordGuest(ledger, { vm, group: null }, request, listener);
  const entry = ledger.vm(vm);
  return { entry, row: ledger.resolve(entry, 'latest') };
}

/** A migration under way, at the source. */
class Move {
  readonly #of: MoveRequest;
  readonly #guest: GuestControl | null;
  #stoppedAtMs: number | null = null;
  #moving: Moving | null = null;
  /** Whether the target has the same log. */
  #isCommon = false;
  /** Whether it was tried to hand the guest over: until then it is ours, whatever else fails. */
  #isGivenUp = false;

  constructor(of: MoveRequest) {
    this.#of = of;
    this.#guest = of.qmp === null ? null : controlGuest(of.qmp);
  }

  async run(): Promise<MoveResult> {
    const { ledger, vm, migration, from, to, qmp, signal } = this.#of;
    const first = await this.#firstPoint();
    signal?.throwIfAborted();
    const { capture } = first.row;
    const kind = qmp === null ? 'point' : 'live';
    const moving = { vm, migration, capture, from, to, kind };
    await decideOnMigration(ledger, vm, { _tag: 'StartMigration', ...moving });
    this.#moving = moving;
    try {
      const link = await this.#of.reach();
      const drop = (): void => link.close();
      try {
        signal?.throwIfAborted();
        signal?.addEventListener('abort', drop);
        const peer = await greet(link, { from, to, ledger: ledger.id });
        this.#isCommon = peer.ledger === ledger.id;
        const last = await this.#moveAll(link, first);
        signal?.throwIfAborted();
        signal?.removeEventListener('abort', drop);
        this.#isGivenUp = true;
        await handOver(ledger, link, { moving, capture: last.row.capture });
      } finally {
        signal?.removeEventListener('abort', drop);
        link.close();
      }
      return await this.#end('completed');
    } catch (thrown) {
      return this.#after(thrown);
    }
  }

  #firstPoint(): Promise<VmPoint> {
    const { point, qmp } = this.#of;
    return point !== null || qmp === null ? Promise.resolve(point!) : captureOf(this.#of, qmp);
  }

  /** Moves the point; of a live guest captures until little changes, and the last one while it stands. */
  async #moveAll(link: Link, first: VmPoint): Promise<VmPoint> {
    const { ledger, qmp, to, onMoved } = this.#of;
    const moving = this.#moving!;
    let sent: VmPoint | null = null;
    const send = async (point: VmPoint, promised: Iterable<number> = []): Promise<number> => {
      if (this.#isCommon) {
        const { vm } = moving;
        await checkTarget(link, { vm, capture: point.row.capture });
        return 0;
      }
      const moved = await sendCapture(ledger, link, { point, before: sent, moving, promised });
      sent = point;
      onMoved(moved);
      return moved.pages;
    };
    // What was thought of the target is over with the first one: what that lacked of it was sent.
    let pages = await send(first, this.#isCommon ? [] : await promisedPages(ledger, first, to));
    if (qmp === null || this.#guest === null) return first;
    for (let round = 1, before = Infinity; round < ROUNDS_MAX; round += 1) {
      // A guest that writes as fast as it is sent is not waited for.
      if (pages <= LAST_PAGES_MAX || pages > SHRINKS_TO * before) break;
      before = pages;
      pages = await send(await link.working(() => captureOf(this.#of, qmp)));
    }
    this.#stoppedAtMs = performance.now();
    await this.#guest.stop();
    const last = await link.working(() => captureOf(this.#of, qmp));
    // One log: what the guest changed since is read as it is started.
    if (!this.#isCommon) await send(last);
    return last;
  }

  /** Something failed. Before the guest was handed over it is ours; later only the target knows. */
  async #after(thrown: unknown): Promise<MoveResult> {
    const { ledger, vm, migration, onTold } = this.#of;
    // Also where the log cannot be asked any more; one that both have has the last word.
    if (!this.#isGivenUp && !this.#isCommon)
      await this.#letGo().catch((failed: unknown) => {
        onTold(`the guest stands, and could not be let go: ${String(failed)}`);
      });
    const now = (await migrationNow(ledger, vm))?.phase;
    if (now === 'started') await this.#fail('broke-off', 'nothing');
    // In a log that both have the target may have said so itself.
    else if (now === 'failed') await this.#letGo();
    else if (now === 'completed') return this.#end(now);
    if (now !== 'handedOver') throw thrown;
    onTold(`${thrown instanceof Error ? thrown.message : String(thrown)}: the target is asked`);
    const phase = await this.#ask(migration).catch(() => (this.#isCommon ? this.#byLog() : null));
    if (phase === null) throw refuse({ _tag: 'MigrationInDoubt', vm, migration });
    const result = await this.#end(phase);
    if (phase === 'failed') throw thrown;
    return result;
  }

  async #ask(migration: string): Promise<'completed' | 'failed'> {
    const { ledger, vm, from, to, reach } = this.#of;
    const link = await reach();
    try {
      await greet(link, { from, to, ledger: ledger.id });
      return await askTarget(link, { vm, migration });
    } finally {
      link.close();
    }
  }

  /** In a log that both have, the first word counts: a target that has not completed cannot any more. */
  async #byLog(): Promise<'completed' | 'failed' | null> {
    const { ledger, vm, migration } = this.#of;
    const fail = { vm, migration, why: 'broke-off', by: 'log' } as const;
    await decideOnMigration(ledger, vm, { _tag: 'FailMigration', ...fail }).catch(
      (thrown: unknown) => {
        if (!isRefused(thrown)) throw thrown;
      },
    );
    return endOf(await migrationNow(ledger, vm), migration);
  }

  async #fail(why: string, by: 'nothing' | 'target'): Promise<void> {
    const { ledger, vm, migration } = this.#of;
    await decideOnMigration(ledger, vm, { _tag: 'FailMigration', vm, migration, why, by });
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    if (this.#stoppedAtMs === null) return;
    await this.#guest?.letGo();
    this.#stoppedAtMs = null;
  }

  /** The target has said what became of it. */
  async #end(phase: 'completed' | 'failed'): Promise<MoveResult> {
    const { ledger, vm, migration } = this.#of;
    if (phase === 'failed') {
      await this.#fail('target-gave-up', 'target');
      return { phase, downtimeMs: null };
    }
    const downtimeMs = this.#stoppedAtMs === null ? null : performance.now() - this.#stoppedAtMs;
    const capture = migrationOf(ledger, vm)?.capture ?? this.#moving!.capture;
    const complete = { vm, migration, capture, downtimeMs };
    await decideOnMigration(ledger, vm, { _tag: 'CompleteMigration', ...complete });
    await this.#guest?.end();
    return { phase, downtimeMs };
  }

  /** Ends the doubt of one that was left. */
  async resolve(): Promise<MoveResult> {
    const { ledger, vm, migration } = this.#of;
    const state = migrationOf(ledger, vm);
    if (!isUnderWay(state) || state.migration !== migration)
      throw refuse({ _tag: 'MigrationOver', vm, migration });
    this.#stoppedAtMs = this.#of.qmp === null ? null : performance.now();
    if (state.phase === 'started') {
      await this.#fail('resolved', 'nothing');
      return { phase: 'failed', downtimeMs: null };
    }
    const { phase } = await this.#end(await this.#ask(migration));
    return { phase, downtimeMs: null };
  }
}

/** Moves a point, or a live guest, to another host. Refused in doubt: then `resolveMove` ends it. */
export const moveGuest = (of: MoveRequest): Promise<MoveResult> => new Move(of).run();

/** Ends what is left of a migration, by what the target says. LINK_LOST where it cannot be asked. */
export const resolveMove = (of: MoveRequest): Promise<MoveResult> => new Move(of).resolve();

// The target of migrations: takes captures that it is offered, starts guests by its own words, and answers
// what became of a migration. A peer that says what cannot be is told so and dropped.

import { Arrival, linkInvalid } from '../../wiring/hosts/arrival.ts';
import {
  decideOnMigration,
  migrationNow,
  migrationOf,
  pointNow,
  requireReadable,
  startFromPoint,
} from '../../wiring/hosts/migrations.ts';
import type { CloneBase } from '../../wiring/clones/clone-base.ts';
import type { EarlierTold } from '../../wiring/hosts/told-changes.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import { endOf, isUnderWay, type MigrationsState } from '../../../domain/migrations.ts';
import { deviceOfParts, type DeviceState } from '../../../domain/values/device-state.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused, refuse } from '../../../domain/values/refused.ts';
import { refusalText } from '../../../domain/values/refusal-texts.ts';
import { refusalCode } from '../../../domain/values/refusals.ts';
import { hearContents, tellContents } from './contents.ts';
import type { Frame, Link } from './frames.ts';
import { Gathered } from './gathered.ts';
import {
  BODIES,
  bodyOf,
  LINK_MAGIC,
  LINK_VERSION,
  readAnnounced,
  readBody,
  readPages,
  readPatches,
  wantedBody,
  type BodyOf,
} from './messages.ts';
import { moveOnRequest, type GivingWays } from './requested-move.ts';
import { atPace, SLOWEST, type Pace } from './pace.ts';
import { UnknownAsks } from './unknown-asks.ts';

/** Bytes of a device state that are taken; those of large machines are far below. */
const DEVICE_BYTES_MAX = 64 * 2 ** 20;
const DEVICE_PARTS = 3;

export interface TargetWays {
  readonly ledger: Ledger;
  /** The name of this host. */
  readonly host: string;
  /** How guests are started here; null: they are not, what is moved here lies ready. */
  readonly command: readonly string[] | null;
  readonly isDiskOk: boolean;
  /** What guests map that are started here, as it is now; null, absent: nothing. NOT_FOUND. */
  readonly base?: (() => CloneBase) | null;
  /** How slowly a peer may send; absent: SLOWEST. */
  readonly pace?: Pace;
  /** What this host told before that it holds, for peers that have it. */
  readonly earlier?: EarlierTold;
  /** Which guests are moved when others ask, and how; null, absent: none is. */
  readonly give?: GivingWays | null;
  /** Hears what happens, for people. */
  readonly onTold: (sentence: string) => void;
}

type Offer = BodyOf<'offer'>;

/** A peer, for as long as its link is there. */
interface Visit {
  readonly peer: string;
  /** Whether it has a ledger of its own. */
  readonly isOfOtherLog: boolean;
  /** What it has sent last. */
  sent: { readonly vm: string; readonly capture: number } | null;
}

/** What a peer is told of a failure. */
function refusedBody(thrown: unknown): Uint8Array {
  if (isLedgerError(thrown)) return bodyOf({ code: thrown.code, message: thrown.message });
  if (isRefused(thrown))
    return bodyOf({ code: refusalCode(thrown.refusal), message: refusalText(thrown.refusal) });
  throw thrown;
}

const hasCaptures = (ledger: Ledger, vm: string): boolean =>
  ledger.vms().some((entry) => entry.vm === vm && entry.state.captures > 0);

/** A host that takes guests. */
export class MigrationTarget {
  readonly #ways: TargetWays;
  #isTaking = false;
  /** VMs whose guests are just being started. */
  readonly #starting = new Set<string>();
  readonly #unknownAsks = new UnknownAsks();
  #taken = 0;

  constructor(ways: TargetWays) {
    this.#ways = ways;
  }

  /** Guests that it has taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Serves a peer to its end. */
  async serve(link: Link): Promise<void> {
    const { onTold } = this.#ways;
    let peer = 'that did not say who it is';
    try {
      const { version, host, ledger } = readBody(BODIES.hello, await link.expect('hello'));
      if (version !== LINK_VERSION) throw linkInvalid(`its link is of version ${version}`);
      peer = host;
      const { host: name, ledger: own } = this.#ways;
      const hello = { magic: LINK_MAGIC, version: LINK_VERSION, host: name, ledger: own.id };
      await link.send('hello', bodyOf(hello));
      const visit: Visit = { peer, isOfOtherLog: ledger !== own.id, sent: null };
      for (;;) {
        const frame = await link.next();
        if (frame === null) return;
        await this.#answer(link, visit, frame);
      }
    } catch (thrown) {
      const body = refusedBody(thrown);
      onTold(`host ${peer}: ${thrown instanceof Error ? thrown.message : 'it was refused'}`);
      await link.send('refused', body).catch(() => undefined);
    } finally {
      link.close();
    }
  }

  #answer(link: Link, visit: Visit, { kind, body }: Frame): Promise<void> {
    const { peer } = visit;
    if (kind === 'offer') return this.#offered(link, visit, readBody(BODIES.offer, body));
    if (kind === 'handOver') return this.#handedOverOnce(link, readBody(BODIES.handOver, body));
    if (kind === 'contents') return this.#heard(link, peer, readBody(BODIES.contents, body));
    if (kind === 'check') return this.#checked(link, readBody(BODIES.check, body));
    if (kind === 'request') return this.#requested(link, readBody(BODIES.request, body));
    if (kind === 'ask') return this.#asked(link, peer, readBody(BODIES.ask, body));
    throw linkInvalid(`${kind} came out of turn`);
  }

  /** Hears what a peer holds, and says what this host does. */
  async #heard(link: Link, peer: string, facts: BodyOf<'contents'>): Promise<void> {
    const { ledger, host, onTold, earlier } = this.#ways;
    if (peer === host) throw linkInvalid(`it calls itself ${host}, as this host does`);
    const isNew = await hearContents(link, ledger, { peer, facts });
    if (isNew) onTold(`host ${peer} said what it holds`);
    await tellContents(link, ledger, { host, ...(earlier === undefined ? {} : { earlier }) });
  }

  /** Reads a point of the log that both have, before the guest is stopped for it. */
  async #checked(link: Link, { vm, capture }: BodyOf<'check'>): Promise<void> {
    const { ledger } = this.#ways;
    const point = await pointNow(ledger, vm, `@${capture}`);
    await link.working(() => requireReadable(ledger, point));
    await link.send('checked', new Uint8Array(0));
  }

  /** Another host asks that a guest of this one is moved. */
  async #requested(link: Link, { vm, to }: BodyOf<'request'>): Promise<void> {
    const { give = null, ledger, host, onTold } = this.#ways;
    if (give === null || !give.isGiven(vm)) throw refuse({ _tag: 'GuestNotGiven', vm });
    const moved = await link.working(() =>
      moveOnRequest({ ledger, host, give, onTold }, { vm, to }),
    );
    await link.send('moved', bodyOf(moved));
  }

  async #offered(link: Link, visit: Visit, { migration, offered }: Offer): Promise<void> {
    const { ledger, host } = this.#ways;
    const { peer, isOfOtherLog } = visit;
    if (migration.from !== peer || migration.to !== host || migration.vm !== offered.vm)
      throw linkInvalid(
        `host ${peer} offers what is to go from ${migration.from} to ${migration.to}`,
      );
    if (this.#isTaking) throw linkInvalid('another guest is just arriving here: try again');
    const { vm } = offered;
    // A guest of this host's own that is called the same is another one.
    if ((await migrationNow(ledger, vm)) === null && hasCaptures(ledger, vm))
      throw refuse({ _tag: 'VmRegisteredAlready', vm });
    this.#isTaking = true;
    try {
      // Nothing is written for an offer that cannot be.
      const sent = visit.sent?.vm === vm ? visit.sent.capture : null;
      const arrival = await Arrival.begin(ledger, offered, { from: peer, sent });
      try {
        await this.#endOld(vm, migration.migration);
        const start = { _tag: 'StartMigration', ...migration, isOfOtherLog } as const;
        await decideOnMigration(ledger, vm, start);
        const capture = await this.#take(link, arrival, { migration, offered });
        visit.sent = { vm, capture };
      } finally {
        arrival.close();
      }
    } finally {
      this.#isTaking = false;
    }
  }

  /** What began to move here before, and broke off, will not go on: whoever asks is told so. */
  async #endOld(vm: string, next: string): Promise<void> {
    const { ledger, host } = this.#ways;
    const state = migrationOf(ledger, vm);
    if (!isUnderWay(state) || state.migration === next || state.to !== host) return;
    await this.#giveUp(vm, state.migration, 'broke-off');
  }

  /** What a peer sends of a capture, at a pace at which others can wait for it: its device state. */
  async #receive(link: Link, arrival: Arrival): Promise<DeviceState | null> {
    const parts = Array.from(
      { length: DEVICE_PARTS },
      () => new Gathered(DEVICE_BYTES_MAX, 'a device state'),
    );
    for (;;) {
      const frame = await link.next();
      if (frame === null) throw linkInvalid('it ended before all was sent');
      if (frame.kind === 'sent') break;
      if (frame.kind === 'identifiers')
        await link.send('wanted', wantedBody(await arrival.announce(readAnnounced(frame.body))));
      else if (frame.kind === 'pages') {
        const { firstPage, pages } = readPages(frame.body);
        await arrival.take(firstPage, pages);
      } else if (frame.kind === 'patches') {
        const { gfns, masks } = readPatches(frame.body);
        await arrival.takePatches(gfns, masks);
      } else if (frame.kind === 'device') {
        const [of = DEVICE_PARTS] = frame.body;
        const part = parts[of];
        if (part === undefined) throw linkInvalid(`it sends part ${of} of a device state`);
        part.add(frame.body.subarray(1));
      } else throw linkInvalid(`${frame.kind} came out of turn`);
    }
    return parts.every(({ bytes }) => bytes.length === 0)
      ? null
      : deviceOfParts(parts.map(({ bytes }) => bytes));
  }

  /** Takes a capture; its number here. */
  async #take(link: Link, arrival: Arrival, { migration, offered }: Offer): Promise<number> {
    const { ledger, onTold, host, pace = SLOWEST } = this.#ways;
    const device = await atPace(link, pace, () => this.#receive(link, arrival));
    const { row, arrivedPages, patchedPages, heldPages } = await link.working(() =>
      arrival.record(device),
    );
    const { vm, migration: id } = { vm: offered.vm, migration: migration.migration };
    const { capture } = row;
    const counts = { regions: 0, pages: arrivedPages, held: heldPages, stale: 0 };
    const patched = patchedPages === 0 ? null : patchedPages;
    const note = { vm, migration: id, capture, ...counts, bytes: link.bytes, patched };
    await decideOnMigration(ledger, vm, { _tag: 'NoteMoved', ...note });
    const recorded = {
      capture: row.capture,
      arrived: arrivedPages,
      patched: patchedPages,
      held: heldPages,
    };
    await link.send('recorded', bodyOf(recorded));
    onTold(
      `capture ${row.capture} of VM ${offered.vm} is at host ${host}: ${arrivedPages} pages came, ${heldPages} were here`,
    );
    return capture;
  }

  /** The log takes a guest that is handed over twice for the same one; two would be started. */
  async #handedOverOnce(link: Link, of: BodyOf<'handOver'>): Promise<void> {
    if (this.#starting.has(of.vm)) throw linkInvalid(`VM ${of.vm} is just being started here`);
    this.#starting.add(of.vm);
    try {
      await this.#handedOver(link, of);
    } finally {
      this.#starting.delete(of.vm);
    }
  }

  async #handedOver(link: Link, of: BodyOf<'handOver'>): Promise<void> {
    const { vm, migration } = of;
    const { ledger, command, isDiskOk, base = null, onTold } = this.#ways;
    const state = await migrationNow(ledger, vm);
    const capture = state?.capture ?? null;
    if (capture === null) throw linkInvalid(`it hands VM ${vm} over, of which nothing came`);
    this.#requireOurs(vm, state);
    await decideOnMigration(ledger, vm, { _tag: 'HandOver', vm, migration, capture });
    const entry = ledger.vm(vm);
    const row = ledger.resolve(entry, `@${capture}`);
    const point = { entry, row };
    try {
      const guest =
        command === null || !row.hasDevice
          ? null
          : await link.working(() =>
              startFromPoint(ledger, point, { command, isDiskOk, base, onTold }),
            );
      try {
        const complete = { vm, migration, capture, downtimeMs: null };
        await decideOnMigration(ledger, vm, { _tag: 'CompleteMigration', ...complete });
      } catch (thrown) {
        guest?.end();
        throw thrown;
      }
      // It is ours now, and stays so whatever becomes of it.
      this.#taken += 1;
      await guest?.letGo().catch((thrown: unknown) => {
        onTold(`VM ${vm} is this host's, and stands: ${String(thrown)}`);
      });
      onTold(
        guest === null
          ? `VM ${vm} is this host's, at capture ${capture}; no guest was started`
          : `VM ${vm} runs here, as process ${guest.pid}`,
      );
    } catch (thrown) {
      await this.#giveUp(vm, migration, 'not-started');
      throw thrown;
    }
    await link.send('completed', bodyOf({ capture, downtimeMs: null }));
  }

  /** In a log that hosts have in common there are guests that go to others. */
  #requireOurs(vm: string, state: MigrationsState): void {
    if (isUnderWay(state) && state.to !== this.#ways.host)
      throw linkInvalid(`VM ${vm} is to go to host ${state.to ?? '-'}, which this host is not`);
  }

  /** Before anybody hears that this host has not got the guest, it can take it no more. */
  async #giveUp(vm: string, migration: string, why: string): Promise<void> {
    const { ledger } = this.#ways;
    const fail = { vm, migration, why, by: 'log' } as const;
    await decideOnMigration(ledger, vm, { _tag: 'FailMigration', ...fail });
  }

  async #asked(link: Link, peer: string, { vm, migration }: BodyOf<'ask'>): Promise<void> {
    const { ledger } = this.#ways;
    const state = await migrationNow(ledger, vm);
    if (state?.migration === migration) this.#requireOurs(vm, state);
    const end = endOf(state, migration);
    const isKnown = end !== null || state?.migration === migration;
    if (!isKnown && !this.#unknownAsks.take(peer, Date.now()))
      throw linkInvalid('it asks about too many migrations that never began here: ask in an hour');
    const isOurs = end === 'completed';
    if (!isOurs) await this.#giveUp(vm, migration, 'source-asked');
    await link.send('answer', bodyOf({ phase: isOurs ? 'completed' : 'failed' }));
  }
}

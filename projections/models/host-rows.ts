// The hosts of the workgroup, as the catalogue knows them: what each is, and where in the log it says what
// it holds. What that is, is read there by who asks (questions/advertised.ts).

import type { ControlEvent } from '../../domain/events/control.ts';
import { HOST_CODECS, MIGRATION_CODECS } from '../../domain/events/host-codecs.ts';
import { evolveHost, initialHost, type HostsEvent, type HostState } from '../../domain/hosts.ts';
import type { MigrationsEvent } from '../../domain/migrations.ts';
import type { Position } from '../../domain/ports/event-log.ts';

/** The events in which something is advertised, the first and the last. */
export interface AdvertisedAt {
  readonly first: Position;
  readonly last: Position;
  readonly timeMs: number;
}

/** Whether an event is one of a host. */
export const isOfHosts = (event: ControlEvent): event is HostsEvent =>
  Object.hasOwn(HOST_CODECS, event.type);
/** Whether an event is one of a guest that moves. */
export const isOfMigrations = (event: ControlEvent): event is MigrationsEvent =>
  Object.hasOwn(MIGRATION_CODECS, event.type);

export interface HostRow {
  readonly host: string;
  readonly state: HostState;
  /** Since when it is in the workgroup, by its clock, as it is now. */
  readonly joinedAtMs: number;
  /** Where it says what it holds; null: nowhere. */
  readonly advertisedAt: AdvertisedAt | null;
  /** Where the first part is of what it is telling; null: nothing is. */
  readonly arrivingFrom: Position | null;
  /** What was moved to it since it said last what it holds, of each VM the last point. */
  readonly arrived: readonly ArrivedPoint[];
}

/** A point whose guest was moved to a host, by the number that it has in this ledger. */
export interface ArrivedPoint {
  readonly vm: string;
  readonly capture: number;
}

const newHost = (host: string): HostRow => ({
  host,
  state: initialHost,
  joinedAtMs: 0,
  advertisedAt: null,
  arrivingFrom: null,
  arrived: [],
});

/** A host's row after an event of it. */
function rowAfter(
  row: HostRow,
  event: HostsEvent,
  { position, timeMs }: { readonly position: Position; readonly timeMs: number },
): HostRow {
  const state = evolveHost(row.state, event);
  switch (event.type) {
    case 'HostJoined':
      return { ...row, state, joinedAtMs: timeMs };
    case 'HostLeft':
      return { ...newHost(row.host), state };
    case 'ContentsAdvertised': {
      const first = event.data.part === 1 ? position : row.arrivingFrom;
      if (state.arriving !== null) return { ...row, state, arrivingFrom: first };
      const isWhole = first !== null && state.advertised !== row.state.advertised;
      if (!isWhole) return { ...row, state, arrivingFrom: null };
      const advertisedAt = { first, last: position, timeMs };
      return { ...row, state, advertisedAt, arrivingFrom: null, arrived: [] };
    }
    default:
      return event satisfies never;
  }
}

/** Changes the hosts by an event of one. */
export function applyToHosts(
  hosts: Map<string, HostRow>,
  event: HostsEvent,
  at: { readonly position: Position; readonly timeMs: number },
): void {
  const { host } = event.data;
  hosts.set(host, rowAfter(hosts.get(host) ?? newHost(host), event, at));
}

/** A guest that was moved to a host is there with all its memory. */
export function applyArrival(hosts: Map<string, HostRow>, host: string, point: ArrivedPoint): void {
  const row = hosts.get(host) ?? newHost(host);
  const others = row.arrived.filter(({ vm }) => vm !== point.vm);
  hosts.set(host, { ...row, arrived: [...others, point] });
}

// The workgroup, joined: which hosts there are, and what this one says of itself.

import { hostname } from 'node:os';
import { hardwareHere } from '../../guests/hardware.ts';
import { hostStream } from '../../../domain/events/streams.ts';
import type { HostFacts } from '../../../domain/events/host-codecs.ts';
import {
  decideHost,
  initialHost,
  type Hardware,
  type HostsCommand,
  type HostsEvent,
} from '../../../domain/hosts.ts';
import type { HostRow } from '../../../projections/models/host-rows.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** What a host says of itself beside its hardware. */
export interface JoinRequest {
  readonly host: string;
  /** Where it takes guests; null: it has the log in common with the others. */
  readonly address: string | null;
  readonly distances: HostFacts['distances'];
  /** Absent: what this machine has. */
  readonly hardware?: Hardware;
}

/** The name of this host, where none is given. */
export const thisHostName = (): string => hostname();

/** Decides on a host by its own stream. */
export const decideOnHost = (
  ledger: Ledger,
  host: string,
  commandOf: () => HostsCommand,
): Promise<readonly HostsEvent[]> =>
  ledger.decide(hostStream(host), () =>
    decideHost(ledger.state.catalogue.hosts.get(host)?.state ?? initialHost)(commandOf()),
  );

/** Joins the workgroup, or says what has changed: false where nothing has. */
export async function joinHost(ledger: Ledger, request: JoinRequest): Promise<boolean> {
  const { hardware = await hardwareHere(), host, address, distances } = request;
  const { cores, memoryBytes, cpu, features, qemu } = hardware;
  const facts = { host, address, cores, memoryBytes, cpu, features, qemu, distances };
  const events = await decideOnHost(ledger, host, () => ({ _tag: 'JoinHost', ...facts }));
  return events.length > 0;
}

/** Leaves the workgroup. */
export async function leaveHost(ledger: Ledger, host: string): Promise<void> {
  await decideOnHost(ledger, host, () => ({ _tag: 'LeaveWorkgroup', host }));
}

/** A host that is in the workgroup. */
export interface Host extends Omit<HostRow, 'state' | 'arrivingFrom' | 'arrived'> {
  readonly facts: HostFacts;
  /** Regions and pages that it said it holds; null: it has said nothing. */
  readonly advertised: { readonly regions: number; readonly pages: number } | null;
}

/** The hosts that are in the workgroup, by name. */
export const hostsOf = (ledger: Ledger): readonly Host[] =>
  [...ledger.state.catalogue.hosts.values()]
    .flatMap(({ state: { facts, advertised }, host, joinedAtMs, advertisedAt }) =>
      facts === null ? [] : [{ host, joinedAtMs, advertisedAt, facts, advertised }],
    )
    .toSorted((a, b) => (a.host < b.host ? -1 : 1));

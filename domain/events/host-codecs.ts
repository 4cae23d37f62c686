// The codecs of events that tell of hosts and of guests that move between them (docs/events.md, "Events
// of hosts" and "Events of migrations").

import * as t from 'io-ts';
import { capture, count, durationMs } from './number-codecs.ts';
import { hostText, lease, name, orNull, place, sha256, word } from './text-codecs.ts';

/** Most other hosts that a host says distances of, and most that are ranked. */
export const HOSTS_MAX = 1024;
/** Most features that a host says of its CPU. */
export const FEATURES_MAX = 512;
/** Most events that one advertisement is cut into. */
export const ADVERTISED_PARTS_MAX = 64;
/** Most bytes of an advertisement in one event: in base 64 they stay below an event's most. */
export const ADVERTISED_BYTES = 180 * 1024;

/** A list with at most so many items. */
const atMost = <C extends t.Mixed>(codec: C, most: number) =>
  t.refinement(t.readonlyArray(codec), ({ length }) => length <= most, 'atMost');

const feature = t.refinement(t.string, (text) => /^[a-z0-9_.-]{1,32}$/u.test(text), 'feature');
const natural = t.refinement(count, (n) => n >= 1, 'natural');
const part = t.refinement(natural, (n) => n <= ADVERTISED_PARTS_MAX, 'part');
const base64 = t.refinement(
  t.string,
  (text) =>
    text.length % 4 === 0 &&
    text.length <= (ADVERTISED_BYTES / 3) * 4 &&
    /^[A-Za-z0-9+/]*={0,2}$/u.test(text),
  'base64',
);

/** A host that a VM's guest may go to, as it was ranked. */
const candidate = t.strict({
  host: name,
  eligible: t.boolean,
  regions: count,
  pages: count,
  used: count,
  moveBytes: count,
  distance: orNull(count),
});

const moving = { vm: name, migration: lease, capture };

/** By type, the codec of the data of each event of a host. */
export const HOST_CODECS = {
  HostJoined: t.strict({
    host: name,
    address: orNull(place),
    cores: natural,
    memoryBytes: count,
    cpu: hostText,
    features: atMost(feature, FEATURES_MAX),
    qemu: orNull(hostText),
    distances: atMost(t.strict({ host: name, distance: count }), HOSTS_MAX),
  }),
  ContentsAdvertised: t.strict({
    host: name,
    generation: natural,
    part,
    parts: part,
    regions: count,
    pages: count,
    digest: sha256,
    bytes: base64,
  }),
  HostLeft: t.strict({ host: name }),
} as const;

/** The same of each event of a guest that moves. */
export const MIGRATION_CODECS = {
  CandidatesRanked: t.strict({
    vm: name,
    capture,
    counted: word,
    candidates: atMost(candidate, HOSTS_MAX),
    chosen: orNull(name),
  }),
  MigrationStarted: t.strict({ ...moving, from: name, to: name, kind: word }),
  RegionsMoved: t.strict({
    ...moving,
    regions: count,
    pages: count,
    bytes: count,
    held: count,
    stale: count,
    patched: orNull(count),
  }),
  GuestHandedOver: t.strict(moving),
  MigrationCompleted: t.strict({ ...moving, downtimeMs: orNull(durationMs) }),
  MigrationFailed: t.strict({ vm: name, migration: lease, why: word }),
} as const;

export type HostFacts = t.TypeOf<typeof HOST_CODECS.HostJoined>;
export type RankedHost = t.TypeOf<typeof candidate>;

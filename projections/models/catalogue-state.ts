// The catalogue as text, for its state file. Positions are strings: JSON numbers are too small.

import * as t from 'io-ts';
import { ascends } from '../../domain/invariants.ts';
import { CONTROL_CODECS } from '../../domain/events/control.ts';
import { hasFormat, LEDGER_FORMAT } from '../../domain/ledger.ts';
import { initialPatterns, withPattern } from '../../domain/patterns/index.ts';
import { plainRow } from './plain-rows.ts';
import { decodeState, StateUnfit } from './state-bytes.ts';
import { Catalogue } from './catalogue.ts';
import type { CaptureRow } from './vm-entry.ts';

const orNull = <C extends t.Mixed>(codec: C) => t.union([codec, t.null]);
const isDigits = (u: unknown): u is string => typeof u === 'string' && /^\d+$/u.test(u);

/** A position as text. */
export const position = new t.Type<bigint, string>(
  'position',
  (u): u is bigint => typeof u === 'bigint',
  (u, context) => (isDigits(u) ? t.success(BigInt(u)) : t.failure(u, context)),
  String,
);

const { vm: _vm, memoryMap, group, share } = CONTROL_CODECS.VmRegistered.type.props;
const { layout } = CONTROL_CODECS.CheckpointTaken.type.props;
const { captures: givenUp } = CONTROL_CODECS.PointsForgotten.type.props;
const { mode, note, image, attachments } = CONTROL_CODECS.CaptureCommitted.type.props;

const imageFacts = image.types[0];
const { timeNs } = imageFacts.type.props;

/** What baselines of before do not tell of. */
const nullIfAbsent = <A>(codec: t.Type<A>) =>
  new t.Type<A | null>(
    `${codec.name} | null`,
    (u): u is A | null => u === null || codec.is(u),
    (u, context) => (u === undefined || u === null ? t.success(null) : codec.validate(u, context)),
    t.identity,
  );

/** The same of what is left out where it is nothing, as before there was any. */
const absentIfNull = <A>(codec: t.Type<A>) => {
  const { name, is, validate } = nullIfAbsent(codec);
  return new t.Type<A | null, A | undefined>(name, is, validate, (value) => value ?? undefined);
};

const capture = plainRow({
  capture: t.number,
  position,
  id: t.string,
  timeMs: t.number,
  recordedAtMs: t.number,
  written: t.number,
  stored: t.number,
  merged: t.number,
  pattern: t.number,
  unchanged: t.number,
  broken: t.number,
  addedBytes: t.number,
  pauseMs: orNull(t.number),
  mode,
  source: t.string,
  revision: t.number,
  range: plainRow({ firstRevision: t.number, count: t.number, fromPosition: position }),
  hasDevice: t.boolean,
  note,
  image,
  attachments,
  hash: t.string,
  isWiped: t.boolean,
  damage: orNull(t.string),
});

const checkpoint = t.strict({
  name: t.string,
  capture: t.number,
  note,
  layout: absentIfNull(layout.types[0]),
  position,
  timeMs: t.number,
});

const { lease: leaseId, kind: leaseKind, holder } = CONTROL_CODECS.PointLeased.type.props;
const lease = t.strict({
  lease: leaseId,
  capture: t.number,
  kind: leaseKind,
  holder,
  user: orNull(t.string),
  position,
  timeMs: t.number,
});
/** A list that baselines and states of before do not have, and those need not in which it is empty. */
const absentIfEmpty = <A, O>(name: string, codec: t.Type<A[], O[]>) =>
  new t.Type<A[], O[] | undefined>(
    name,
    codec.is,
    (u, context) => (u === undefined ? t.success([]) : codec.validate(u, context)),
    (rows) => (rows.length === 0 ? undefined : codec.encode(rows)),
  );
const leases = absentIfEmpty('leases', t.array(lease));

const clone = t.strict({
  clone: leaseId,
  kind: leaseKind,
  block: orNull(t.string),
  qmp: orNull(t.string),
});
const clones = absentIfEmpty('clones', t.array(clone));

const repeated = t.strict({ capture: t.number, position });

const map = t.strict({ capture: t.number, memoryMap, pages: orNull(t.number) });
const commandLine = t.strict({ capture: t.number, argv: t.readonlyArray(t.string) });

const goneCapture = t.strict({
  capture: t.number,
  position,
  id: t.string,
  revision: t.number,
  imagesToNs: nullIfAbsent(timeNs),
  images: t.readonlyArray(imageFacts),
});

const vmEntry = t.strict({
  vm: t.string,
  gone: orNull(goneCapture),
  maps: t.array(map),
  commandLines: t.array(commandLine),
  state: t.strict({
    registered: orNull(t.strict({ vm: t.string, group, share, memoryMap })),
    captures: t.number,
    argv: orNull(t.readonlyArray(t.string)),
    isRetired: t.boolean,
  }),
  captures: t.array(capture),
  checkpoints: t.array(checkpoint),
  leases,
  clones,
  repeated: t.array(repeated),
  givenUp,
  registeredAtMs: t.number,
  retired: orNull(t.strict({ position, timeMs: t.number })),
  lostTail: orNull(t.string),
});

/** Where in the log a fold stands, with the last event that was read: it tells the log from another past. */
export const assemblerState = t.strict({
  next: position,
  last: orNull(t.strict({ position, id: t.string })),
  pending: t.readonlyArray(t.strict({ stream: t.string, revision: t.number, position })),
});

const historyStart = t.strict({
  position,
  at: position,
  id: t.string,
  timeMs: t.number,
  from: assemblerState,
});

const STATE = t.strict({
  ledger: orNull(t.strict({ id: t.string, pageStore: orNull(t.string), format: t.number })),
  groups: t.array(t.tuple([t.string, t.string])),
  patterns: t.array(CONTROL_CODECS.PatternAdded),
  lostStore: orNull(t.string),
  history: orNull(historyStart),
  vms: t.array(vmEntry),
});

/** The text of a catalogue. */
export const catalogueText = (catalogue: Catalogue): string =>
  JSON.stringify(
    STATE.encode({
      ledger: catalogue.facts.ledger,
      groups: [...catalogue.facts.groups],
      patterns: catalogue.facts.patterns.map(({ number, expression }) => ({
        pattern: number,
        expression,
      })),
      lostStore: catalogue.lostStore,
      history: catalogue.history,
      vms: [...catalogue.vms.values()].map(
        ({
          vm,
          gone,
          maps,
          commandLines,
          state,
          captures,
          checkpoints,
          leases: held,
          clones: running,
          repeated: again,
          points,
          registeredAtMs,
          retired,
          lostTail,
        }) => ({
          vm,
          gone,
          maps,
          commandLines,
          state,
          givenUp: points.givenUp,
          registeredAtMs,
          retired,
          lostTail,
          captures,
          checkpoints,
          leases: held,
          clones: running,
          repeated: again,
        }),
      ),
    }),
  );

/** The catalogue of a text. StateUnfit where it is none. */
export function catalogueOf(text: string): Catalogue {
  const saved = decodeState(text, STATE);
  if (hasFormat(saved, LEDGER_FORMAT + 1)) throw new StateUnfit('a ledger of a later format');
  const catalogue = new Catalogue();
  catalogue.lostStore = saved.lostStore;
  catalogue.history = saved.history;
  catalogue.facts = {
    ledger: saved.ledger,
    groups: new Map(saved.groups),
    patterns: saved.patterns.reduce(withPattern, initialPatterns),
  };
  for (const vm of saved.vms) {
    const entry = catalogue.entry(vm.vm);
    entry.state = vm.state;
    entry.gone = vm.gone;
    entry.maps.push(...vm.maps);
    entry.commandLines.push(...vm.commandLines);
    if (!ascends(vm.captures.map((row) => row.position)))
      throw new StateUnfit('captures are not in log order');
    for (const row of vm.captures satisfies CaptureRow[]) {
      entry.captures.push(row);
      entry.weigh(row);
    }
    entry.checkpoints.push(...vm.checkpoints);
    entry.leases.push(...vm.leases);
    entry.clones.push(...vm.clones);
    entry.repeated.push(...vm.repeated);
    entry.points = {
      names: new Map(vm.checkpoints.map((row) => [row.name, row.capture])),
      leases: new Map(vm.leases.map((row) => [row.lease, row.capture])),
      givenUp: vm.givenUp,
    };
    entry.registeredAtMs = vm.registeredAtMs;
    entry.retired = vm.retired;
    entry.lostTail = vm.lostTail;
  }
  return catalogue;
}

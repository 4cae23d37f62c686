// The catalogue as text, for baselines, and as bytes for its state file: the same text without captures,
// and these as they are kept (capture-rows.ts).

import * as t from 'io-ts';
import { ascends } from '../../domain/invariants.ts';
import { CONTROL_CODECS } from '../../domain/events/control.ts';
import type { StateBytes } from '../../domain/ports/derived-files.ts';
import { hasFormat, LEDGER_FORMAT } from '../../domain/ledger.ts';
import { initialPatterns, withPattern } from '../../domain/patterns/index.ts';
import { captureList, orNull, position } from './capture-codecs.ts';
import { decodeState, StateReader, StateUnfit, StateWriter } from './state-bytes.ts';
import { Catalogue } from './catalogue.ts';
import { CaptureRows, type CaptureRow } from './capture-rows.ts';
import { VmEntry } from './vm-entry.ts';

const { vm: _vm, memoryMap, group, share } = CONTROL_CODECS.VmRegistered.type.props;
const { layout } = CONTROL_CODECS.CheckpointTaken.type.props;
const { captures: givenUp } = CONTROL_CODECS.PointsForgotten.type.props;
const { note, image } = CONTROL_CODECS.CaptureCommitted.type.props;

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

const checkpoint = t.strict({
  name: t.string,
  capture: t.number,
  note,
  layout: absentIfNull(layout.types[0]),
  position,
  timeMs: t.number,
  // Last, where it lies too when it is read again of what was left out.
  traced: absentIfNull(t.number),
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
  dropped: t.number,
});
const clones = absentIfEmpty('clones', t.array(clone));

const parkedClone = t.strict({
  clone: leaseId,
  as: t.string,
  at: t.number,
  capture: orNull(t.number),
  privatePages: t.number,
  timeMs: t.number,
});
const parked = absentIfEmpty('parked', t.array(parkedClone));

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
  captures: captureList,
  checkpoints: t.array(checkpoint),
  leases,
  clones,
  parked,
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

const advertised = {
  generation: t.number,
  parts: t.number,
  regions: t.number,
  pages: t.number,
  digest: t.string,
};
const host = t.strict({
  host: t.string,
  state: t.strict({
    facts: orNull(CONTROL_CODECS.HostJoined),
    generation: t.number,
    advertised: orNull(t.strict(advertised)),
    arriving: orNull(t.strict({ ...advertised, there: t.number })),
  }),
  joinedAtMs: t.number,
  advertisedAt: orNull(t.strict({ first: position, last: position, timeMs: t.number })),
  arrivingFrom: orNull(position),
  arrived: absentIfEmpty('arrived', t.array(t.strict({ vm: t.string, capture: t.number }))),
});
const migration = t.strict({
  vm: t.string,
  migration: t.string,
  phase: t.keyof({ started: null, handedOver: null, completed: null, failed: null }),
  capture: orNull(t.number),
  from: orNull(t.string),
  to: orNull(t.string),
  completed: t.readonlyArray(t.string),
  failed: t.readonlyArray(t.string),
});

const STATE = t.strict({
  ledger: orNull(t.strict({ id: t.string, pageStore: orNull(t.string), format: t.number })),
  groups: t.array(t.tuple([t.string, t.string])),
  patterns: t.array(CONTROL_CODECS.PatternAdded),
  lostStore: orNull(t.string),
  history: orNull(historyStart),
  vms: t.array(vmEntry),
  hosts: absentIfEmpty('hosts', t.array(host)),
  migrations: absentIfEmpty('migrations', t.array(migration)),
});

/** The text of a catalogue, with the captures of each VM that `rowsOf` gives. */
const textOf = (catalogue: Catalogue, rowsOf: (entry: VmEntry) => CaptureRow[]): string =>
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
      vms: [...catalogue.vms.values()].map((entry) => {
        const { vm, gone, maps, commandLines, state, checkpoints } = entry;
        const { leases: held, clones: running, repeated: again, points } = entry;
        const { registeredAtMs, retired, lostTail } = entry;
        const { givenUp: forgotten } = points;
        return {
          vm,
          gone,
          maps,
          commandLines,
          state,
          givenUp: forgotten,
          registeredAtMs,
          retired,
          lostTail,
          captures: rowsOf(entry),
          checkpoints,
          leases: held,
          clones: running,
          parked: entry.parked,
          repeated: again,
        };
      }),
      hosts: [...catalogue.hosts.values()].map((row) => ({ ...row, arrived: [...row.arrived] })),
      migrations: [...catalogue.migrations].map(([vm, state]) => ({ vm, ...state })),
    }),
  );

/** The text of a catalogue. */
export const catalogueText = (catalogue: Catalogue): string =>
  textOf(catalogue, ({ captures }) => [...captures]);

/** The bytes of a catalogue: captures that a state has stay there until they are written. */
export function catalogueBytes(catalogue: Catalogue): StateWriter {
  const writer = new StateWriter().text(textOf(catalogue, () => []));
  for (const { rows, images, imageWeight } of catalogue.vms.values()) {
    rows.save(writer);
    writer.column(Float64Array.from([imageWeight, ...images]));
  }
  return writer;
}

/** The catalogue of a text. StateUnfit where it is none. */
export const catalogueOf = (text: string): Catalogue => read(text, null);

/** What `catalogueBytes` made bytes of: captures stay where they lie. StateUnfit where they are none. */
export function catalogueIn(bytes: Uint8Array | StateBytes): Catalogue {
  const reader = new StateReader(bytes);
  return read(reader.text(), reader);
}

/** The catalogue of a text; its captures are in the text, or follow it. */
function read(text: string, rest: StateReader | null): Catalogue {
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
  for (const row of saved.hosts) catalogue.hosts.set(row.host, row);
  for (const { vm, ...state } of saved.migrations) catalogue.migrations.set(vm, state);
  for (const vm of saved.vms) {
    const entry = new VmEntry(vm.vm, rest === null ? new CaptureRows() : CaptureRows.load(rest));
    catalogue.vms.set(vm.vm, entry);
    entry.state = vm.state;
    entry.gone = vm.gone;
    entry.maps.push(...vm.maps);
    entry.commandLines.push(...vm.commandLines);
    if (rest !== null) readImages(rest, entry);
    if (!ascends(vm.captures.map((row) => row.position)))
      throw new StateUnfit('captures are not in log order');
    for (const row of vm.captures) {
      entry.rows.push(row);
      entry.weigh(row);
    }
    entry.checkpoints.push(...vm.checkpoints);
    entry.leases.push(...vm.leases);
    entry.clones.push(...vm.clones);
    entry.parked.push(...vm.parked);
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

/** Which captures have page-table images, and what the next one weighs so far. */
function readImages(rest: StateReader, entry: VmEntry): void {
  const [imageWeight = 0, ...images] = rest.doubles();
  entry.imageWeight = imageWeight;
  for (const capture of images) entry.images.push(capture);
}

// The points of a ledger as exports, by the names that users know them by: `web/@3`, `web/latest`,
// `web/cp:before-upgrade`; `web/@3/packed` and `web/@3/physical` as raw images are laid out; and
// `web/@3/pc.ram`, one block of memory as a VMM maps it. An export that several connections have open is
// one, with one page table.

import { assert } from '../../../domain/values/assert.ts';
import { WindowPool } from '../../../domain/use-cases/serve/window-pool.ts';
import { refuse } from '../../../domain/values/refused.ts';
import { RAW_LAYOUTS } from '../../../domain/values/raw-layout.ts';
import type { VmEntry } from '../../../projections/models/vm-entry.ts';
import type { Ledger } from '../../wiring/ledger/ledger.ts';
import { holdPoint, type HeldPoint } from '../../wiring/points/leases.ts';
import { recordRestored, type Restored } from '../../wiring/restore/restored.ts';
import type { Waiting } from '../../wiring/restore/patient-reading.ts';
import { followLog, ServedPoint } from '../../wiring/restore/served-point.ts';
import type { VmPoint } from '../../wiring/ledger/vm-point.ts';
import { isoTime } from '../rows/row.ts';

/** Which names a list shows: `latest` and checkpoints of each VM, or every kept capture as well. */
export type Listed = 'named' | 'all';

/** What a list shows of an export. */
export interface ExportName {
  readonly name: string;
  readonly description: string;
}

/** What is read of an export, and told of it. */
export type ServedMemory = Pick<ServedPoint, 'sizeBytes' | 'isZero' | 'read'>;

/** An export that a client has open. Whoever opened it closes it. */
export interface OpenExport {
  readonly served: ServedMemory;
  /** What it can be compared with; null: nothing is known of that here. */
  readonly history: Pick<ServedPoint, 'point' | 'pages' | 'locate' | 'changedFrom'> | null;
  /** Its name with all its words. */
  readonly name: string;
  readonly description: string;
  /** Whether another connection that opens the same name gets the same memory. */
  readonly isFixed: boolean;
  /** Not flagged read-only: VMMs open a block of memory for writing, and write nothing. */
  readonly isForWriting: boolean;
  /**
   * Holds the point, so that nobody forgets it while it is read, and says that it is given out; once for
   * all that have it open, until the last one closes. Refused where it was forgotten meanwhile.
   */
  hold(): Promise<void>;
  close(): void;
}

interface ExportsOptions {
  readonly ledger: Ledger;
  /** The only VM that is served; null: all are. */
  readonly vm: string | null;
  readonly listed: Listed;
  readonly waiting: Waiting;
  /** Whether pages that are unknown are served as zeros; absent: a point that has some is refused. */
  readonly areUnknownZeros?: boolean;
  /** What holds points, and how they are given out. */
  readonly use: { readonly kind: 'server' | 'mount'; readonly restored: Restored };
}

/**
 * The words of a name: VM/POINT/PART, of which PART, or all but the VM, may be left out. Where one VM
 * alone is served its name may be, too. Names of blocks may have slashes; `VM@N` reads as `VM/@N`.
 */
export function wordsOf(name: string, only: string | null) {
  const vm = only ?? /^[^/@]*/u.exec(name)![0];
  const isNamed = name.startsWith(vm) && /^(?:$|[/@])/u.test(name.slice(vm.length));
  const rest = isNamed ? name.slice(vm.length).replace(/^\//u, '') : name;
  const slash = rest.indexOf('/');
  const point = slash < 0 ? rest : rest.slice(0, slash);
  const part = slash < 0 ? '' : rest.slice(slash + 1);
  return { vm, point: point === '' ? 'latest' : point, part: part === '' ? null : part };
}

/** Points that mean the same capture for ever, or until somebody gives their name up. */
const isFixedPoint = (point: string): boolean => point.startsWith('@') || point.startsWith('cp:');

function* namesOf(entry: VmEntry, listed: Listed): Generator<ExportName> {
  const { vm } = entry;
  const newest = entry.captures.at(-1);
  const described = (capture: number, timeMs: number): string =>
    `capture ${capture} of ${isoTime(timeMs)}`;
  if (newest !== undefined && !entry.isForgotten(newest.capture))
    yield {
      name: `${vm}/latest`,
      description: described(newest.capture, newest.timeMs),
    };
  for (const { name, capture } of entry.checkpoints) {
    const row = entry.capture(capture);
    if (row !== undefined)
      yield { name: `${vm}/cp:${name}`, description: described(capture, row.timeMs) };
  }
  if (listed === 'all')
    for (const { capture, timeMs } of entry.keptCaptures())
      yield { name: `${vm}/@${capture}`, description: described(capture, timeMs) };
}

interface Shared {
  readonly served: Promise<ServedPoint>;
  users: number;
  /** Null: nobody reads it yet. */
  held: Promise<HeldPoint> | null;
}

export class Exports {
  readonly #options: ExportsOptions;
  readonly #windows = new WindowPool();
  readonly #shared = new Map<string, Shared>();
  /** Points that are being let go. */
  readonly #releases = new Set<Promise<void>>();

  constructor(options: ExportsOptions) {
    this.#options = options;
  }

  #entries(): readonly VmEntry[] {
    const { ledger, vm } = this.#options;
    return vm === null ? ledger.vms() : [ledger.vm(vm)];
  }

  /** The names to show, of the log as it is now. */
  async names(): Promise<readonly ExportName[]> {
    await followLog(this.#options.ledger);
    return this.#entries().flatMap((entry) => [...namesOf(entry, this.#options.listed)]);
  }

  /**
   * Opens the export of a name; none: `latest` of the only VM that there is. What is named is pinned
   * now: later captures change nothing of it.
   */
  async open(name: string): Promise<OpenExport> {
    const { ledger, vm } = this.#options;
    await followLog(ledger);
    const words = wordsOf(name === '' ? this.#onlyVm() : name, vm);
    const entry = ledger.vm(words.vm);
    const row = ledger.resolve(entry, words.point);
    const { part } = words;
    const capture = `${entry.vm}/@${row.capture}`;
    const full = part === null ? capture : `${capture}/${part}`;
    const served = await this.#share(full, () =>
      ServedPoint.open(ledger, {
        point: { entry, row },
        part,
        waiting: this.#options.waiting,
        windows: this.#windows,
        areUnknownZeros: this.#options.areUnknownZeros === true,
      }),
    );
    let isOpen = true;
    return {
      served,
      history: served,
      name: [words.vm, words.point, ...(part === null ? [] : [part])].join('/'),
      description: `memory of ${entry.vm} at capture ${row.capture}, ${isoTime(row.timeMs)}`,
      isFixed: isFixedPoint(words.point),
      isForWriting: part !== null && !RAW_LAYOUTS.some((layout) => layout === part),
      hold: () => this.#hold(full, served.point),
      close: () => {
        if (isOpen) this.#leave(full);
        isOpen = false;
      },
    };
  }

  #onlyVm(): string {
    const entries = this.#entries();
    if (entries.length === 1) return entries[0]!.vm;
    throw refuse({ _tag: 'VmUnknown', vm: '(none was named)' });
  }

  async #share(name: string, open: () => Promise<ServedPoint>): Promise<ServedPoint> {
    const known = this.#shared.get(name) ?? { served: open(), users: 0, held: null };
    this.#shared.set(name, known);
    known.users += 1;
    try {
      return await known.served;
    } catch (thrown) {
      this.#leave(name);
      throw thrown;
    }
  }

  async #hold(name: string, point: VmPoint): Promise<void> {
    const { ledger, use } = this.#options;
    const shared = this.#shared.get(name);
    assert(shared !== undefined, 'an export is held while it is open');
    const isFirst = shared.held === null;
    shared.held ??= holdPoint(ledger, point, { kind: use.kind });
    await shared.held;
    if (isFirst) await recordRestored(ledger, point, use.restored);
  }

  #leave(name: string): void {
    const known = this.#shared.get(name);
    if (known === undefined) return;
    known.users -= 1;
    if (known.users > 0) return;
    this.#shared.delete(name);
    if (known.held === null) return;
    // What could not be held was refused to who asked.
    const release = known.held.then(
      (held) => held.release(),
      () => undefined,
    );
    this.#releases.add(release);
    void release.finally(() => this.#releases.delete(release));
  }

  /** Resolves when all that was closed is let go. */
  async settled(): Promise<void> {
    await Promise.all(this.#releases);
  }
}

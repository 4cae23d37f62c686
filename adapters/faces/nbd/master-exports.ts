// What a memory server gives of its one point: a block of memory (`memory`), all else of the guest as a
// migration stream (`devices`), and where the key is at hand what each page is known by (`identifiers`) and
// seals of both (`seals`).
// What clients tell of their clones comes as names of exports too (clone-names.ts).

import { PAGE_BYTES } from '../../../domain/values/page.ts';
import { ownBytes } from '../../../domain/values/spares.ts';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import type { ToldClone, ToldLook } from '../../wiring/clones/far-clones.ts';
import type { SealedPart, sealBy } from '../../wiring/clones/master-memory.ts';
import { toldInName } from './clone-names.ts';
import type { ExportName, OpenExport, ServedMemory } from './exports.ts';
import type { OfferedExports } from './negotiation.ts';

/** The names of the exports. */
export const MASTER_EXPORT = {
  memory: 'memory',
  devices: 'devices',
  identifiers: 'identifiers',
  seals: 'seals',
} as const;

/** The parts that are sealed, in the order in which their seals are given. */
export const SEALED_PARTS: readonly SealedPart[] = ['identifiers', 'devices'];

/** Bytes at hand, as memory that is served: as many as there are. */
export const servedBytes = (bytes: Uint8Array): ServedMemory => ({
  sizeBytes: bytes.length,
  isZero: () => false,
  read: (firstPage, pages) =>
    Promise.resolve(
      ownBytes(bytes.subarray(firstPage * PAGE_BYTES, (firstPage + pages) * PAGE_BYTES)),
    ),
});

/** A block of a point as people and clients call it: `VM@N BLOCK`. */
export interface MasterName {
  readonly vm: string;
  readonly capture: number;
  readonly block: string;
}

export const masterText = ({ vm, capture, block }: MasterName): string =>
  `${vm}@${capture} ${block}`;

const MASTER = /^([A-Za-z0-9][\w.-]{0,254})@([1-9]\d{0,8}) (\S.{0,255})$/u;

/** The same read back; null: it is none. */
export function masterOfText(text: string): MasterName | null {
  const [, vm, capture, block] = MASTER.exec(text) ?? [];
  return vm === undefined ? null : { vm, capture: Number(capture), block: block! };
}

/** The exports of a master. */
export function masterExports(of: {
  readonly master: MasterName;
  /** Opens the block of memory. */
  readonly memory: () => Promise<OpenExport>;
  readonly devices: Uint8Array;
  readonly identifiers: Uint8Array | null;
  /** Seals a part of it; null: the key is not at hand. */
  readonly seal: ReturnType<typeof sealBy> | null;
  /** Takes what a client tells of a clone of its own; throws where that is refused. */
  readonly told: (clone: ToldClone | ToldLook) => Promise<void>;
}): OfferedExports {
  const description = masterText(of.master);
  const { devices, identifiers, seal } = of;
  const kept = new Map<string, Uint8Array>([[MASTER_EXPORT.devices, devices]]);
  if (identifiers !== null && seal !== null) {
    const parts = { identifiers, devices };
    const seals = SEALED_PARTS.map((part) => seal(part, description, parts[part]));
    kept.set(MASTER_EXPORT.identifiers, identifiers).set(MASTER_EXPORT.seals, Buffer.concat(seals));
  }
  const names = [MASTER_EXPORT.memory, ...kept.keys()];
  return {
    names: (): Promise<readonly ExportName[]> =>
      Promise.resolve(names.map((name) => ({ name, description }))),
    open: async (asked): Promise<OpenExport> => {
      const name = asked === '' ? MASTER_EXPORT.memory : asked;
      if (name === MASTER_EXPORT.memory)
        return { ...(await of.memory()), name, description, isFixed: true };
      const told = toldInName(name);
      const bytes = told === null ? kept.get(name) : new Uint8Array(0);
      if (bytes === undefined)
        throw new LedgerError('NOT_FOUND', `there is no export ${name} here`, { name });
      return {
        served: servedBytes(bytes),
        history: null,
        name,
        description,
        isFixed: true,
        isForWriting: false,
        // Nothing is taken of who only asks what a name is.
        hold: () => (told === null ? Promise.resolve() : of.told(told)),
        close: () => undefined,
      };
    },
  };
}

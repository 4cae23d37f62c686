// Memory of a point that lies on another host, for who cannot be told that it is away: a guest in the
// middle of an instruction. Readings wait until the memory server answers, and answers with what the point
// holds; what it lies about is never used.

import { setTimeout as pause } from 'node:timers/promises';
import { ownBytes } from '../../../domain/values/spares.ts';
import { isLedgerError, LedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { PageCheck } from '../../wiring/clones/far-point.ts';
import { SEAL_BYTES, type SealedPart } from '../../wiring/clones/master-memory.ts';
import type { Waiting } from '../../wiring/restore/patient-reading.ts';
import type { ListenAddress } from '../sockets/listen-address.ts';
import type { SharedKey } from '../sockets/shared-key.ts';
import type { ServedMemory } from './exports.ts';
import type { OfferedExports } from './negotiation.ts';
import { FarClient, placeText } from './far-client.ts';
import {
  MASTER_EXPORT,
  masterOfText,
  masterText,
  SEALED_PARTS,
  type MasterName,
} from './master-exports.ts';

/** Connections that are read on at once. */
const CONNECTIONS = 4;
const AGAIN_MS = 500;
const IDENTIFIER_BYTES = 32;
/** Most bytes of devices and small blocks that are taken. */
const DEVICES_BYTES_MAX = 2 ** 28;

/** Where a master is served, and by what this side is known there. */
export interface FarServer {
  readonly at: ListenAddress;
  /** Null: nothing is encrypted, as on a Unix socket. */
  readonly key: SharedKey | null;
}

/** How what comes from there is checked. */
interface FarCheck {
  readonly by: PageCheck;
  readonly identifiers: Uint8Array;
  /** Where [page] is 1 it is zeros, by what it is known by. */
  readonly zeros: Uint8Array;
}

/** Which pages are zeros, by what they are known by. */
function zerosOf(identifiers: Uint8Array, { zero }: PageCheck): Uint8Array {
  const zeros = new Uint8Array(identifiers.length / IDENTIFIER_BYTES);
  for (let page = 0; page < zeros.length; page += 1) {
    const at = page * IDENTIFIER_BYTES;
    zeros[page] =
      Buffer.compare(identifiers.subarray(at, at + IDENTIFIER_BYTES), zero) === 0 ? 1 : 0;
  }
  return zeros;
}

const openAt = (server: FarServer, name: string): Promise<FarClient> =>
  FarClient.open(server.at, { name, key: server.key });

/** Of a memory that a server may claim: what its pages are known by is held in memory, 32 bytes a page. */
const MASTER_BYTES_MAX = 512 * 2 ** 30;

/** All of a small export. */
async function wholeOf(server: FarServer, name: string, bytesMax: number): Promise<Buffer> {
  const client = await openAt(server, name);
  try {
    return await client.readAll(bytesMax);
  } finally {
    client.close();
  }
}

/** A part of what a server gives beside the pages, once it is known that who has the key made it. */
async function sealedPart(
  server: FarServer,
  of: { readonly part: SealedPart; readonly bytesMax: number },
  { check, master }: { readonly check: PageCheck | null; readonly master: MasterName },
): Promise<Buffer> {
  const { part, bytesMax } = of;
  const bytes = await wholeOf(server, MASTER_EXPORT[part], bytesMax);
  if (check === null) return bytes;
  const seals = await wholeOf(server, MASTER_EXPORT.seals, SEALED_PARTS.length * SEAL_BYTES);
  const at = SEALED_PARTS.indexOf(part) * SEAL_BYTES;
  const seal = seals.subarray(at, at + SEAL_BYTES);
  if (check.isSealed(seal, { part, master: masterText(master), bytes })) return bytes;
  throw new LedgerError(
    'PEER_REFUSED',
    `${placeText(server.at)} gave ${part} of ${masterText(master)} that nobody made who has the key of the group: they were not used`,
    {},
  );
}

/** A master as a server tells of it, and all of the guest but the block: a migration stream. */
export async function readMaster(
  server: FarServer,
  check: PageCheck | null,
): Promise<{
  readonly master: MasterName;
  readonly bytes: number;
  readonly devices: Buffer;
}> {
  const { master, sizeBytes: bytes } = await toldMaster(server);
  const of = { part: 'devices', bytesMax: DEVICES_BYTES_MAX } as const;
  return { master, bytes, devices: await sealedPart(server, of, { check, master }) };
}

/** What a server says that it serves. PEER_REFUSED where that is no block of memory. */
async function toldMaster(
  server: FarServer,
): Promise<{ readonly master: MasterName; readonly sizeBytes: number }> {
  const client = await openAt(server, MASTER_EXPORT.memory);
  const { sizeBytes, description } = client;
  client.close();
  const master = masterOfText(description);
  if (master !== null && sizeBytes > 0 && sizeBytes % PAGE_BYTES === 0) {
    if (sizeBytes <= MASTER_BYTES_MAX) return { master, sizeBytes };
    throw new LedgerError(
      'PEER_REFUSED',
      `${placeText(server.at)} claims a memory of ${sizeBytes} bytes; up to ${MASTER_BYTES_MAX} was expected`,
      {},
    );
  }
  const where = placeText(server.at);
  throw new LedgerError('PEER_REFUSED', `${where} serves no block of a point's memory`, {});
}

export class FarMemory {
  readonly #server: FarServer;
  readonly #check: FarCheck | null;
  readonly #waiting: Waiting;
  readonly #clients: (Promise<FarClient> | null)[] = Array.from(
    { length: CONNECTIONS },
    () => null,
  );
  readonly master: MasterName;
  readonly sizeBytes: number;
  #next = 0;
  #isAway = false;

  private constructor(of: {
    readonly server: FarServer;
    readonly check: FarCheck | null;
    readonly waiting: Waiting;
    readonly master: MasterName;
    readonly sizeBytes: number;
  }) {
    this.#server = of.server;
    this.#check = of.check;
    this.#waiting = of.waiting;
    this.master = of.master;
    this.sizeBytes = of.sizeBytes;
  }

  /** Opens the memory that a server gives. PEER_UNREACHABLE, PEER_REFUSED. */
  static async open(
    server: FarServer,
    { check: by, waiting }: { readonly check: PageCheck | null; readonly waiting: Waiting },
  ): Promise<FarMemory> {
    const { master, sizeBytes } = await toldMaster(server);
    const where = placeText(server.at);
    const bytes = (sizeBytes / PAGE_BYTES) * IDENTIFIER_BYTES;
    const identifiers =
      by === null
        ? null
        : await sealedPart(server, { part: 'identifiers', bytesMax: bytes }, { check: by, master });
    if (identifiers !== null && identifiers.length !== bytes)
      throw new LedgerError(
        'PEER_REFUSED',
        `${where} does not say what its pages are known by`,
        {},
      );
    const check =
      by === null || identifiers === null
        ? null
        : { by, identifiers, zeros: zerosOf(identifiers, by) };
    return new FarMemory({ server, check, waiting, master, sizeBytes });
  }

  /** Whether a page is known to be zeros: by what it is known by, where that can be checked. */
  isZero(page: number): boolean {
    return this.#check?.zeros[page] === 1;
  }

  /** Waits for the server, until `signal` ends it. Zeros at both ends are not asked for. */
  async read(firstPage: number, pages: number, signal: AbortSignal): Promise<Uint8Array> {
    let first = firstPage;
    let end = firstPage + pages;
    while (first < end && this.isZero(first)) first += 1;
    while (end > first && this.isZero(end - 1)) end -= 1;
    if (end - first === pages) return this.#readThere(first, pages, signal);
    const bytes = new Uint8Array(pages * PAGE_BYTES);
    if (end > first)
      bytes.set(
        await this.#readThere(first, end - first, signal),
        (first - firstPage) * PAGE_BYTES,
      );
    return bytes;
  }

  async #readThere(firstPage: number, pages: number, signal: AbortSignal): Promise<Uint8Array> {
    for (;;)
      try {
        const bytes = await this.#readNow(firstPage, pages);
        if (this.#isAway) this.#waiting.onBack();
        this.#isAway = false;
        return bytes;
      } catch (thrown) {
        if (!isLedgerError(thrown)) throw thrown;
        if (!this.#isAway) this.#waiting.onAway(thrown);
        this.#isAway = true;
        await pause(AGAIN_MS, undefined, { signal });
      }
  }

  async #readNow(firstPage: number, pages: number): Promise<Uint8Array> {
    const i = this.#next;
    this.#next = (i + 1) % CONNECTIONS;
    const opening = (this.#clients[i] ??= openAt(this.#server, MASTER_EXPORT.memory));
    try {
      const client = await opening;
      this.#checkSame(client);
      const bytes = await client.read(firstPage * PAGE_BYTES, pages * PAGE_BYTES);
      this.#checkPages(bytes, firstPage);
      return bytes;
    } catch (thrown) {
      if (this.#clients[i] === opening) this.#clients[i] = null;
      void opening.then((client) => client.close()).catch(() => undefined);
      throw thrown;
    }
  }

  /** Another point may be served there by now. */
  #checkSame({ sizeBytes, description }: FarClient): void {
    const now = masterOfText(description);
    const { vm, capture, block } = this.master;
    const isSame = now?.vm === vm && now.capture === capture && now.block === block;
    if (isSame && sizeBytes === this.sizeBytes) return;
    throw new LedgerError(
      'PEER_REFUSED',
      `${placeText(this.#server.at)} serves another point now (${description})`,
      {},
    );
  }

  #checkPages(bytes: Uint8Array, firstPage: number): void {
    if (this.#check === null) return;
    const { by, identifiers } = this.#check;
    const at = firstPage * IDENTIFIER_BYTES;
    const known = identifiers.subarray(at, at + (bytes.length / PAGE_BYTES) * IDENTIFIER_BYTES);
    const wrong = by.wrongIn(bytes, known);
    if (wrong === null) return;
    throw new LedgerError(
      'PEER_REFUSED',
      `${placeText(this.#server.at)} gave something else than page ${firstPage + wrong} of ${this.master.vm}@${this.master.capture}: it was not used`,
      { page: firstPage + wrong },
    );
  }

  close(): void {
    for (const opening of this.#clients)
      void opening?.then((client) => client.close()).catch(() => undefined);
  }
}

/** What a memory server gives, as an export of this host. */
export function farExports(memory: FarMemory): OfferedExports {
  const name = MASTER_EXPORT.memory;
  const description = masterText(memory.master);
  const served: ServedMemory = {
    sizeBytes: memory.sizeBytes,
    isZero: (page) => memory.isZero(page),
    read: async (...stretch) => ownBytes(await memory.read(...stretch)),
  };
  return {
    names: () => Promise.resolve([{ name, description }]),
    open: () =>
      Promise.resolve({
        served,
        history: null,
        name,
        description,
        isFixed: true,
        isForWriting: true,
        hold: () => Promise.resolve(),
        close: () => undefined,
      }),
  };
}

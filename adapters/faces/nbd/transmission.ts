// Commands on an export, answered. An answer is made in pieces of PIECE_BYTES, each sent before the
// next one is made, so a large read takes no more memory than a small one. Nothing can be written.

import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { PAGE_BYTES } from '../../../domain/values/page.ts';
import type { Request } from './client-messages.ts';
import { extentsOf } from './contexts.ts';
import type { Agreed } from './negotiation.ts';
import {
  COMMAND,
  COMMAND_FLAG,
  NBD_ERROR,
  PIECE_BYTES,
  READ_BYTES_MAX,
  type NbdError,
} from './protocol.ts';
import {
  dataChunkHead,
  doneChunk,
  errorChunk,
  holeChunk,
  simpleReply,
  statusChunk,
} from './replies.ts';
import { runsOf, type Run, type Stretch } from './stretch.ts';

/** Runs of zeros of a piece that are told apart from its data; beyond that all of it is data. */
const HOLES_A_PIECE_MAX = 32;

/** Sends parts of an answer; resolves when the client takes more. */
export type Send = (parts: readonly Uint8Array[]) => Promise<void>;

/** Work that nothing else may be sent within. */
export type Alone = (work: (send: Send) => Promise<void>) => Promise<void>;

/** A command that fails, and as what the client hears it. */
class CommandFailure extends Error {
  readonly number: NbdError;

  constructor(number: NbdError, message: string) {
    super(message);
    this.number = number;
  }
}

const invalid = (message: string): CommandFailure => new CommandFailure(NBD_ERROR.invalid, message);

const READ_ONLY_COMMANDS: readonly number[] = [COMMAND.write, COMMAND.trim, COMMAND.writeZeroes];

/** A stretch of which is said whether it is zeros. */
type ToldStretch = Run<boolean>;

const NOTHING = new Uint8Array(0);

/** The parts of a structured answer for a piece: its data, and where it is zeros. */
function chunksOf(
  { cookie, isLast }: { readonly cookie: bigint; readonly isLast: boolean },
  of: {
    readonly piece: Stretch;
    readonly told: readonly ToldStretch[];
    readonly bytes: Uint8Array;
  },
): readonly Uint8Array[] {
  const { piece, told, bytes } = of;
  return told.flatMap(({ said: isHole, ...at }, i) => {
    const chunkOf = { cookie, isLast: isLast && i === told.length - 1 };
    if (isHole) return [holeChunk(chunkOf, at)];
    const from = at.offsetBytes - piece.offsetBytes;
    return [dataChunkHead(chunkOf, at), bytes.subarray(from, from + at.lengthBytes)];
  });
}

function* piecesOf({ offsetBytes, lengthBytes }: Stretch): Generator<Stretch> {
  const end = offsetBytes + lengthBytes;
  for (let at = offsetBytes; at < end;) {
    const next = Math.min(end, (Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES);
    yield { offsetBytes: at, lengthBytes: next - at };
    at = next;
  }
}

/** What the client hears of what was thrown. */
function failureOf(thrown: unknown, signal: AbortSignal): CommandFailure {
  if (thrown instanceof CommandFailure) return thrown;
  if (signal.aborted) return new CommandFailure(NBD_ERROR.shutdown, 'the server ends');
  if (isLedgerError(thrown)) return new CommandFailure(NBD_ERROR.inputOutput, thrown.message);
  throw thrown;
}

export class Transmission {
  readonly #agreed: Agreed;
  readonly #alone: Alone;
  readonly #signal: AbortSignal;
  /** Is told what could not be read. */
  readonly #onFailure: (message: string) => void;

  constructor(
    agreed: Agreed,
    ways: {
      readonly alone: Alone;
      readonly signal: AbortSignal;
      readonly onFailure: (message: string) => void;
    },
  ) {
    this.#agreed = agreed;
    this.#alone = ways.alone;
    this.#signal = ways.signal;
    this.#onFailure = ways.onFailure;
  }

  /** Answers a command, whatever comes of it. */
  async answer(request: Request): Promise<void> {
    try {
      await this.#do(request);
    } catch (thrown) {
      const failure = failureOf(thrown, this.#signal);
      if (failure.number === NBD_ERROR.inputOutput) this.#onFailure(failure.message);
      await this.#fail(request.cookie, failure);
    }
  }

  #do(request: Request): Promise<void> {
    const { command, flags } = request;
    if (READ_ONLY_COMMANDS.includes(command))
      throw new CommandFailure(NBD_ERROR.notPermitted, 'a point cannot be written');
    switch (command) {
      case COMMAND.read:
        if ((flags & ~COMMAND_FLAG.doNotFragment) !== 0) throw invalid(`unknown flags ${flags}`);
        return this.#read(request, this.#stretchOf(request));
      case COMMAND.blockStatus:
        if ((flags & ~COMMAND_FLAG.requireOne) !== 0) throw invalid(`unknown flags ${flags}`);
        return this.#blockStatus(request, this.#stretchOf(request));
      case COMMAND.flush:
        return this.#done(request.cookie);
      default:
        throw invalid(`there is no command ${command}`);
    }
  }

  /** What a command is about. Refused where it is not wholly in the export. */
  #stretchOf({ offsetBytes, lengthBytes }: Request): Stretch {
    const { sizeBytes } = this.#agreed.export.served;
    if (lengthBytes === 0) throw invalid('nothing was asked for');
    if (offsetBytes + BigInt(lengthBytes) > BigInt(sizeBytes))
      throw invalid(`${lengthBytes} bytes from ${offsetBytes} on end beyond ${sizeBytes}`);
    return { offsetBytes: Number(offsetBytes), lengthBytes };
  }

  async #read({ cookie, flags }: Request, stretch: Stretch): Promise<void> {
    if (stretch.lengthBytes > READ_BYTES_MAX)
      throw invalid(`more than ${READ_BYTES_MAX} bytes at once`);
    if (!this.#agreed.isStructured) return this.#readSimply(cookie, stretch);
    if ((flags & COMMAND_FLAG.doNotFragment) !== 0) return this.#readWhole(cookie, stretch);
    const end = stretch.offsetBytes + stretch.lengthBytes;
    for (const piece of piecesOf(stretch)) {
      const told = this.#told(piece);
      const hasData = told.some(({ said: isHole }) => !isHole);
      const isLast = piece.offsetBytes + piece.lengthBytes === end;
      const sendAll = (bytes: Uint8Array): Promise<void> => {
        const parts = chunksOf({ cookie, isLast }, { piece, told, bytes });
        return this.#alone((send) => send(parts));
      };
      await (hasData ? this.#withBytes(piece, sendAll) : sendAll(NOTHING));
    }
  }

  /** A piece as stretches of data and of zeros. */
  #told(piece: Stretch): readonly ToldStretch[] {
    const { served } = this.#agreed.export;
    const told: ToldStretch[] = [];
    for (const run of runsOf(piece, (page) => served.isZero(page))) {
      told.push(run);
      if (told.length > 2 * HOLES_A_PIECE_MAX) return [{ ...piece, said: false }];
    }
    return told;
  }

  /** One part for all of it, as the client asked for; refused where that is much. */
  async #readWhole(cookie: bigint, stretch: Stretch): Promise<void> {
    if (stretch.lengthBytes > PIECE_BYTES)
      throw new CommandFailure(NBD_ERROR.overflow, `more than ${PIECE_BYTES} bytes as one`);
    const head = dataChunkHead({ cookie, isLast: true }, stretch);
    await this.#withBytes(stretch, (bytes) => this.#alone((send) => send([head, bytes])));
  }

  /**
   * An answer that cannot fail once it has begun: of what is larger than a piece all is read once
   * before, and kept no longer than any.
   */
  async #readSimply(cookie: bigint, stretch: Stretch): Promise<void> {
    const head = simpleReply(cookie, 0);
    const pieces = [...piecesOf(stretch)];
    if (pieces.length === 1)
      return this.#withBytes(stretch, (bytes) => this.#alone((send) => send([head, bytes])));
    for (const piece of pieces) await this.#withBytes(piece, async () => undefined);
    return this.#alone(async (send) => {
      await send([head]);
      for (const piece of pieces) await this.#withBytes(piece, (bytes) => send([bytes]));
    });
  }

  /** Reads a stretch for work that ends before its bytes are others. */
  async #withBytes(
    { offsetBytes, lengthBytes }: Stretch,
    work: (bytes: Uint8Array) => Promise<void>,
  ): Promise<void> {
    this.#signal.throwIfAborted();
    const first = Math.floor(offsetBytes / PAGE_BYTES);
    const end = Math.ceil((offsetBytes + lengthBytes) / PAGE_BYTES);
    const { bytes, giveBack } = await this.#agreed.export.served.read(
      first,
      end - first,
      this.#signal,
    );
    const from = offsetBytes - first * PAGE_BYTES;
    try {
      await work(bytes.subarray(from, from + lengthBytes));
    } finally {
      giveBack();
    }
  }

  async #blockStatus({ cookie, flags }: Request, stretch: Stretch): Promise<void> {
    const { contexts } = this.#agreed;
    if (contexts.length === 0) throw invalid('no metadata context was set');
    const isOneEnough = (flags & COMMAND_FLAG.requireOne) !== 0;
    const parts = contexts.map((context, i) => {
      const isLast = i === contexts.length - 1;
      const extents = extentsOf(context, { ...stretch, isOneEnough });
      return statusChunk({ cookie, isLast }, context.id, extents);
    });
    await this.#alone((send) => send(parts));
  }

  #done(cookie: bigint): Promise<void> {
    const reply = this.#agreed.isStructured
      ? doneChunk({ cookie, isLast: true })
      : simpleReply(cookie, 0);
    return this.#alone((send) => send([reply]));
  }

  #fail(cookie: bigint, { number, message }: CommandFailure): Promise<void> {
    const reply = this.#agreed.isStructured
      ? errorChunk({ cookie, isLast: true }, number, message)
      : simpleReply(cookie, number);
    return this.#alone((send) => send([reply]));
  }
}

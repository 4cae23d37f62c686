// One client of the Debug Adapter Protocol: requests in, answers and events out. What a client sends that
// is no message of the protocol ends it.

import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import { BadFrame, frameOf, FrameReader, type Request } from './frames.ts';
import { DapSession, type Sent } from './session.ts';

/** Requests that wait while one is answered. */
const WAITING_MAX = 256;

export interface DapWire {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly write: (bytes: Buffer) => void;
}

/** Requests that end a search that is under way. */
const INTERRUPTS = new Set(['pause', 'disconnect', 'terminate']);

/** Answers a client until it goes; what it said that was no message, else null. */
export async function serveDap(
  wire: DapWire,
  open: (vm: string, at: string) => Promise<DebuggedVm>,
): Promise<string | null> {
  let seq = 0;
  const send = (message: Sent): void => {
    seq += 1;
    wire.write(frameOf({ seq, ...message }));
  };
  const session = new DapSession({ open, send });
  const reader = new FrameReader();
  let waiting = 0;
  let answering: Promise<void> = Promise.resolve();
  const answer = async (request: Request): Promise<void> => {
    if (!session.isOver) {
      await session.answer(request);
      await session.goOn();
    }
    waiting -= 1;
    if (waiting === 0) session.rest();
  };
  // A failure of ours is met at the end; until then nobody else need know of it.
  const keep = (): void => void answering.catch(() => undefined);
  try {
    for await (const chunk of wire.chunks) {
      for (const request of reader.take(chunk)) {
        waiting += 1;
        if (waiting > WAITING_MAX) return `more than ${WAITING_MAX} requests wait for an answer`;
        if (INTERRUPTS.has(request.command)) session.interrupt();
        answering = answering.then(() => answer(request));
        keep();
        if (request.command === 'disconnect') {
          await answering;
          return null;
        }
      }
    }
    return null;
  } catch (thrown) {
    if (thrown instanceof BadFrame) return thrown.message;
    throw thrown;
  } finally {
    session.interrupt();
    try {
      await answering;
    } finally {
      await session.end();
    }
  }
}

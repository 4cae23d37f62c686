// One client of the Debug Adapter Protocol: bytes in, answers and events out. What a client sends that is
// no message of the protocol, or longer than one may be, ends it before anybody else sees it: the session
// is given whole requests alone.

import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import { BadFrame, frameOf, FrameReader } from './frames.ts';
import { DapSession } from './session.ts';

/** Requests that wait while one is answered. */
const WAITING_MAX = 256;

export interface DapWire {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly write: (bytes: Buffer) => void;
}

/** Answers a client until it goes; what it said that was no message, else null. */
export async function serveDap(
  wire: DapWire,
  open: (vm: string, at: string) => Promise<DebuggedVm>,
): Promise<string | null> {
  const session = new DapSession(open);
  session.onDidSendMessage((message) => wire.write(frameOf(message)));
  const reader = new FrameReader();
  try {
    for await (const chunk of wire.chunks)
      for (const request of reader.take(chunk)) {
        session.handleMessage(request);
        if (session.waiting > WAITING_MAX)
          return `more than ${WAITING_MAX} requests wait for an answer`;
        if (request.command === 'disconnect') return null;
      }
    return null;
  } catch (thrown) {
    if (thrown instanceof BadFrame) return thrown.message;
    throw thrown;
  } finally {
    await session.end();
  }
}

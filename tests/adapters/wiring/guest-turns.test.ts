import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { GuestTurns, type GuestTurn } from '../../../adapters/wiring/record/guest-turns.ts';

const SILENT_MS = 100;

/** Guests that take their turns, in the order in which they had them. */
function guestsOf(turns: GuestTurns) {
  const sending: string[] = [];
  const taken: string[] = [];
  const turnOf = new Map<string, GuestTurn>();
  const send = async (name: string, arrived = () => 0): Promise<void> => {
    const turn = await turns.take(arrived);
    sending.push(name);
    turnOf.set(name, turn);
  };
  const sent = async (name: string): Promise<void> => {
    await turnOf.get(name)!.sent();
    taken.push(name);
  };
  return { sending, taken, send, sent, end: (name: string) => turnOf.get(name)!.end() };
}

describe('turns of guests', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);

  test('let so many send at once, and one capture be taken in', async () => {
    const { sending, taken, send, sent, end } = guestsOf(new GuestTurns({ sendingMax: 2 }));
    for (const name of ['a', 'b', 'c']) void send(name);
    await pass(0);
    expect(sending).toEqual(['a', 'b']);
    void sent('a');
    void sent('b');
    await pass(0);
    expect([sending, taken]).toEqual([['a', 'b', 'c'], ['a']]);
    end('a');
    await pass(0);
    expect(taken).toEqual(['a', 'b']);
  });

  test('wait for no guest that is silent, and for one that sends', async () => {
    const turns = new GuestTurns({ sendingMax: 1, silentMs: SILENT_MS });
    const { sending, taken, send, sent, end } = guestsOf(turns);
    let pages = 0;
    void send('sends', () => (pages += 1));
    void send('hangs');
    void send('waits');
    await pass(50 * SILENT_MS);
    expect(sending).toEqual(['sends']);
    void sent('sends');
    await pass(0);
    expect(sending).toEqual(['sends', 'hangs']);
    await pass(3 * SILENT_MS);
    expect(sending).toEqual(['sends', 'hangs', 'waits']);
    end('sends');
    void sent('waits');
    await pass(0);
    // One that comes back to life is taken in as any other, and lets nobody in twice.
    void sent('hangs');
    end('waits');
    end('hangs');
    end('hangs');
    for (const name of ['next', 'last']) void send(name);
    await pass(0);
    expect(taken).toEqual(['sends', 'waits', 'hangs']);
    expect(sending.slice(3)).toEqual(['next']);
  });

  test('pass on where a capture fails before it was sent', async () => {
    const { sending, send, end } = guestsOf(new GuestTurns({ sendingMax: 1 }));
    void send('fails');
    void send('next');
    await pass(0);
    end('fails');
    await pass(0);
    expect(sending).toEqual(['fails', 'next']);
  });
});

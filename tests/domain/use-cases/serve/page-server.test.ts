// A guest that runs while its memory arrives, without a guest: what it is given, in which order, and
// what becomes of it when something fails.

import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import type { ArrivingGuest, DemandListener } from '../../../../domain/ports/arriving-guest.ts';
import { PageServer, type ServedReader } from '../../../../domain/use-cases/serve/page-server.ts';
import { LedgerError } from '../../../../domain/values/ledger-error.ts';
import { ZERO } from '../../../../domain/values/holding.ts';
import { PAGE_BYTES } from '../../../../domain/values/page.ts';
import { content, heldBy, pageHolding, queueOf } from '../../../support/packs/served-pages.ts';

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    const end = (): void => reject(new LedgerError('IO_FAILED', 'it was cut', {}));
    if (signal.aborted) end();
    signal.addEventListener('abort', end);
  });
const forEver = (): Promise<void> => new Promise(() => undefined);

class FakeGuest implements ArrivingGuest {
  /** What each page was given, in the order of giving. */
  readonly given: [page: number, holding: number][] = [];
  isFinished = false;
  isLeft = false;
  listener: DemandListener | null = null;
  /** What it does with what it is given, and with the word that this was all. */
  takes = (): Promise<void> => setImmediate();
  onFinish = (): void => this.listener!.onEnd(null);
  readonly #left = new AbortController();

  listen(listener: DemandListener): void {
    this.listener = listener;
  }

  async give({ numbers, pages, zeros }: Parameters<ArrivingGuest['give']>[0]): Promise<void> {
    for (let i = 0; i < numbers.length; i += 1)
      this.given.push([numbers[i]!, heldBy(pages.subarray(i * PAGE_BYTES))]);
    for (let i = 0; i < zeros.length; i += 1) this.given.push([zeros[i]!, ZERO]);
    // A write to a connection that is cut fails.
    await Promise.race([this.takes(), aborted(this.#left.signal)]);
  }

  async finish(): Promise<void> {
    this.isFinished = true;
    this.onFinish();
    await setImmediate();
  }

  leave(): void {
    this.isLeft = true;
    this.#left.abort();
  }

  ask(firstPage: number, count = 1): void {
    this.listener!.onDemand({ firstPage, count });
  }
}

/** Reads pages that say what they hold; `gate` is waited for before each read of many. */
function fakeReader(gate: () => Promise<void> = () => Promise.resolve()) {
  const reads: number[] = [];
  return {
    reads,
    blocksRead: 0,
    read: async (holdings: ArrayLike<number>, into: Uint8Array) => {
      reads.push(holdings.length);
      for (let i = 0; i < holdings.length; i += 1)
        into.set(pageHolding(holdings[i]!), i * PAGE_BYTES);
      return into;
    },
    fill: async (
      { table }: { readonly table: Uint32Array },
      target: { readonly file: { readonly handle: unknown } },
    ) => {
      await gate();
      reads.push(table.length);
      const room = new Uint8Array(target.file.handle as SharedArrayBuffer);
      for (const [i, holding] of table.entries()) room.set(pageHolding(holding), i * PAGE_BYTES);
    },
  };
}

const PAGES = 400;
const table = Uint32Array.from({ length: PAGES }, (_, page) =>
  page % 5 === 0 ? ZERO : content(page % 7 === 0 ? 1 : page),
);

function serve(reader: ServedReader = fakeReader(), withheld?: Uint8Array) {
  const guest = new FakeGuest();
  const queue = queueOf(table, undefined, withheld);
  const server = new PageServer({ guest, reader, queue, label: 'a point' });
  return { guest, server, served: server.run() };
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i += 1) await setImmediate();
};

describe('a guest of which pages are withheld', () => {
  const withheld = Uint8Array.from({ length: PAGES }, (_, page) => Number(page < 100));

  test('is given them one by one as it asks, and all of them in the end', async () => {
    const { guest, server, served } = serve(fakeReader(), withheld);
    server.push();
    await server.ahead();
    const before = guest.given.length;
    expect(guest.given.every(([page]) => page >= 100)).toBe(true);
    for (const page of [5, 6, 50]) guest.ask(page);
    await turns(10);
    const asked = guest.given.slice(before).map(([page]) => page);
    expect(asked.toSorted((a, b) => a - b)).toEqual([5, 6, 50]);
    expect([server.isWithholding, guest.isFinished]).toEqual([true, false]);
    server.release();
    await server.released();
    expect(await served).toBe('finished');
    const zeros = table.filter((holding) => holding === ZERO).length;
    expect(guest.given).toHaveLength(PAGES - zeros + 2);
  });

  test('is waited for no longer once it is gone, or left', async () => {
    for (const ends of [
      ({ guest }: ReturnType<typeof serve>) => guest.listener!.onEnd(null),
      ({ server }: ReturnType<typeof serve>) => server.leave(),
    ]) {
      const serving = serve(fakeReader(), withheld);
      const { server, served } = serving;
      server.push();
      await server.ahead();
      ends(serving);
      await server.released();
      expect(server.isWithholding).toBe(false);
      await served;
    }
  });
});

describe('a guest that is served', () => {
  test('has every page that is not zeros, once, with what it holds', async () => {
    const { guest, server, served } = serve();
    server.push();
    expect(await served).toBe('finished');
    expect(guest.isFinished).toBe(true);
    const pages = guest.given.map(([page]) => page);
    expect(pages.length).toBe(new Set(pages).size);
    expect(guest.given.every(([page, holding]) => table[page] === holding)).toBe(true);
    expect(pages.length).toBe(table.filter((holding) => holding !== ZERO).length);
    expect(server.counts).toMatchObject({ requests: 0, demanded: 0, pushed: pages.length });
  });

  test('has what is prefetched when that was waited for, and waits for no more when it is left', async () => {
    const guest = new FakeGuest();
    const queue = queueOf(table);
    queue.prefetch(Uint32Array.of(11, 299));
    const server = new PageServer({ guest, reader: fakeReader(), queue, label: 'a point' });
    const served = server.run();
    await server.prefetched();
    const pages = guest.given.map(([page]) => page);
    expect(pages).toEqual(expect.arrayContaining([11, 299]));
    expect(pages.length).toBeLessThan(table.length / 2);
    expect(server.counts.prefetched).toBe(pages.length);
    queue.prefetch(Uint32Array.of(101));
    server.leave();
    await server.prefetched();
    expect(await served).toBe('left');
  });

  test('waits for nothing but what it asks for where it is given on demand only', async () => {
    const { guest, server, served } = serve();
    guest.ask(11);
    await turns(10);
    guest.ask(11);
    await turns(10);
    expect(guest.given[0]).toEqual([11, content(11)]);
    expect(guest.given.length).toBeLessThan(10);
    expect(server.counts).toMatchObject({ requests: 2, duplicates: 1, demanded: 1 });
    expect(server.counts.filled).toBe(guest.given.length - 1);
    server.push();
    expect(await served).toBe('finished');
  });

  test('is given zeros without a read, those near it too', async () => {
    const reader = fakeReader();
    const { guest, server } = serve(reader);
    guest.ask(0);
    await turns(10);
    expect(reader.reads).toEqual([]);
    expect(guest.given.length).toBeGreaterThan(1);
    expect(guest.given.every(([, holding]) => holding === ZERO)).toBe(true);
    expect(server.counts.fromPatterns).toBe(guest.given.length);
    server.leave();
  });

  test('is given what it asks for while much is being read for it', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { guest, server, served } = serve(fakeReader(() => gate));
    server.push();
    await turns(5);
    expect(guest.given).toEqual([]);
    guest.ask(398);
    await turns(10);
    expect(guest.given[0]).toEqual([398, content(398)]);
    open();
    expect(await served).toBe('finished');
    const pages = guest.given.map(([page]) => page);
    expect(pages.length).toBe(new Set(pages).size);
  });

  test('is given the rest of a storage block before more is pushed, also of what was being read', async () => {
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { guest, server, served } = serve(fakeReader(() => gate));
    server.push();
    await turns(5);
    guest.ask(398);
    await turns(20);
    expect(guest.given.map(([page]) => page)).toEqual([398, 396, 397]);
    expect(server.counts).toMatchObject({ demanded: 1, filled: 2, pushed: 0 });
    open();
    expect(await served).toBe('finished');
  });

  test('counts what one read served more than once', async () => {
    const { server, served } = serve();
    server.push();
    await served;
    const sevenths = table.filter((holding) => holding === content(1)).length;
    expect(server.counts.shared).toBe(sevenths - 1);
  });

  test('is left where that is said, and where a page cannot be read', async () => {
    const left = serve();
    left.server.leave();
    expect(await left.served).toBe('left');
    expect([left.guest.isLeft, left.guest.isFinished]).toEqual([true, false]);
    const failing = fakeReader(() =>
      Promise.reject(new LedgerError('PACK_DAMAGED', 'a pack is damaged', {})),
    );
    const damaged = serve(failing);
    damaged.server.push();
    await expect(damaged.served).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
    expect([damaged.guest.isLeft, damaged.guest.isFinished]).toEqual([true, false]);
  });

  test('is left at once, whatever is read for it, and whatever it takes no more of', async () => {
    const reader = {
      ...fakeReader(),
      read: (_: unknown, __: unknown, signal: AbortSignal) => aborted(signal),
    };
    const waiting = serve(reader);
    waiting.guest.ask(11);
    await turns(3);
    waiting.server.leave();
    expect(await waiting.served).toBe('left');
    const stuck = serve();
    stuck.guest.takes = forEver;
    stuck.server.push();
    await turns(10);
    stuck.server.leave();
    expect(await stuck.served).toBe('left');
    const silent = serve();
    silent.guest.onFinish = () => undefined;
    silent.server.push();
    await turns(30);
    expect(silent.guest.isFinished).toBe(true);
    silent.server.leave();
    expect(await silent.served).toBe('left');
  });

  test('that takes nothing, and asks for what it does not have or ends, is not waited for', async () => {
    const { guest, server, served } = serve();
    guest.takes = forEver;
    server.push();
    await turns(10);
    guest.ask(PAGES);
    await expect(served).rejects.toMatchObject({ code: 'QEMU_FAILED' });
    const gone = serve();
    gone.guest.takes = forEver;
    gone.server.push();
    await turns(10);
    gone.guest.listener!.onEnd(null);
    expect(await gone.served).toBe('gone');
  });

  test('that asks for pages which it does not have is given nothing more', async () => {
    const { guest, served } = serve();
    guest.ask(PAGES - 1, 2);
    await expect(served).rejects.toMatchObject({ code: 'QEMU_FAILED' });
    expect([guest.given, guest.isLeft]).toEqual([[], true]);
  });

  test('and ends is gone, without a failure', async () => {
    const { guest, served } = serve();
    await turns(2);
    guest.listener!.onEnd(null);
    expect(await served).toBe('gone');
  });
});

// What clones have of their hosts' memory: where a page comes from, what looks at clones bring about, by
// examples and against a model of a host, and what the fold of it counts.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  countsOfClone,
  decideLook,
  decideToldLook,
  evolveHostMemory,
  fileKey,
  initialHostMemory,
  sourceOf,
  sourcesOf,
  TOLD_RANGES_MAX,
  type HostMemory,
  type HostMemoryEvent,
  type NoteLook,
  type NoteToldLook,
  type SeenClone,
} from '../../domain/host-memory.ts';
import { isInRanges, rangesOf, unionOf } from '../../domain/values/capture-ranges.ts';
import {
  differenceOf,
  intersectionOf,
  pagesIn,
  type PageRanges,
} from '../../domain/values/page-ranges.ts';
import { encodeControl } from '../../domain/events/control.ts';
import { accepted } from '../../domain/ports/run.ts';
import { ClonedHost, CLONES, fileOf, hostStep, leasedOn } from '../support/hosts/cloned-host.ts';
import { events, specify } from '../support/given-when-then.ts';

const [A, B] = [CLONES[0]!, CLONES[1]!];
const BASE = { vm: 'web', capture: 3, file: '/base/0' };

const given = specify<HostMemory, NoteLook, HostMemoryEvent, never>({
  initial: initialHostMemory,
  decide: decideLook,
  evolve: evolveHostMemory,
});
const look = (...seen: readonly SeenClone[]) => ({ _tag: 'NoteLook', vm: 'web', seen }) as const;
const seen = (clone: string, mapped: PageRanges, own: PageRanges = []): SeenClone => ({
  clone,
  base: BASE,
  mapped,
  own,
});
const fetched = (
  clone: string,
  more: { readonly server?: PageRanges; readonly host?: PageRanges; readonly own?: PageRanges },
): HostMemoryEvent => ({
  type: 'PageFetched',
  data: { vm: 'web', clone, base: BASE, server: [], host: [], own: [], ...more },
});
const evicted = (clone: string, pages: PageRanges): HostMemoryEvent => ({
  type: 'PageEvicted',
  data: { vm: 'web', clone, dropped: 0, pages },
});

describe('where a page comes from', () => {
  test('is decided by who wrote it last, then by who has it', () => {
    expect(sourceOf({ isOwn: true, isOnHost: true })).toBe('own');
    expect(sourceOf({ isOwn: true, isOnHost: false })).toBe('own');
    expect(sourceOf({ isOwn: false, isOnHost: true })).toBe('host');
    expect(sourceOf({ isOwn: false, isOnHost: false })).toBe('server');
  });

  test('is the same of each of many pages', () => {
    const pages = fc.uniqueArray(fc.nat(60)).map(rangesOf);
    fc.assert(
      fc.property(pages, pages, pages, (all, own, onHost) => {
        const sources = sourcesOf({ pages: all, own, onHost });
        for (let page = 0; page <= 60; page += 1) {
          const of = { isOwn: isInRanges(own, page), isOnHost: isInRanges(onHost, page) };
          const told = (['own', 'host', 'server'] as const).filter((source) =>
            isInRanges(sources[source], page),
          );
          expect(told).toEqual(isInRanges(all, page) ? [sourceOf(of)] : []);
        }
      }),
    );
  });
});

describe('looking at clones', () => {
  const both = [leasedOn(A), leasedOn(B)];

  test('tells what the first of them fetched, and what the next found on the host', () => {
    expect(given(...both).when(look(seen(A, [[0, 9]]), seen(B, [[5, 14]], [[20, 20]])))).toEqual(
      events(
        fetched(A, { server: [[0, 9]] }),
        fetched(B, { server: [[10, 14]], host: [[5, 9]], own: [[20, 20]] }),
      ),
    );
  });

  test('tells nothing that was told before, and nothing of a clone that does not run', () => {
    const past = [...both, fetched(A, { server: [[0, 9]], own: [[30, 30]] })];
    expect(given(...past).when(look(seen(A, [[0, 9]], [[30, 30]])))).toEqual(events());
    expect(given(leasedOn(A)).when(look(seen(B, [[0, 9]])))).toEqual(events());
  });

  test('tells what left the host, once for all that had it, and what was fetched again', () => {
    const past = [...both, fetched(A, { server: [[0, 9]] }), fetched(B, { host: [[0, 9]] })];
    expect(given(...past).when(look(seen(A, [[0, 4]]), seen(B, [[0, 3]])))).toEqual(
      events(evicted(A, [[5, 9]])),
    );
    const gone = [...past, evicted(A, [[0, 9]])];
    expect(given(...gone).when(look(seen(A, []), seen(B, [[2, 4]])))).toEqual(
      events(fetched(B, { server: [[2, 4]] })),
    );
    const memory = [...gone, fetched(B, { server: [[2, 4]] })].reduce(
      evolveHostMemory,
      initialHostMemory,
    );
    expect(countsOfClone(memory, A)).toEqual({ server: 10, host: 0, evicted: 10, refetched: 0 });
    expect(countsOfClone(memory, B)).toEqual({ server: 3, host: 10, evicted: 0, refetched: 3 });
    expect(memory.hosts.get('one')).toMatchObject({ evicted: 10, refetched: 3, started: 2 });
  });

  test('does not take for gone what another clone of the file has still', () => {
    const past = [...both, fetched(A, { server: [[0, 9]] }), fetched(B, { host: [[0, 9]] })];
    expect(given(...past).when(look(seen(A, []), seen(B, [[0, 9]])))).toEqual(events());
  });

  test('does not take for gone what the clone has written since', () => {
    const past = [leasedOn(A), fetched(A, { server: [[0, 9]] })];
    expect(given(...past).when(look(seen(A, [[0, 7]], [[8, 9]])))).toEqual(
      events(fetched(A, { own: [[8, 9]] })),
    );
  });

  test('tells of more ranges than an event has in the events of later looks', () => {
    const scattered = rangesOf(Array.from({ length: 2 * TOLD_RANGES_MAX + 5 }, (_, i) => 2 * i));
    const host = new ClonedHost();
    host.say(leasedOn(A));
    host.running.set(0, {
      mapped: new Set(scattered.map(([first]) => first)),
      own: new Set(scattered.map(([first]) => first + 1)),
    });
    const told = [1, 2, 3].map(() => host.look());
    expect(told.map((list) => list.length)).toEqual([1, 1, 1]);
    for (const [event] of told) expect(encodeControl(event!)._tag).toBe('Right');
    expect(host.look()).toEqual([]);
    expect(host.memory.clones.get(A)).toMatchObject({ held: scattered });
  });
});

/** Pages that events say left, and those that they say were fetched from the server of a file. */
const leftIn = (list: readonly HostMemoryEvent[]): PageRanges =>
  unionOf(
    [],
    list.flatMap((event) => (event.type === 'PageEvicted' ? event.data.pages : [])),
  );
const servedIn = (list: readonly HostMemoryEvent[], key: string): PageRanges =>
  unionOf(
    [],
    list.flatMap((event) =>
      event.type === 'PageFetched' && fileKey('one', event.data.base) === key
        ? event.data.server
        : [],
    ),
  );

test('what hosts have is what looks saw, whatever clones do; what was written is never among what left', () => {
  fc.assert(
    fc.property(fc.array(hostStep, { maxLength: 120 }), (steps) => {
      const host = new ClonedHost();
      for (const step of steps) {
        const { files } = host.memory;
        const at = host.events.length;
        host.take(step);
        const news = host.events.slice(at);
        for (const { data } of news.filter((event) => event.type === 'PageEvicted')) {
          expect(pagesIn(data.pages)).toBeGreaterThan(0);
          const { own } = host.seen().find(({ clone }) => clone === data.clone)!;
          expect(intersectionOf(data.pages, own)).toEqual([]);
        }
        // Nothing is fetched from the server that lies on the host.
        for (const [key, { held }] of files)
          expect(intersectionOf(servedIn(news, key), differenceOf(held, leftIn(news)))).toEqual([]);
        for (const { held, own, file } of host.memory.clones.values()) {
          const inFile = file === null ? [] : host.memory.files.get(file)!.held;
          expect(intersectionOf(held, inFile)).toEqual(held);
          expect(intersectionOf(held, own)).toEqual([]);
        }
        for (const { held, gone } of host.memory.files.values())
          expect(intersectionOf(held, gone)).toEqual([]);
      }
      host.look();
      for (const { clone, mapped, own } of host.seen()) {
        const folded = host.memory.clones.get(clone)!;
        expect(folded.own).toEqual(own);
        expect(differenceOf(mapped, folded.held)).toEqual([]);
      }
      expect(host.events.reduce(evolveHostMemory, initialHostMemory)).toEqual(host.memory);
    }),
  );
});

const givenTold = specify<HostMemory, NoteToldLook, HostMemoryEvent, never>({
  initial: initialHostMemory,
  decide: decideToldLook,
  evolve: evolveHostMemory,
});
const toldOf = (clone: string, more: Partial<NoteToldLook>): NoteToldLook => ({
  _tag: 'NoteToldLook',
  vm: 'web',
  clone,
  base: BASE,
  gone: [],
  came: [],
  own: [],
  dropped: 0,
  ...more,
});

describe('what the host of a clone says elsewhere', () => {
  const both = [leasedOn(A), leasedOn(B)];

  test('is news by what was said before it: who fetched a page is not its to say', () => {
    expect(givenTold(...both).when(toldOf(A, { came: [[0, 9]], own: [[20, 20]] }))).toEqual(
      events(fetched(A, { server: [[0, 9]], own: [[20, 20]] })),
    );
    const past = [...both, fetched(A, { server: [[0, 9]] })];
    expect(givenTold(...past).when(toldOf(B, { came: [[5, 14]] }))).toEqual(
      events(fetched(B, { server: [[10, 14]], host: [[5, 9]] })),
    );
    expect(givenTold(...past).when(toldOf(A, { gone: [[8, 12]], came: [[9, 9]] }))).toEqual(
      events(evicted(A, [[8, 9]]), fetched(A, { server: [[9, 9]] })),
    );
  });

  test('is nothing when it is said twice, or of a clone that does not run', () => {
    const past = [...both, fetched(A, { server: [[0, 9]], own: [[20, 20]] })];
    const again = toldOf(A, { came: [[0, 9]], own: [[20, 20]], gone: [[30, 39]] });
    expect(givenTold(...past).when(again)).toEqual(events());
    expect(givenTold(leasedOn(A)).when(toldOf(B, { came: [[0, 9]], dropped: 7 }))).toEqual(
      events(),
    );
  });

  test('tells what was dropped by itself, and nothing of another file than it maps', () => {
    const past = [...both, fetched(A, { server: [[0, 9]] })];
    const dropped = { type: 'PageEvicted', data: { vm: 'web', clone: A, dropped: 7, pages: [] } };
    const other = { ...BASE, file: '/base/1' };
    const told = toldOf(A, { base: other, gone: [[0, 9]], came: [[0, 9]], dropped: 7 });
    expect(givenTold(...past).when(told)).toEqual(events(dropped as HostMemoryEvent));
    expect(givenTold(...past).when(toldOf(A, { gone: [[0, 3]], dropped: 7 }))).toEqual(
      events(dropped as HostMemoryEvent, evicted(A, [[0, 3]])),
    );
  });

  /** Says of each range of an event by itself. */
  const partsOf = (event: HostMemoryEvent): readonly NoteToldLook[] => {
    if (event.type !== 'PageFetched' && event.type !== 'PageEvicted') return [];
    const { clone } = event.data;
    const lists =
      event.type === 'PageEvicted'
        ? { gone: event.data.pages, came: [], own: [] }
        : { gone: [], came: unionOf(event.data.server, event.data.host), own: event.data.own };
    const base = event.type === 'PageFetched' ? event.data.base : BASE;
    return (['gone', 'came', 'own'] as const).flatMap((list) =>
      lists[list].map((range) => toldOf(clone, { base, [list]: [range] })),
    );
  };

  test('in parts, each perhaps twice, is what looks at them are', () => {
    fc.assert(
      fc.property(
        fc.array(hostStep, { maxLength: 80 }),
        fc.infiniteStream(fc.boolean()),
        (steps, twice) => {
          const host = new ClonedHost();
          let there = initialHostMemory;
          for (const step of [...steps, { _tag: 'look' } as const]) {
            const at = host.events.length;
            host.take(step);
            for (const event of host.events.slice(at)) {
              const parts = partsOf(event).map((part) =>
                part.gone.length === 0
                  ? part
                  : {
                      ...part,
                      base: { ...BASE, file: `/base/${fileOf(CLONES.indexOf(part.clone))}` },
                    },
              );
              if (event.type !== 'PageFetched' && event.type !== 'PageEvicted')
                there = evolveHostMemory(there, event);
              for (const part of parts.flatMap((each) =>
                twice.next().value ? [each, each] : [each],
              ))
                there = accepted(decideToldLook(there)(part)).reduce(evolveHostMemory, there);
            }
          }
          expect(there).toEqual(host.memory);
        },
      ),
    );
  });

  test('keeps what is folded in order, whatever is said', () => {
    const pages = fc.uniqueArray(fc.nat(40)).map(rangesOf);
    const command = fc.record({
      clone: fc.constantFrom(...CLONES),
      file: fc.constantFrom('/base/0', '/base/1'),
      gone: pages,
      came: pages,
      own: pages,
      dropped: fc.nat(9),
    });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        let memory = both.reduce(evolveHostMemory, initialHostMemory);
        for (const { clone, file, ...lists } of commands) {
          const told = toldOf(clone, { base: { ...BASE, file }, ...lists });
          for (const event of accepted(decideToldLook(memory)(told))) {
            expect(encodeControl(event)._tag).toBe('Right');
            memory = evolveHostMemory(memory, event);
          }
          for (const { held, own, file: of } of memory.clones.values()) {
            const inFile = of === null ? [] : memory.files.get(of)!.held;
            expect(intersectionOf(held, inFile)).toEqual(held);
            expect(intersectionOf(held, own)).toEqual([]);
          }
          expect(memory.files.size).toBeLessThanOrEqual(2);
        }
      }),
    );
  });
});

test('parking writes out what a clone had of its own, and waking and ending are counted', () => {
  const data = { vm: 'web', clone: A };
  const memory = (
    [
      leasedOn(A),
      fetched(A, { server: [[0, 9]], own: [[20, 22]] }),
      { type: 'CloneParked', data: { ...data, as: 'web-a', at: 1, privatePages: 3 } },
      { type: 'LeaseEnded', data: { vm: 'web', lease: A, why: 'released' } },
      leasedOn(B),
      { type: 'CloneWoken', data: { ...data, lease: B } },
      { type: 'CloneEnded', data: { ...data, clone: B, why: 'released', privatePages: 0 } },
    ] as const
  ).reduce<typeof initialHostMemory>(evolveHostMemory, initialHostMemory);
  expect([memory.clones.size, memory.files.size]).toEqual([0, 0]);
  expect(memory.hosts.get('one')).toEqual({
    server: 10,
    host: 0,
    evicted: 0,
    refetched: 0,
    started: 2,
    parked: 1,
    woken: 1,
    ended: 2,
    writtenOut: 3,
  });
});

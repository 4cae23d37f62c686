import { describe, expect, test } from '@jest/globals';
import {
  decideHost,
  evolveHost,
  initialHost,
  type AdvertisedPart,
  type HostsEvent,
  type JoinHost,
} from '../../domain/hosts.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';

const given = specify({ initial: initialHost, decide: decideHost, evolve: evolveHost });

const facts = {
  host: 'one',
  address: null,
  cores: 8,
  memoryBytes: 2 ** 34,
  cpu: 'a CPU',
  features: ['avx2'],
  qemu: '7.2.22',
  distances: [{ host: 'two', distance: 3 }],
};
const join: JoinHost = { ...facts, _tag: 'JoinHost' };
const joined: HostsEvent = { type: 'HostJoined', data: facts };
const left: HostsEvent = { type: 'HostLeft', data: { host: 'one' } };
const partOf = (generation: number, part = 1, parts = 1): AdvertisedPart => ({
  host: 'one',
  generation,
  part,
  parts,
  regions: 4,
  pages: 40,
  digest: `${generation}`.repeat(64),
  bytes: 'AAAA',
});
const told = (...data: readonly AdvertisedPart[]): readonly HostsEvent[] =>
  data.map((of) => ({ type: 'ContentsAdvertised', data: of }));
const advertise = (...parts: readonly AdvertisedPart[]) =>
  ({ _tag: 'AdvertiseContents', host: 'one', parts }) as const;

const after = (...happened: readonly HostsEvent[]) => happened.reduce(evolveHost, initialHost);

describe('a host', () => {
  test('joins by saying what it is, once', () => {
    expect(given().when(join)).toEqual(events(joined));
    expect(given(joined).when(join)).toEqual(events());
  });

  test('says what has changed of it', () => {
    const data = { ...facts, memoryBytes: 5 };
    expect(given(joined).when({ ...join, memoryBytes: 5 })).toEqual(
      events({ type: 'HostJoined', data }),
    );
  });

  test.each([
    ['of its own', { host: 'a b' }],
    ['of another', { distances: [{ host: 'a b', distance: 1 }] }],
  ])('with a name %s that cannot be one is refused', (_whose, wrong) => {
    expect(given().when({ ...join, ...wrong })).toEqual(
      refusal({ _tag: 'BadHostName', host: 'a b' }),
    );
  });

  test('leaves, and what it held counts for nothing', () => {
    expect(given(joined).when({ _tag: 'LeaveWorkgroup', host: 'one' })).toEqual(events(left));
    expect(after(joined, ...told(partOf(1)), left)).toEqual({ ...initialHost, generation: 1 });
  });

  test.each([
    ['advertises', advertise(partOf(1))],
    ['leaves', { _tag: 'LeaveWorkgroup', host: 'one' } as const],
  ])('that is not there %s: refused', (_what, command) => {
    const unknown = refusal({ _tag: 'HostUnknown', host: 'one' });
    expect(given().when(command)).toEqual(unknown);
    expect(given(joined, left).when(command)).toEqual(unknown);
  });
});

describe('what a host holds', () => {
  test('is told in parts, and counts when all are there', () => {
    const [one, two] = told(partOf(1, 1, 2), partOf(1, 2, 2));
    expect(given(joined).when(advertise(partOf(1, 1, 2), partOf(1, 2, 2)))).toEqual(
      events(one!, two!),
    );
    expect(after(joined, one!).advertised).toBeNull();
    expect(after(joined, one!, two!).advertised).toMatchObject({ generation: 1, pages: 40 });
  });

  test('is what was told before where a later generation is not whole', () => {
    const state = after(joined, ...told(partOf(1), partOf(2, 1, 2), partOf(3, 2, 2)));
    expect(state.advertised?.generation).toBe(1);
  });

  test('is told on where some of its parts are there', () => {
    const known = [joined, ...told(partOf(1, 1, 3))];
    expect(given(...known).when(advertise(partOf(1, 2, 3), partOf(1, 3, 3)))).toEqual(
      events(...told(partOf(1, 2, 3), partOf(1, 3, 3))),
    );
    expect(given(...known).when(advertise(partOf(1, 3, 3)))).toEqual(events());
  });

  test('that is told already, or of an earlier generation, is nothing new', () => {
    const known = [joined, ...told(partOf(2))];
    expect(given(...known).when(advertise(partOf(1)))).toEqual(events());
    const same = { ...partOf(3), digest: partOf(2).digest };
    expect(given(...known).when(advertise(same))).toEqual(events());
    expect(given(...known).when(advertise(partOf(3)))).toEqual(events(...told(partOf(3))));
  });

  test('goes on in generations where a host joins again', () => {
    const known = [joined, ...told(partOf(2)), left, joined];
    expect(given(...known).when(advertise(partOf(2)))).toEqual(events());
  });
});

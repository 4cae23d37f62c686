import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CaptureCommitted } from '../../domain/events/control.ts';
import { flatMap, type MemoryMap } from '../../domain/values/memory-map.ts';
import { refusalText } from '../../domain/values/refusal-texts.ts';
import { PAGE_BYTES } from '../../domain/values/page.ts';
import { NAME_CHARACTERS_MAX } from '../../domain/events/streams.ts';
import {
  captureRefusal,
  decideVm,
  evolveVm,
  initialVm,
  timeDoubt,
  type CommitCapture,
  type ParentPoint,
  type VmCommand,
  type VmEvent,
} from '../../domain/vm.ts';
import { events, refusal, specify } from '../support/given-when-then.ts';
import { triesOf } from '../support/long-run.ts';

const given = specify({ initial: initialVm, decide: decideVm, evolve: evolveVm });

const MEASURED = {
  batches: 2,
  firstRevision: 0,
  hash: 'ab'.repeat(32),
  written: 4,
  stored: 2,
  merged: 1,
  pattern: 1,
  unknown: 0,
  unchanged: 0,
  pauseMs: null,
  mode: 'image' as const,
  source: 'guest.img',
};

const commit = (more: Partial<CommitCapture> = {}): CommitCapture => ({
  _tag: 'CommitCapture',
  share: null,
  vm: 'web',
  group: null,
  memoryMap: flatMap(4),
  areRangesTold: false,
  argv: null,
  timeMs: 1000,
  measured: MEASURED,
  ...more,
});

const registered = (
  group = 'default',
  memoryMap: MemoryMap = flatMap(4),
  parent: ParentPoint | null = null,
): VmEvent => ({
  type: 'VmRegistered',
  data: { vm: 'web', group, share: 'group', memoryMap, parent },
});
const NOTHING_BESIDE = { note: null, attachments: [], image: null };
const committed = (
  capture: number,
  timeMs: number,
  more: Partial<CaptureCommitted> = {},
): VmEvent => ({
  type: 'CaptureCommitted',
  data: { ...MEASURED, ...NOTHING_BESIDE, vm: 'web', capture, timeMs, ...more },
});
const observed = (...argv: string[]): VmEvent => ({
  type: 'CommandLineObserved',
  data: { vm: 'web', argv },
});
const retired: VmEvent = { type: 'VmRetired', data: { vm: 'web' } };

describe('a first capture', () => {
  test('registers the VM in the default group and is its capture 1', () => {
    expect(given().when(commit())).toEqual(events(registered(), committed(1, 1000)));
  });

  test('registers the VM in the group that was asked for', () => {
    expect(given().when(commit({ group: 'fleet' }))).toEqual(
      events(registered('fleet'), committed(1, 1000)),
    );
  });

  test('of a clone names the point that its guest began at', () => {
    const parent = { vm: 'master', capture: 3 };
    const first = registered('default', flatMap(4), parent);
    expect(given().when(commit({ parent }))).toEqual(events(first, committed(1, 1000)));
    expect(given(first, committed(1, 1000)).when(commit({ parent }))).toEqual(
      events(committed(2, 1000)),
    );
  });

  test('notes the command line before it is committed', () => {
    expect(given().when(commit({ argv: ['qemu', '-m', '1'] }))).toEqual(
      events(registered(), observed('qemu', '-m', '1'), committed(1, 1000)),
    );
  });
});

describe('what is kept beside a capture', () => {
  const state = { name: 'vmstate', bytes: 5000, sha256: 'cd'.repeat(32) };

  test('stands in its commit', () => {
    const beside = { note: 'before the upgrade', attachments: [state], image: null };
    expect(given(registered(), committed(1, 1000)).when(commit({ beside }))).toEqual(
      events(committed(2, 1000, beside)),
    );
  });

  test('is refused with a name that is a path, and where the note is too long', () => {
    const before = given(registered(), committed(1, 1000));
    const attachments = [{ ...state, name: '../vmstate' }];
    expect(before.when(commit({ beside: { ...NOTHING_BESIDE, attachments } }))).toMatchObject(
      refusal({ _tag: 'BadAttachment', name: '../vmstate' }),
    );
    const note = 'x'.repeat(1025);
    expect(before.when(commit({ beside: { ...NOTHING_BESIDE, note } }))).toEqual(
      refusal({ _tag: 'BadNote', bytes: 1025, bytesMax: 1024 }),
    );
  });
});

describe('of two commits of one capture', () => {
  test('the first counts', () => {
    const past = [registered(), committed(1, 1000), committed(2, 2000)];
    const next = commit({ timeMs: 3000 });
    for (const again of [committed(2, 9000), committed(1, 9000)])
      expect(given(...past, again).when(next)).toEqual(events(committed(3, 3000)));
  });
});

describe('a further capture', () => {
  test('has the next number and nothing else to say', () => {
    expect(given(registered(), committed(1, 1000)).when(commit({ timeMs: 2000 }))).toEqual(
      events(committed(2, 2000)),
    );
  });

  test('of a live guest that has its memory elsewhere says so, once', () => {
    const moved: MemoryMap = {
      ...flatMap(4),
      ranges: [{ address: 2 ** 32, block: 'ram', offset: 0, length: 4 * PAGE_BYTES }],
    };
    const live = { ...MEASURED, mode: 'migrate' as const };
    const changed: VmEvent = { type: 'MemoryMapChanged', data: { vm: 'web', memoryMap: moved } };
    const asked = commit({ memoryMap: moved, areRangesTold: true, measured: live });
    const captured = (capture: number): VmEvent => committed(capture, 1000, live);
    expect(given(registered(), committed(1, 1000)).when(asked)).toEqual(
      events(changed, captured(2)),
    );
    expect(given(registered(), committed(1, 1000), changed, captured(2)).when(asked)).toEqual(
      events(captured(3)),
    );
  });

  test('of a file, or of a guest that does not say, leaves addresses as they are', () => {
    const moved = { ...flatMap(4), ranges: [] };
    const before = given(registered(), committed(1, 1000));
    expect(before.when(commit({ memoryMap: moved }))).toEqual(events(committed(2, 1000)));
    const live = { ...MEASURED, mode: 'migrate' as const };
    expect(before.when(commit({ memoryMap: moved, areRangesTold: true, measured: live }))).toEqual(
      events(committed(2, 1000, live)),
    );
  });

  describe('with a block behind those that the VM has', () => {
    const { blocks, ranges } = flatMap(4);
    const dimm = { name: 'dimm0', pages: 2 };
    const grown: MemoryMap = { blocks: [...blocks, dimm], ranges };
    const changed: VmEvent = { type: 'MemoryMapChanged', data: { vm: 'web', memoryMap: grown } };

    test('extends the map, once', () => {
      const past = [registered(), committed(1, 1000)];
      expect(given(...past).when(commit({ memoryMap: grown }))).toEqual(
        events(changed, committed(2, 1000)),
      );
      expect(
        given(...past, changed, committed(2, 1000)).when(commit({ memoryMap: grown })),
      ).toEqual(events(committed(3, 1000)));
    });

    test('has it where the guest says, and nowhere where nobody does', () => {
      const there = { address: 2 ** 32, block: 'dimm0', offset: 0, length: 2 * PAGE_BYTES };
      const told: MemoryMap = { ...grown, ranges: [...ranges, there] };
      const past = given(registered(), committed(1, 1000));
      const said: VmEvent = { type: 'MemoryMapChanged', data: { vm: 'web', memoryMap: told } };
      expect(past.when(commit({ memoryMap: told, areRangesTold: true }))).toEqual(
        events(said, committed(2, 1000)),
      );
      expect(past.when(commit({ memoryMap: told }))).toEqual(events(changed, committed(2, 1000)));
    });

    test.each([
      ['without it again', flatMap(4)],
      ['with it before the others', { blocks: [dimm, ...blocks], ranges }],
      ['with another in its place', { blocks: [...blocks, { ...dimm, pages: 3 }], ranges }],
    ])('is the last of its kind: one %s is refused', (_, memoryMap) => {
      const outcome = given(registered(), committed(1, 1), changed, committed(2, 1)).when(
        commit({ memoryMap }),
      );
      expect(outcome).toMatchObject({ _tag: 'Left', left: { _tag: 'MemoryChanged' } });
    });

    test('is not taken for one that gives pages other numbers, as a damaged log might', () => {
      const other: VmEvent = {
        type: 'MemoryMapChanged',
        data: { vm: 'web', memoryMap: { blocks: [dimm], ranges: [] } },
      };
      const state = [registered(), other, registered('other', flatMap(9))].reduce(
        evolveVm,
        initialVm,
      );
      expect(state.registered?.memoryMap).toEqual(flatMap(4));
      expect(state.registered?.group).toBe('default');
    });
  });

  test('earlier than the last one keeps its time', () => {
    expect(
      given(registered(), committed(1, 5000), committed(2, 9000)).when(commit({ timeMs: 7000 })),
    ).toEqual(events(committed(3, 7000)));
  });

  test('at a time ahead of the clock, or before the last, is doubted in a sentence with dates', () => {
    const at = (timeMs: number, recordedAtMs = 1e12) => ({ capture: 2, timeMs, recordedAtMs });
    const before = at(1e12 - 5000);
    expect(timeDoubt('web', at(1e12 - 5000), before)).toBeNull();
    expect(timeDoubt('web', at(1e12 + 60_000), before)).toBeNull();
    expect(timeDoubt('web', at(5), undefined)).toBeNull();
    expect(timeDoubt('web', at(1e12 + 60_001), before)).toMatch(
      /web@2, 2001-09-09T01:47:40.001Z, is ahead of this host's clock, 2001-09-09T01:46:40.000Z/u,
    );
    expect(timeDoubt('web', at(1e12 - 5001), before)).toMatch(
      /2001-09-09T01:46:34.999Z, is before that of the capture before it, 2001-09-09T01:46:35.000Z/u,
    );
  });

  test('notes a command line only when it changed', () => {
    const past = [registered(), observed('a', 'b'), committed(1, 1)];
    expect(given(...past).when(commit({ argv: ['a', 'b'] }))).toEqual(events(committed(2, 1000)));
    expect(given(...past).when(commit({ argv: ['a'] }))).toEqual(
      events(observed('a'), committed(2, 1000)),
    );
    expect(given(...past).when(commit({ argv: null }))).toEqual(events(committed(2, 1000)));
  });

  test('may name the group that the VM has', () => {
    expect(given(registered('fleet'), committed(1, 1)).when(commit({ group: 'fleet' }))).toEqual(
      events(committed(2, 1000)),
    );
  });

  test('may have its memory mapped elsewhere, since pages are numbered through the blocks', () => {
    const moved: MemoryMap = { ...flatMap(4), ranges: [] };
    expect(given(registered(), committed(1, 1)).when(commit({ memoryMap: moved }))).toEqual(
      events(committed(2, 1000)),
    );
  });
});

describe('a capture is refused', () => {
  test.each(['', '-web', 'a/b', '..', 'a b', 'ä', 'x'.repeat(NAME_CHARACTERS_MAX + 1)])(
    'under the name %j',
    (vm) => {
      expect(given().when(commit({ vm }))).toEqual(refusal({ _tag: 'BadVmName', vm }));
    },
  );

  test('in a group whose name no pack header has room for', () => {
    const group = 'g'.repeat(64);
    expect(given().when(commit({ group }))).toEqual(refusal({ _tag: 'BadGroupName', group }));
  });

  test('in another group than the VM has', () => {
    expect(given(registered('fleet')).when(commit({ group: 'default' }))).toEqual(
      refusal({ _tag: 'GroupFixed', vm: 'web', group: 'fleet', asked: 'default' }),
    );
  });

  test('with another memory than the VM has', () => {
    expect(given(registered()).when(commit({ memoryMap: flatMap(5) }))).toEqual(
      refusal({
        _tag: 'MemoryChanged',
        vm: 'web',
        was: '16384 bytes in 1 block(s) (ram 16384)',
        now: '20480 bytes in 1 block(s) (ram 20480)',
      }),
    );
  });

  test('after the VM was retired', () => {
    expect(given(registered(), committed(1, 1), retired).when(commit())).toEqual(
      refusal({ _tag: 'VmRetired', vm: 'web' }),
    );
  });
});

describe('retiring', () => {
  const retire: VmCommand = { _tag: 'RetireVm', vm: 'web' };

  test('ends a VM once', () => {
    expect(given(registered(), committed(1, 1)).when(retire)).toEqual(events(retired));
    expect(given(registered(), retired).when(retire)).toEqual(
      refusal({ _tag: 'VmRetired', vm: 'web' }),
    );
  });

  test('an unknown VM is refused', () => {
    expect(given().when(retire)).toEqual(refusal({ _tag: 'VmUnknown', vm: 'web' }));
  });
});

describe('every command sequence', () => {
  const command: fc.Arbitrary<VmCommand> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .record({ timeMs: fc.nat(), pages: fc.constantFrom(4, 4, 4, 5) })
        .map(({ timeMs, pages }) => commit({ timeMs, memoryMap: flatMap(pages) })),
    },
    { weight: 1, arbitrary: fc.constant<VmCommand>({ _tag: 'RetireVm', vm: 'web' }) },
  );

  test('numbers captures from 1 without gaps, and keeps their times', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 20 }), (commands) => {
        let state = initialVm;
        const happened: VmEvent[] = [];
        const refusals: string[] = [];
        for (const one of commands) {
          const decided = decideVm(state)(one);
          if (decided._tag === 'Left') {
            refusals.push(refusalText(decided.left));
            continue;
          }
          happened.push(...decided.right);
          state = decided.right.reduce(evolveVm, state);
        }
        const captures = happened.flatMap((event) =>
          event.type === 'CaptureCommitted' ? [event.data] : [],
        );
        expect(captures.map(({ capture }) => capture)).toEqual(captures.map((_, i) => i + 1));
        expect(refusals.every((text) => text.includes('VM web'))).toBe(true);
        expect(happened.filter(({ type }) => type === 'VmRegistered').length).toBeLessThanOrEqual(
          1,
        );
        expect(happened.reduce(evolveVm, initialVm)).toEqual(state);
        expect(captureRefusal(state, commit()) === null).toBe(
          decideVm(state)(commit())._tag === 'Right',
        );
      }),
      { numRuns: triesOf(60) },
    );
  });
});

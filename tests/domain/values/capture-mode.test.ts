import { expect, test } from '@jest/globals';
import {
  CAPTURE_MODES,
  captureModeOf,
  mayHaveDevice,
} from '../../../domain/values/capture-mode.ts';

test('every mode reads back as itself, and any other text as another', () => {
  expect(CAPTURE_MODES.map(captureModeOf)).toEqual([...CAPTURE_MODES]);
  expect(['elf', '', 'constructor'].map(captureModeOf)).toEqual(['other', 'other', 'other']);
});

test('no device state is missed where the mode never brings one', () => {
  expect(CAPTURE_MODES.filter((mode) => !mayHaveDevice(mode))).toEqual(['image', 'core']);
});

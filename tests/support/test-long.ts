// Tests that a usual run leaves out.

import { test } from '@jest/globals';
import { IS_LONG } from './long-run.ts';

/** A test of the long run alone. */
export const testLong: typeof test.skip = IS_LONG ? test : test.skip;

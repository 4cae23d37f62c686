// What becomes of pages of which no source told what they held, where a command gives memory back.

import { Option } from 'commander';

/** `--unknown zero`; without it a point that has such pages is refused. */
export const unknownOption = (): Option =>
  new Option('--unknown <how>', 'what becomes of pages that a dump left out').choices(['zero']);

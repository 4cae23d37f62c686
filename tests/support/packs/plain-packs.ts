// Packs as plain values, for comparing: with their tables, whether these were read yet or not.

import type { AnyPack, Tables } from '../../../projections/models/packs.ts';

const plainTables = ({ sizeBytes, blocks, patches, references }: Tables): Tables => ({
  sizeBytes,
  blocks,
  patches,
  references,
});

export const plainPacks = (packs: readonly AnyPack[]) =>
  packs.map((pack) => Object.assign({}, pack, { tables: plainTables(pack.tables) }));

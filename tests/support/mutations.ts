// Bytes that are nearly right: what a flipped bit, a cut, a hostile number or a stretch from elsewhere
// makes of them. Texts of numbers and names are changed so that they stay texts.

import type { Random } from './images.ts';

const HOSTILE_BYTES = [0x00, 0x01, 0x7f, 0x80, 0xff];
const HOSTILE_NUMBERS = [
  '0',
  '-1',
  '1',
  '2',
  '255',
  '4096',
  '65536',
  '4294967295',
  '4294967296',
  '9007199254740991',
  '1e300',
  '0.5',
  'null',
];

type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

const flip: Mutation = (bytes, random) => {
  const copy = bytes.slice();
  copy[random(copy.length)]! ^= 1 << random(8);
  return copy;
};

const overwrite: Mutation = (bytes, random) => {
  const copy = bytes.slice();
  const at = random(copy.length);
  const byte = HOSTILE_BYTES[random(HOSTILE_BYTES.length)]!;
  copy.fill(byte, at, at + 1 + random(8));
  return copy;
};

const cut: Mutation = (bytes, random) => bytes.slice(0, random(bytes.length));

const grow: Mutation = (bytes, random) => {
  const more = Uint8Array.from({ length: 1 + random(40) }, () => random(256));
  const longer = new Uint8Array(bytes.length + more.length);
  longer.set(bytes);
  longer.set(more, bytes.length);
  return longer;
};

const repeat: Mutation = (bytes, random) => {
  const copy = bytes.slice();
  const from = random(copy.length);
  copy.copyWithin(random(copy.length), from, from + 1 + random(64));
  return copy;
};

/** Another number in a text; bytes without one are flipped. */
const renumber: Mutation = (bytes, random) => {
  const text = Buffer.from(bytes).toString('latin1');
  const numbers = [...text.matchAll(/\d+/gu)];
  if (numbers.length === 0) return flip(bytes, random);
  const found = numbers[random(numbers.length)]!;
  const instead = HOSTILE_NUMBERS[random(HOSTILE_NUMBERS.length)]!;
  const changed = `${text.slice(0, found.index)}${instead}${text.slice(found.index + found[0].length)}`;
  return Uint8Array.from(Buffer.from(changed, 'latin1'));
};

const MUTATIONS: readonly Mutation[] = [
  flip,
  flip,
  overwrite,
  cut,
  grow,
  repeat,
  renumber,
  renumber,
];

/** Bytes with one to three changes. */
export function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  // Of a Buffer, `slice` would be a view.
  let changed: Uint8Array = new Uint8Array(bytes);
  for (let left = 1 + random(3); left > 0; left -= 1)
    if (changed.length > 0) changed = MUTATIONS[random(MUTATIONS.length)]!(changed, random);
  return changed;
}

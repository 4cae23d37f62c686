// Bytes that are nearly right: what a flipped bit, a cut, a hostile number or a stretch from elsewhere
// makes of them. Texts of numbers and names are changed so that they stay texts. Where most bytes say
// nothing of how the others are to be read, those that do are changed more often.

import type { Random } from '../images.ts';

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

/** What a mutation draws from: any number, and a place in so many bytes. */
interface Draws {
  readonly random: Random;
  readonly place: Random;
}

type Mutation = (bytes: Uint8Array, draws: Draws) => Uint8Array;

const flip: Mutation = (bytes, { random, place }) => {
  const copy = bytes.slice();
  copy[place(copy.length)]! ^= 1 << random(8);
  return copy;
};

const overwrite: Mutation = (bytes, { random, place }) => {
  const copy = bytes.slice();
  const at = place(copy.length);
  const byte = HOSTILE_BYTES[random(HOSTILE_BYTES.length)]!;
  copy.fill(byte, at, at + 1 + random(8));
  return copy;
};

const cut: Mutation = (bytes, { place }) => bytes.slice(0, place(bytes.length));

const grow: Mutation = (bytes, { random }) => {
  const more = Uint8Array.from({ length: 1 + random(40) }, () => random(256));
  const longer = new Uint8Array(bytes.length + more.length);
  longer.set(bytes);
  longer.set(more, bytes.length);
  return longer;
};

const repeat: Mutation = (bytes, { random, place }) => {
  const copy = bytes.slice();
  const from = place(copy.length);
  copy.copyWithin(place(copy.length), from, from + 1 + random(64));
  return copy;
};

/** The first number of a text from a place on, else its first one of all. */
function numberFrom(text: string, at: number): RegExpExecArray | null {
  const numbers = /\d+/gu;
  numbers.lastIndex = at;
  return numbers.exec(text) ?? numbers.exec(text);
}

/** Another number in a text; bytes without one are flipped. */
const renumber: Mutation = (bytes, draws) => {
  const text = Buffer.from(bytes).toString('latin1');
  const found = numberFrom(text, draws.place(text.length));
  if (found === null) return flip(bytes, draws);
  const instead = HOSTILE_NUMBERS[draws.random(HOSTILE_NUMBERS.length)]!;
  const changed = `${text.slice(0, found.index)}${instead}${text.slice(found.index + found[0].length)}`;
  return new Uint8Array(Buffer.from(changed, 'latin1'));
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

/** After how many bytes the memory in examples repeats itself, and from how many on it counts as such. */
const PERIODS = [1, 9];
const REPEATED_BYTES = 64;

/** The places of bytes that are no repeated ones: what a file says of the memory that it holds. */
export function tellingPlaces(bytes: Uint8Array): readonly number[] {
  const isRepeated = new Uint8Array(bytes.length);
  for (const period of PERIODS)
    for (let from = 0, at = 0; at < bytes.length; at += 1) {
      if (bytes[at] === bytes[at + period]) continue;
      if (at - from >= REPEATED_BYTES) isRepeated.fill(1, from, at + period);
      from = at + 1;
    }
  return [...isRepeated.keys()].filter((at) => isRepeated[at] === 0);
}

/** Bytes with one to three changes; half of them at `telling` places, where there are any. */
export function mutated(
  bytes: Uint8Array,
  random: Random,
  telling: readonly number[] = [],
): Uint8Array {
  const place: Random = (below) => {
    const told = telling.length > 0 && random(2) === 0 ? telling[random(telling.length)]! : below;
    return told < below ? told : random(below);
  };
  // Of a Buffer, `slice` would be a view.
  let changed: Uint8Array = new Uint8Array(bytes);
  for (let left = 1 + random(3); left > 0; left -= 1)
    if (changed.length > 0)
      changed = MUTATIONS[random(MUTATIONS.length)]!(changed, { random, place });
  return changed;
}

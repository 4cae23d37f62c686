// BTF as a kernel keeps it, of types that are made here.

/** A type: how it is written down. Types are numbered from 1 in their order. */
export interface MadeType {
  readonly kind: number;
  readonly name?: string;
  /** Its size, or the type that it is another name for. */
  readonly size: number;
  readonly members?: readonly MadeMember[];
  readonly enumerators?: Readonly<Record<string, number>>;
  /** Of an enumeration of 64 bits: the lower and the upper half of each value. */
  readonly longs?: Readonly<Record<string, readonly [low: number, high: number]>>;
  /** Of a prototype: names, an empty one where it has none, and types. */
  readonly parameters?: readonly (readonly [name: string, type: number])[];
  /** Of a function: it is seen outside of its file. */
  readonly isGlobal?: boolean;
  /** Words behind it: of an array its element, the type of its index, its length. */
  readonly words?: readonly number[];
  readonly flag?: boolean;
}

export interface MadeMember {
  readonly name?: string;
  readonly type: number;
  readonly bits: number;
}

export const INT = { kind: 1, name: 'long', size: 8, words: [64] };

/** A structure whose members lie at these bytes. */
export const struct = (
  name: string | undefined,
  size: number,
  members: Readonly<Record<string, readonly [type: number, offset: number]>>,
): MadeType => ({
  kind: 4,
  ...(name === undefined ? {} : { name }),
  size,
  members: Object.entries(members).map(([member, [type, offset]]) => ({
    ...(member.startsWith('?') ? {} : { name: member }),
    type,
    bits: 8 * offset,
  })),
});

/** The bytes. */
export function madeBtf(types: readonly MadeType[]): Uint8Array {
  const strings: number[] = [0];
  const nameOf = (name: string | undefined): number => {
    if (name === undefined) return 0;
    const at = strings.length;
    strings.push(...Array.from(name, (character) => character.charCodeAt(0)), 0);
    return at;
  };
  const words: number[] = [];
  for (const type of types) {
    const { kind, name, size, words: more = [], flag, isGlobal } = type;
    const each = [
      ...(type.members ?? []).map((member) => [nameOf(member.name), member.type, member.bits]),
      ...Object.entries(type.enumerators ?? {}).map(([of, value]) => [nameOf(of), value]),
      ...Object.entries(type.longs ?? {}).map(([of, value]) => [nameOf(of), ...value]),
      ...(type.parameters ?? []).map(([of, parameter]) => [
        nameOf(of === '' ? undefined : of),
        parameter,
      ]),
    ];
    const count = isGlobal === true ? 1 : each.length;
    words.push(nameOf(name), (kind << 24) + count + (flag === true ? 2 ** 31 : 0), size, ...more);
    words.push(...each.flat());
  }
  const bytes = new Uint8Array(24 + 4 * words.length + strings.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  bytes[2] = 1;
  view.setUint32(4, 24, true);
  view.setUint32(12, 4 * words.length, true);
  view.setUint32(16, 4 * words.length, true);
  view.setUint32(20, strings.length, true);
  for (const [i, word] of words.entries()) view.setUint32(24 + 4 * i, word, true);
  bytes.set(strings, 24 + 4 * words.length);
  return bytes;
}

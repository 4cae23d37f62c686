// What entries of DWARF look like (their abbreviations). A shape is one of four abbreviations, for a name
// and a type are left out where there is none: an entry's code, its name (an offset into .debug_str), its
// type (an offset into the unit), then what else its shape has, in order.

import { GrowingBytes } from './growing-bytes.ts';

const FORM = {
  address: 0x01,
  data1: 0x0b,
  signed: 0x0d,
  text: 0x0e,
  unsigned: 0x0f,
  reference: 0x13,
  expression: 0x18,
  present: 0x19,
} as const;
type Form = keyof typeof FORM;

const ATTRIBUTE = {
  location: 0x02,
  name: 0x03,
  byteSize: 0x0b,
  bitSize: 0x0d,
  lowAddress: 0x11,
  bytes: 0x12,
  language: 0x13,
  constValue: 0x1c,
  producer: 0x25,
  prototyped: 0x27,
  count: 0x37,
  memberLocation: 0x38,
  declaration: 0x3c,
  encoding: 0x3e,
  external: 0x3f,
  type: 0x49,
  dataBitOffset: 0x6b,
} as const;
type Attribute = keyof typeof ATTRIBUTE;

interface Shape {
  readonly tag: number;
  readonly hasChildren?: true;
  /** What follows name and type. */
  readonly rest?: readonly (readonly [Attribute, Form])[];
}

/** What lies from an address on. */
const REACH = [
  ['lowAddress', 'address'],
  ['bytes', 'unsigned'],
] as const;

const SHAPES = {
  unit: {
    tag: 0x11,
    hasChildren: true,
    rest: [['producer', 'text'], ['language', 'data1'], ...REACH],
  },
  base: {
    tag: 0x24,
    rest: [
      ['byteSize', 'unsigned'],
      ['encoding', 'data1'],
    ],
  },
  pointer: { tag: 0x0f, rest: [['byteSize', 'data1']] },
  struct: { tag: 0x13, hasChildren: true, rest: [['byteSize', 'unsigned']] },
  union: { tag: 0x17, hasChildren: true, rest: [['byteSize', 'unsigned']] },
  enumeration: { tag: 0x04, hasChildren: true, rest: [['byteSize', 'unsigned']] },
  member: { tag: 0x0d, rest: [['memberLocation', 'unsigned']] },
  bits: {
    tag: 0x0d,
    rest: [
      ['bitSize', 'unsigned'],
      ['dataBitOffset', 'unsigned'],
    ],
  },
  enumerator: { tag: 0x28, rest: [['constValue', 'unsigned']] },
  signedEnumerator: { tag: 0x28, rest: [['constValue', 'signed']] },
  declaredStruct: { tag: 0x13, rest: [['declaration', 'present']] },
  declaredUnion: { tag: 0x17, rest: [['declaration', 'present']] },
  declaredEnumeration: { tag: 0x04, rest: [['declaration', 'present']] },
  typedef: { tag: 0x16 },
  const: { tag: 0x26 },
  volatile: { tag: 0x35 },
  restrict: { tag: 0x37 },
  array: { tag: 0x01, hasChildren: true },
  bound: { tag: 0x21, rest: [['count', 'unsigned']] },
  noBound: { tag: 0x21 },
  prototype: { tag: 0x15, hasChildren: true, rest: [['prototyped', 'present']] },
  parameter: { tag: 0x05 },
  moreParameters: { tag: 0x18 },
  function: {
    tag: 0x2e,
    hasChildren: true,
    rest: [['external', 'present'], ['prototyped', 'present'], ...REACH],
  },
  staticFunction: { tag: 0x2e, hasChildren: true, rest: [['prototyped', 'present'], ...REACH] },
  variable: {
    tag: 0x34,
    rest: [
      ['external', 'present'],
      ['location', 'expression'],
    ],
  },
} as const satisfies Readonly<Record<string, Shape>>;
export type ShapeName = keyof typeof SHAPES;

const VARIANTS = 4;
const NAMED = 1;
const TYPED = 2;
const NAMES = Object.keys(SHAPES);

/** The code of an entry: one byte, as there are fewer than 128. */
export const codeOf = (shape: ShapeName, name: number, type: number): number =>
  1 + VARIANTS * NAMES.indexOf(shape) + (name === 0 ? 0 : NAMED) + (type === 0 ? 0 : TYPED);

/** The codes' meanings: .debug_abbrev. */
export function abbreviations(): Uint8Array {
  const bytes = new GrowingBytes();
  const shapes: readonly Shape[] = Object.values(SHAPES);
  for (const [i, { tag, hasChildren = false, rest = [] }] of shapes.entries())
    for (let variant = 0; variant < VARIANTS; variant += 1) {
      bytes.leb(1 + VARIANTS * i + variant);
      bytes.leb(tag);
      bytes.u8(hasChildren ? 1 : 0);
      const attributes: readonly (readonly [Attribute, Form])[] = [
        ...((variant & NAMED) === 0 ? [] : [['name', 'text'] as const]),
        ...((variant & TYPED) === 0 ? [] : [['type', 'reference'] as const]),
        ...rest,
      ];
      for (const [attribute, form] of attributes) {
        bytes.leb(ATTRIBUTE[attribute]);
        bytes.leb(FORM[form]);
      }
      bytes.u16(0);
    }
  bytes.u8(0);
  return bytes.bytes();
}

// How debuggers find who called, from each place in a kernel's code (DWARF's call frame information, the
// section .debug_frame), out of what the kernel keeps for itself of that (ORC). Numbers are little-endian.
//
//   common entry   length u32, id u32 ffffffff, version 1 u8, augmentation (text), code alignment LEB,
//                  data alignment signed LEB (-8), return address u8 (16), bytes of augmentation LEB (0),
//                  instructions; there are two: of functions, and of those that interrupts come to (zS)
//   function       length u32, place of its common entry u32, where it begins u64, its bytes u64, bytes of
//                  augmentation LEB (0), instructions
//
// All are padded with zeros, instructions that do nothing, to a multiple of 8. ORC says where the caller's
// stack and its rbp were. What it had in other registers nobody says, but where an interrupt kept them.

import { invalid } from '../guest-failures.ts';
import { ORC_REGISTER, type Orc, type OrcEntry, type OrcKind } from '../orc.ts';
import { IMAGE_BASE } from '../vmcoreinfo.ts';
import { GrowingBytes } from './growing-bytes.ts';
import type { SymbolPlaces } from './symbol-places.ts';

const ALIGNMENT = 8;
const WORD = 8;
const COMMON = 0xffff_ffff;
const VERSION = 1;
/** Kernels have 3 to 6 MiB. */
const FRAMES_BYTES_MAX = 64 * 1024 * 1024;

/** Instructions. */
const ADVANCE = 0x40;
const OFFSET = 0x80;
const RESTORE = 0xc0;
const ADVANCE_U8 = 0x02;
const ADVANCE_U16 = 0x03;
const ADVANCE_U32 = 0x04;
const UNDEFINED = 0x07;
const SAME_VALUE = 0x08;
const DEFINE_CFA = 0x0c;
const DEFINE_CFA_EXPRESSION = 0x0f;
const EXPRESSION = 0x10;
const OFFSET_SIGNED = 0x11;
const VALUE_OFFSET = 0x14;
/** Operations of expressions. */
const DEREFERENCE = 0x06;
const CONSTANT_S = 0x11;
const PLUS = 0x22;
const REGISTER = 0x70;

/** Registers as DWARF numbers them. */
const [RDX, RBX, RDI, RBP, RSP, R10, R12, R13, R14, R15, RIP] = [
  1, 3, 5, 6, 7, 10, 12, 13, 14, 15, 16,
];
/** What a kernel keeps of whom it interrupts, a word each: r15 to r12, rbp, rbx, r11 to r8, rax, rcx, rdx, rsi, rdi. */
const KEPT = [R15, R14, R13, R12, RBP, RBX, 11, R10, 9, 8, 0, 2, RDX, 4, RDI];
/** Behind these and a word of the interrupt's own: rip, cs, flags and rsp, which alone are always kept. */
const KEPT_RIP = 16;
const RSP_BEHIND_RIP = 3;

/** Registers that an entry names, which the offset is added to. */
const BASES: ReadonlyMap<number, number> = new Map([
  [ORC_REGISTER.sp, RSP],
  [ORC_REGISTER.bp, RBP],
  [ORC_REGISTER.r10, R10],
  [ORC_REGISTER.r13, R13],
  [ORC_REGISTER.di, RDI],
  [ORC_REGISTER.dx, RDX],
]);
const INDIRECT: ReadonlySet<number> = new Set([ORC_REGISTER.spIndirect, ORC_REGISTER.bpIndirect]);

/** Call frames, and of how many functions. */
export interface CallFrames {
  /** .debug_frame */
  readonly bytes: Uint8Array;
  readonly functions: number;
}

const isKnown = ({ kind, spRegister }: OrcEntry): boolean =>
  kind !== 'unknown' && kind !== 'outermost' && (BASES.has(spRegister) || INDIRECT.has(spRegister));

const isInterrupted = ({ kind }: OrcEntry): boolean => kind === 'registers' || kind === 'interrupt';

/** A register and how far behind it, as one number. */
const keyOf = (register: number, offset: number): number => register * 2 ** 17 + offset;

/** An expression: its length, and it. */
function putExpression(out: GrowingBytes, put: (expression: GrowingBytes) => void): void {
  const expression = new GrowingBytes();
  put(expression);
  out.leb(expression.length);
  out.put(expression.bytes());
}

function putCfa(out: GrowingBytes, { spRegister, spOffset }: OrcEntry): void {
  const base = BASES.get(spRegister);
  if (base !== undefined && spOffset >= 0) {
    out.u8(DEFINE_CFA);
    out.leb(base);
    out.leb(spOffset);
    return;
  }
  out.u8(DEFINE_CFA_EXPRESSION);
  putExpression(out, (expression) => {
    const isOfStack = spRegister === ORC_REGISTER.spIndirect;
    const indirect = isOfStack ? RSP : RBP;
    expression.u8(REGISTER + (base ?? indirect));
    expression.signedLeb(isOfStack ? 0n : BigInt(spOffset));
    if (base !== undefined) return;
    expression.u8(DEREFERENCE);
    if (!isOfStack) return;
    expression.u8(CONSTANT_S);
    expression.signedLeb(BigInt(spOffset));
    expression.u8(PLUS);
  });
}

/** A register that lies so many words behind the caller's stack pointer, before the call. */
function putKept(out: GrowingBytes, register: number, words: number): void {
  out.u8(OFFSET_SIGNED);
  out.leb(register);
  out.signedLeb(BigInt(-words));
}

const putRestored = (out: GrowingBytes, register: number): void => out.u8(RESTORE + register);

function putBp(out: GrowingBytes, { bpRegister, bpOffset }: OrcEntry): void {
  if (bpRegister === ORC_REGISTER.previous && bpOffset % WORD === 0) {
    putKept(out, RBP, bpOffset / WORD);
  } else if (bpRegister === ORC_REGISTER.bp) {
    out.u8(EXPRESSION);
    out.leb(RBP);
    putExpression(out, (expression) => {
      expression.u8(REGISTER + RBP);
      expression.signedLeb(BigInt(bpOffset));
    });
  } else if (bpRegister === ORC_REGISTER.none) putRestored(out, RBP);
  else {
    out.u8(UNDEFINED);
    out.leb(RBP);
  }
}

/** The rules of one function, place by place: what is as before is not said again. */
class Rules {
  readonly #out: GrowingBytes;
  #kind: OrcKind = 'call';
  #sp = keyOf(ORC_REGISTER.sp, WORD);
  #bp = keyOf(ORC_REGISTER.none, 0);
  #at = 0;

  constructor(out: GrowingBytes) {
    this.#out = out;
  }

  /** From so many bytes behind the beginning on. */
  put(at: number, entry: OrcEntry): void {
    const kind = isKnown(entry) ? entry.kind : 'unknown';
    const sp = keyOf(entry.spRegister, entry.spOffset);
    const bp = keyOf(entry.bpRegister, entry.bpOffset);
    const isSameKind = kind === this.#kind;
    if (isSameKind && (kind === 'unknown' || (sp === this.#sp && bp === this.#bp))) return;
    this.#advance(at);
    if (!isSameKind) this.#change(kind);
    if (kind === 'unknown') return;
    if (sp !== this.#sp) putCfa(this.#out, entry);
    this.#sp = sp;
    if (kind !== 'registers' && bp !== this.#bp) putBp(this.#out, entry);
    this.#bp = bp;
  }

  #advance(at: number): void {
    const bytes = at - this.#at;
    this.#at = at;
    if (bytes === 0) return;
    if (bytes < ADVANCE) this.#out.u8(ADVANCE + bytes);
    else if (bytes < 2 ** 8) {
      this.#out.u8(ADVANCE_U8);
      this.#out.u8(bytes);
    } else if (bytes < 2 ** 16) {
      this.#out.u8(ADVANCE_U16);
      this.#out.u16(bytes);
    } else {
      this.#out.u8(ADVANCE_U32);
      this.#out.u32(bytes);
    }
  }

  /** Takes back what the kind before said, and says what this one does. */
  #change(kind: OrcKind): void {
    const out = this.#out;
    if (this.#kind !== 'call') putRestored(out, RIP);
    if (this.#kind === 'registers' || this.#kind === 'interrupt') putRestored(out, RSP);
    if (this.#kind === 'registers') {
      for (const register of KEPT) putRestored(out, register);
      this.#bp = keyOf(ORC_REGISTER.none, 0);
    }
    this.#kind = kind;
    if (kind === 'unknown') {
      out.u8(UNDEFINED);
      out.leb(RIP);
    }
    if (kind !== 'registers' && kind !== 'interrupt') return;
    const rip = kind === 'registers' ? KEPT_RIP : 0;
    putKept(out, RIP, rip);
    putKept(out, RSP, rip + RSP_BEHIND_RIP);
    if (kind === 'registers') for (const [i, register] of KEPT.entries()) putKept(out, register, i);
  }
}

/** The common entry of functions, or of those that interrupts come to. */
function putCommon(out: GrowingBytes, augmentation: string): void {
  const at = out.length;
  out.u32(0);
  out.u32(COMMON);
  out.u8(VERSION);
  out.text(augmentation);
  out.leb(1);
  out.signedLeb(BigInt(-WORD));
  out.u8(RIP);
  out.leb(0);
  out.u8(DEFINE_CFA);
  out.leb(RSP);
  out.leb(WORD);
  out.u8(OFFSET + RIP);
  out.leb(1);
  out.u8(VALUE_OFFSET);
  out.leb(RSP);
  out.leb(0);
  out.u8(SAME_VALUE);
  out.leb(RBP);
  for (const register of [RBX, R12, R13, R14, R15]) {
    out.u8(UNDEFINED);
    out.leb(register);
  }
  endEntry(out, at);
}

function endEntry(out: GrowingBytes, at: number): void {
  out.pad(ALIGNMENT);
  out.setU32(at, out.length - at - 4);
}

const SMALL = 0x20;
const isCode = (kind: number): boolean => 'tw'.includes(String.fromCharCode(kind | SMALL));

/** Functions of the image, each place once, ascending: where they begin and end behind its base. */
function* functionsOf(
  places: SymbolPlaces,
): Generator<{ index: number; from: number; to: number }> {
  const { addresses, text, ends } = places.symbols.columns;
  let last = -1;
  for (const index of places.ascending) {
    const bytes = places.bytes[index]!;
    const kind = text[index === 0 ? 0 : ends[index - 1]!]!;
    if (bytes === 0 || !isCode(kind)) continue;
    const from = Number(addresses[index]! - IMAGE_BASE);
    if (from === last) continue;
    last = from;
    yield { index, from, to: from + bytes };
  }
}

/** Call frames of a kernel's functions. O(entries + symbols). GUEST_INVALID where they are too many. */
export function callFramesOf(orc: Orc, places: SymbolPlaces): CallFrames {
  const out = new GrowingBytes();
  const plain = out.length;
  putCommon(out, 'z');
  const interrupted = out.length;
  putCommon(out, 'zS');
  let functions = 0;
  let next = 0;
  for (const { index, from, to } of functionsOf(places)) {
    while (next < orc.places.length && orc.places[next]! <= from) next += 1;
    const entries: { readonly at: number; readonly entry: OrcEntry }[] = [
      { at: 0, entry: orc.entry(next - 1) },
    ];
    for (; next < orc.places.length && orc.places[next]! < to; next += 1)
      entries.push({ at: orc.places[next]! - from, entry: orc.entry(next) });
    const isCalled = entries.every(({ entry }) => !isInterrupted(entry));
    const begin = out.length;
    out.u32(0);
    out.u32(isCalled ? plain : interrupted);
    out.u64(places.address(index));
    out.u64(BigInt(to - from));
    out.leb(0);
    const rules = new Rules(out);
    for (const { at, entry } of entries) rules.put(at, entry);
    endEntry(out, begin);
    if (out.length > FRAMES_BYTES_MAX) throw invalid('its ORC has too much to say');
    functions += 1;
  }
  return { bytes: out.bytes(), functions };
}

// LZO1X as its description has it, for tests: a greedy writer that uses every kind of instruction.

const MATCH_MIN = 3;
const MATCH_MAX = 300;

/** A length behind an instruction whose bits for it are zero. */
function extended(length: number): number[] {
  const zeros = Math.floor((length - 1) / 255);
  return [...Array.from({ length: zeros }, () => 0), length - 255 * zeros];
}

/** Literals that are an instruction of their own: 4 at least. */
const runOf = (literals: readonly number[]): number[] => {
  const count = literals.length - 3;
  return [...(count <= 15 ? [count] : [0, ...extended(count - 15)]), ...literals];
};

interface Match {
  readonly length: number;
  readonly distance: number;
}

/** A copy, and up to three literals behind it. */
function copyOf({ length, distance }: Match, literals: readonly number[], isAfterRun: boolean) {
  const few = literals.length;
  const back = distance - 1;
  const word = (value: number): number[] => [value & 255, value >>> 8];
  if (length === 3 && isAfterRun && distance > 2048 && distance <= 3072)
    return [(((distance - 2049) & 3) << 2) | few, (distance - 2049) >>> 2, ...literals];
  if (length <= 8 && distance <= 2048)
    return [((length - 1) << 5) | ((back & 7) << 2) | few, back >>> 3, ...literals];
  const isFar = distance > 16_384;
  const [code, most] = isFar ? [16, 7] : [32, 31];
  const far = distance - 16_384;
  const high = isFar ? (far >>> 14) << 3 : 0;
  const at = isFar ? ((far & 0x3fff) << 2) | few : (back << 2) | few;
  const count = length - 2;
  const head = count <= most ? [code | high | count] : [code | high, ...extended(count - most)];
  return [...head, ...word(at), ...literals];
}

/** The longest match before a place, among those that begin with the same three bytes. */
function matchAt(bytes: Uint8Array, at: number, places: Map<number, number[]>): Match | null {
  if (at + MATCH_MIN > bytes.length) return null;
  const key = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  let best: Match | null = null;
  for (const from of places.get(key) ?? []) {
    let length = MATCH_MIN;
    while (
      length < MATCH_MAX &&
      at + length < bytes.length &&
      bytes[from + length] === bytes[at + length]
    )
      length += 1;
    // A distance of 16,384 is no copy of the farthest kind, but of the one before.
    if (at - from <= 0xbfff && (best === null || length > best.length))
      best = { length, distance: at - from };
  }
  places.set(key, [...(places.get(key) ?? []).slice(-8), at]);
  return best;
}

/** Bytes, compressed. */
export function lzoOf(bytes: Uint8Array): Uint8Array {
  const parts: { readonly match: Match | null; readonly literals: number[] }[] = [
    { match: null, literals: [] },
  ];
  const places = new Map<number, number[]>();
  for (let at = 0; at < bytes.length;) {
    const match = matchAt(bytes, at, places);
    if (match === null) parts.at(-1)!.literals.push(bytes[at]!);
    else parts.push({ match, literals: [] });
    at += match?.length ?? 1;
  }
  const out: number[] = [];
  let isAfterRun = false;
  for (const { match, literals } of parts) {
    const isRun = literals.length > 3;
    if (match !== null) out.push(...copyOf(match, isRun ? [] : literals, isAfterRun));
    else if (literals.length > 0 && literals.length < 200)
      out.push(17 + literals.length, ...literals);
    else if (isRun) out.push(...runOf(literals));
    if (match !== null && isRun) out.push(...runOf(literals));
    isAfterRun = isRun;
  }
  return Uint8Array.from([...out, 0x11, 0, 0]);
}

// Numbers in as few bytes as they take.

/** A number as LEB128: seven bits a byte, the lowest first, all but the last with the top bit. */
export function putNumber(out: usize, value: u32): usize {
  let to = out;
  let rest = value;
  for (; rest >= 128; rest >>= 7) {
    store<u8>(to, <u8>(rest | 128));
    to += 1;
  }
  store<u8>(to, <u8>rest);
  return to + 1;
}

/** Where the number that was read last ended; 0 where there was none below 2^21. */
export let numberEnd: usize = 0;

/** Reads a number of at most three bytes; `numberEnd` says where it ended. */
export function takeNumber(from: usize, end: usize): u32 {
  let value: u32 = 0;
  for (let i: usize = 0; i < 3 && from + i < end; i += 1) {
    const byte = <u32>load<u8>(from + i);
    value |= (byte & 127) << (7 * <u32>i);
    if (byte < 128) {
      numberEnd = from + i + 1;
      return value;
    }
  }
  numberEnd = 0;
  return 0;
}

/** A number of either sign as one that is small where it is near to 0. */
export function zigzag(value: i32): u32 {
  return <u32>((value << 1) ^ (value >> 31));
}

/** The inverse. */
export function zagzig(value: u32): i32 {
  return (<i32>(value >> 1)) ^ -(<i32>(value & 1));
}

// What a QEMU whose memory arrives sends back, byte by byte.

const head = (type: number, body: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(body.length, 2);
  return Buffer.concat([bytes, body]);
};

const named = (name: string): Buffer => Buffer.from([name.length, ...Buffer.from(name, 'latin1')]);

/** A message of one word: 1 SHUT, 2 PONG, 6 RESUME_ACK. */
export function word(type: number, value: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt32BE(value);
  return head(type, body);
}

/** A request for bytes of a block; absent: of the one named last. */
export function request(of: {
  readonly block?: string;
  readonly offset: bigint;
  readonly bytes: number;
}): Buffer {
  const body = Buffer.alloc(12);
  body.writeBigUInt64BE(of.offset, 0);
  body.writeUInt32BE(of.bytes, 8);
  return of.block === undefined ? head(4, body) : head(3, Buffer.concat([body, named(of.block)]));
}

/** The same of pages. */
export const wanted = (of: {
  readonly block?: string;
  readonly page: number;
  readonly pages?: number;
}): Buffer =>
  request({
    ...(of.block === undefined ? {} : { block: of.block }),
    offset: BigInt(of.page) * 4096n,
    bytes: (of.pages ?? 1) * 4096,
  });

/** Which pages of a block are there. */
export function received(of: {
  readonly block: string;
  readonly pages: number;
  readonly has: readonly number[];
  readonly end?: bigint;
}): Buffer {
  const bits = Buffer.alloc(Math.ceil(of.pages / 64) * 8);
  for (const page of of.has) bits[page >>> 3]! |= 1 << (page & 7);
  const around = Buffer.alloc(16);
  around.writeBigUInt64BE(BigInt(bits.length), 0);
  around.writeBigUInt64BE(of.end ?? 0x0123_4567_89ab_cdefn, 8);
  const body = Buffer.concat([around.subarray(0, 8), bits, around.subarray(8)]);
  return Buffer.concat([head(5, named(of.block)), body]);
}

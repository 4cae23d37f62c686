// The messages of a kernel, as dmesg shows them: the ring of printk, which Linux has from 5.10 on. A
// descriptor each says in which state a message is and where its text lies in a ring of bytes; a text that
// would cross the ring's end lies at its beginning. VMCOREINFO has the place of everything.

import { invalid } from './guest-failures.ts';
import type { Kernel } from './kernel.ts';
import type { VirtualMemory } from './virtual-memory.ts';
import { requiredOffset, requiredSymbol, type Vmcoreinfo } from './vmcoreinfo.ts';

const COUNT_BITS_MAX = 20;
const TEXT_BITS_MAX = 27;
/** Of one part of the ring: the largest that a kernel is built with has less. */
const PART_BYTES_MAX = 2 ** 27;
/** A text has its descriptor's number before it. */
const HEADER_BYTES = 8;
const STATE_SHIFT = 62n;
const NUMBER_MASK = (1n << STATE_SHIFT) - 1n;
/** States of a message that is whole. */
const WHOLE = [1n, 2n];

/** A message that a kernel has in its log. */
export interface KernelMessage {
  readonly number: bigint;
  /** Since the kernel started. */
  readonly seconds: number;
  readonly text: string;
}

/** Places of fields, by their names in VMCOREINFO. */
type OffsetOf = (name: string) => number;

interface Ring {
  readonly offset: OffsetOf;
  /** Descriptors, and what is told of each message, side by side. */
  readonly descriptors: DataView;
  readonly infos: DataView;
  readonly descriptorBytes: number;
  readonly infoBytes: number;
  readonly count: bigint;
  readonly tail: bigint;
  readonly head: bigint;
  readonly text: Uint8Array;
}

async function bitsAt(memory: VirtualMemory, address: bigint, bitsMax: number): Promise<number> {
  const bits = await memory.u32(address, 'the ring of messages');
  if (bits > 0 && bits <= bitsMax) return bits;
  throw invalid(`the ring of its messages is said to have 2^${bits} entries`);
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

async function readRing(memory: VirtualMemory, info: Vmcoreinfo): Promise<Ring> {
  const offset = (name: string): number => requiredOffset(info, `OFFSET(${name})`);
  const size = (name: string): number => requiredOffset(info, `SIZE(${name})`);
  const pointer = (address: bigint): Promise<bigint> => memory.u64(address, 'the ring of messages');
  const ring = await pointer(requiredSymbol(info, 'prb'));
  const counter = offset('atomic_long_t.counter');
  const inDescriptors = (name: string): bigint =>
    ring + BigInt(offset('printk_ringbuffer.desc_ring') + offset(`prb_desc_ring.${name}`));
  const inText = (name: string): bigint =>
    ring + BigInt(offset('printk_ringbuffer.text_data_ring') + offset(`prb_data_ring.${name}`));
  const count = 2 ** (await bitsAt(memory, inDescriptors('count_bits'), COUNT_BITS_MAX));
  const textBytes = 2 ** (await bitsAt(memory, inText('size_bits'), TEXT_BITS_MAX));
  const [descriptorBytes, infoBytes] = [size('prb_desc'), size('printk_info')];
  const read = async (at: bigint, bytes: number): Promise<Uint8Array> => {
    if (bytes > PART_BYTES_MAX)
      throw invalid(`the ring of its messages is said to have ${bytes} bytes`);
    return memory.read(await pointer(at), bytes, 'the ring of messages');
  };
  return {
    offset,
    descriptorBytes,
    infoBytes,
    count: BigInt(count),
    descriptors: viewOf(await read(inDescriptors('descs'), count * descriptorBytes)),
    infos: viewOf(await read(inDescriptors('infos'), count * infoBytes)),
    tail: (await pointer(inDescriptors('tail_id') + BigInt(counter))) & NUMBER_MASK,
    head: (await pointer(inDescriptors('head_id') + BigInt(counter))) & NUMBER_MASK,
    text: await read(inText('data'), textBytes),
  };
}

/** The text that lies between two places of the ring, at most so long. */
function textOf(text: Uint8Array, begin: bigint, next: bigint, lengthMax: number): string {
  // An odd place is that of a message without a text.
  if ((begin & 1n) === 1n) return '';
  const size = BigInt(text.length);
  const isWrapped = begin / size !== next / size;
  const from = (isWrapped ? 0 : Number(begin % size)) + HEADER_BYTES;
  const end = Math.min(Number(next % size), from + lengthMax);
  return end > from ? new TextDecoder().decode(text.subarray(from, end)) : '';
}

/** Whether fields of so many bytes lie in what they are fields of. */
const liesWithin = (structBytes: number, offsets: readonly number[], fieldBytes: number): boolean =>
  offsets.every((offset) => offset + fieldBytes <= structBytes);

/** The messages of a kernel, oldest first. GUEST_UNDESCRIBED, GUEST_INVALID. */
export async function readKernelLog({ memory, info }: Kernel): Promise<readonly KernelMessage[]> {
  const ring = await readRing(memory, info);
  const { offset, descriptors, infos, count, tail, head } = ring;
  const state = offset('prb_desc.state_var') + offset('atomic_long_t.counter');
  const place = offset('prb_desc.text_blk_lpos');
  const [begin, next] = [offset('prb_data_blk_lpos.begin'), offset('prb_data_blk_lpos.next')];
  const [number, time] = [offset('printk_info.seq'), offset('printk_info.ts_nsec')];
  const length = offset('printk_info.text_len');
  const span = (head - tail) & NUMBER_MASK;
  if (span >= count) throw invalid('the ring of its messages begins behind its end');
  const isWithin =
    liesWithin(ring.descriptorBytes, [state, place + begin, place + next], 8) &&
    liesWithin(ring.infoBytes, [number, time], 8) &&
    liesWithin(ring.infoBytes, [length], 2);
  if (!isWithin) throw invalid('VMCOREINFO names fields of messages outside of them');
  const messages: KernelMessage[] = [];
  let textBytes = 0;
  for (let i = 0n; i <= span; i += 1n) {
    const id = (tail + i) & NUMBER_MASK;
    const slot = Number(id % count);
    const at = slot * ring.descriptorBytes;
    const word = descriptors.getBigUint64(at + state, true);
    if ((word & NUMBER_MASK) !== id || !WHOLE.includes(word >> STATE_SHIFT)) continue;
    const from = descriptors.getBigUint64(at + place + begin, true);
    const to = descriptors.getBigUint64(at + place + next, true);
    const told = slot * ring.infoBytes;
    const text = textOf(ring.text, from, to, infos.getUint16(told + length, true));
    // No two texts lie in one place.
    textBytes += text.length;
    if (textBytes > ring.text.length) throw invalid('its messages are longer than their ring');
    messages.push({
      number: infos.getBigUint64(told + number, true),
      seconds: Number(infos.getBigUint64(told + time, true)) / 1e9,
      text,
    });
  }
  return messages;
}

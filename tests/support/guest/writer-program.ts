// A program for a Linux guest that writes to a known number of pages, and reads others, over and over: put together here
// byte by byte, so that nothing else of its memory changes, not even its stack.
//
// It holds `pages` pages, each with its own address in it. Then, round after round, it writes the
// round's number into the first `written` of them, reads the `read` pages behind these, says `W`, and
// sleeps.

const PAGE = 4096;
const CODE = 0x40_0000;
/** Where the pages begin that it holds: their own addresses stand in them. */
export const HELD = 0x60_0000;
const HEADERS = 64 + 2 * 56;
const SAID = 'W\n';

const u32 = (value: number): number[] => [0, 8, 16, 24].map((bit) => (value >>> bit) & 0xff);
const u64 = (value: number): number[] => [...u32(value), ...u32(0)];

/** An instruction that sets edi, esi, edx, ecx or eax. */
const set = (register: 'eax' | 'ecx' | 'edx' | 'esi' | 'edi', value: number): number[] => [
  { eax: 0xb8, ecx: 0xb9, edx: 0xba, esi: 0xbe, edi: 0xbf }[register],
  ...u32(value),
];
const SYSCALL = [0x0f, 0x05];
/** add rdi, 4096; dec ecx */
const NEXT_PAGE = [0x48, 0x81, 0xc7, ...u32(PAGE), 0xff, 0xc9];

/** Does some instructions with every page of a number of them, at least one, from a page on. */
const eachPage = (
  { first, count }: { readonly first: number; readonly count: number },
  instructions: readonly number[],
): number[] => {
  const body = [...instructions, ...NEXT_PAGE];
  // jnz, back to the first of them
  return [
    ...set('edi', HELD + first * PAGE),
    ...set('ecx', count),
    ...body,
    0x75,
    256 - body.length - 2,
  ];
};

function codeOf(of: {
  readonly pages: number;
  readonly written: number;
  readonly read: number;
  readonly said: number;
  readonly pause: number;
}): number[] {
  // xor r12d, r12d; then each page: mov [rdi], rdi
  const begin = [0x45, 0x31, 0xe4, ...eachPage({ first: 0, count: of.pages }, [0x48, 0x89, 0x3f])];
  const round = [
    // inc r12; then each page that is written to: mov [rdi + 8], r12
    [0x49, 0xff, 0xc4],
    eachPage({ first: 0, count: of.written }, [0x4c, 0x89, 0x67, 0x08]),
    // mov rax, [rdi]
    of.read === 0 ? [] : eachPage({ first: of.written, count: of.read }, [0x48, 0x8b, 0x07]),
    // write(1, said)
    [set('eax', 1), set('edi', 1), set('esi', of.said), set('edx', SAID.length), SYSCALL].flat(),
    // nanosleep(pause, 0)
    [set('eax', 35), set('edi', of.pause), [0x31, 0xf6], SYSCALL].flat(),
  ].flat();
  return [...begin, ...round, 0xeb, 256 - round.length - 2];
}

/** A part of the program's memory: flags are those of ELF, 4 to read, 2 to write, 1 to run. */
const segment = (of: {
  readonly flags: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly bytes: number;
}): number[] =>
  [
    [u32(1), u32(of.flags), u64(0), u64(of.address), u64(of.address)].flat(),
    [u64(of.fileBytes), u64(of.bytes), u64(PAGE)].flat(),
  ].flat();

/** The program, as an ELF file that needs nothing else. */
export function writerProgram(of: {
  readonly pages: number;
  readonly written: number;
  /** Absent: none are read. */
  readonly read?: number;
  readonly pauseMs: number;
}): Uint8Array {
  const { pages, written, read = 0, pauseMs } = of;
  const codeBytes = codeOf({ pages, written, read, said: 0, pause: 0 }).length;
  const said = CODE + HEADERS + codeBytes;
  const pause = said + SAID.length;
  const bytes = HEADERS + codeBytes + SAID.length + 16;
  const identification = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, ...Array.from({ length: 9 }, () => 0)];
  const header = [
    [identification, [2, 0, 62, 0], u32(1)].flat(),
    [u64(CODE + HEADERS), u64(64), u64(0), u32(0)].flat(),
    [64, 0, 56, 0, 2, 0, 0, 0, 0, 0, 0, 0],
  ].flat();
  return Uint8Array.from([
    ...header,
    ...segment({ flags: 5, address: CODE, fileBytes: bytes, bytes }),
    ...segment({ flags: 6, address: HELD, fileBytes: 0, bytes: pages * PAGE }),
    ...codeOf({ pages, written, read, said, pause }),
    ...new TextEncoder().encode(SAID),
    ...u64(Math.floor(pauseMs / 1000)),
    ...u64((pauseMs % 1000) * 1_000_000),
  ]);
}

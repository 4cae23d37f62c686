// The symbols of a kernel as its /proc/kallsyms, or the System.map that it was built with, lists them: a line
// each, the address in hexadecimal, a letter for the kind, the name, and in brackets the module that it is of.

import { invalid } from './guest-failures.ts';
import { KernelSymbols, SYMBOLS_MAX } from './kallsyms.ts';
import { IMAGE_BASE, namedSymbols, type Vmcoreinfo } from './vmcoreinfo.ts';

export const KALLSYMS_TEXT_BYTES_MAX = 64 * 1024 * 1024;
const LINE = /^([0-9a-f]{8,16}) ([A-Za-z]) (\S{1,511})$/u;
/** Of a module, which the kernel keeps elsewhere. */
const OF_MODULE = /^\S+ \S \S+\s+\[\S+\]$/u;

/**
 * The symbols of a list, at the addresses of a kernel whose code begins at `stext`: a list of another boot of
 * the same kernel is moved there. GUEST_INVALID where it is no such list.
 */
export function parseKallsymsText(bytes: Uint8Array, stext: bigint): KernelSymbols {
  const lines = new TextDecoder('latin1').decode(bytes).split('\n');
  const addresses: bigint[] = [];
  const names: string[] = [];
  let listed: bigint | null = null;
  for (const [i, line] of lines.entries()) {
    if (line === '' || OF_MODULE.test(line)) continue;
    const match = LINE.exec(line);
    if (match === null) throw invalid(`line ${i + 1} is no line of kallsyms`);
    if (names.length >= SYMBOLS_MAX) throw invalid(`it has over ${SYMBOLS_MAX} symbols`);
    const [, address, kind, name] = match;
    addresses.push(BigInt(`0x${address}`));
    names.push(`${kind}${name}`);
    if (name === '_stext') listed ??= addresses.at(-1)!;
  }
  if (listed === null) throw invalid('it has no `_stext`');
  if (listed < IMAGE_BASE)
    throw invalid('its addresses are hidden: /proc/kallsyms shows them to the administrator alone');
  const moved = stext - listed;
  const inImage = (address: bigint): bigint =>
    address >= IMAGE_BASE ? BigInt.asUintN(64, address + moved) : address;
  let end = 0;
  return new KernelSymbols({
    addresses: BigUint64Array.from(addresses, inImage),
    text: Uint8Array.from(names.join(''), (character) => character.charCodeAt(0)),
    ends: Uint32Array.from(names, (name) => (end += name.length)),
  });
}

/**
 * A symbol that VMCOREINFO has at another address than a list that was moved to its kernel; null: there is
 * none, and the list may be of that kernel.
 */
export function misplacedSymbol(symbols: KernelSymbols, info: Vmcoreinfo): string | null {
  for (const { name, address } of namedSymbols(info)) {
    // Some stand for what they point to, outside the image.
    if (address < IMAGE_BASE) continue;
    const listed = [...symbols.named(name)];
    if (listed.length > 0 && listed.every((each) => each.address !== address)) return name;
  }
  return null;
}

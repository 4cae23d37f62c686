// VMCOREINFO: a page in which a Linux kernel keeps, for whoever reads its memory after a crash, where its
// page tables are, how far it was moved, and where structures have their fields. It is text, a line
// `KEY=VALUE` each; a page of it begins with OSRELEASE=. KERNELOFFSET and what stands as SYMBOL(name) are
// hexadecimal, NUMBER, SIZE and OFFSET decimal.

import { PAGE_BYTES } from '../values/page.ts';
import { invalid, undescribed } from './guest-failures.ts';

const BEGINNING = Uint8Array.from('OSRELEASE=', (character) => character.charCodeAt(0));
/** Where the kernel's image is mapped, before it is moved within that. */
export const IMAGE_BASE = 0xffff_ffff_8000_0000n;
const DECIMAL = /^-?\d{1,20}$/u;
const HEXADECIMAL = /^[0-9a-f]{1,16}$/iu;
const LINE = /^([A-Z_a-z0-9().\-[\]]{1,80})=([\x20-\x7e]{0,300})$/u;

/** What a kernel says of itself. */
export interface Vmcoreinfo {
  readonly release: string;
  /** Lower-case hex; null: the kernel does not say. */
  readonly buildId: string | null;
  /** How far the kernel was moved from where it was linked. */
  readonly kernelOffset: bigint;
  /** What to add to an offset into the mapped image for a guest-physical address. */
  readonly physBase: bigint;
  readonly levels: 4 | 5;
  /** All of it, as it lies there. */
  readonly text: Uint8Array;
  readonly values: ReadonlyMap<string, string>;
}

/** Whether a page may be one: it begins as one. */
export function beginsVmcoreinfo(page: Uint8Array, at = 0): boolean {
  for (let i = 0; i < BEGINNING.length; i += 1) if (page[at + i] !== BEGINNING[i]) return false;
  return true;
}

function decimal(values: ReadonlyMap<string, string>, key: string): bigint | null {
  const text = values.get(key);
  return text === undefined || !DECIMAL.test(text) ? null : BigInt(text);
}

function hexadecimal(values: ReadonlyMap<string, string>, key: string): bigint | null {
  const text = values.get(key);
  return text === undefined || !HEXADECIMAL.test(text) ? null : BigInt(`0x${text}`);
}

/** What a page says. GUEST_INVALID where it is none, or says what cannot be. */
export function parseVmcoreinfo(page: Uint8Array): Vmcoreinfo {
  if (!beginsVmcoreinfo(page)) throw invalid('a page of VMCOREINFO does not begin as one');
  const end = page.indexOf(0);
  const text = page.subarray(0, Math.min(end < 0 ? page.length : end, PAGE_BYTES));
  const values = new Map<string, string>();
  for (const line of new TextDecoder('latin1').decode(text).split('\n')) {
    const match = LINE.exec(line);
    if (match !== null) values.set(match[1]!, match[2]!);
  }
  const physBase = decimal(values, 'NUMBER(phys_base)');
  const kernelOffset = hexadecimal(values, 'KERNELOFFSET') ?? 0n;
  if (physBase === null || symbolIn(values, 'swapper_pg_dir') === null)
    throw invalid('VMCOREINFO does not say where the page tables of an x86-64 kernel are');
  if (physBase % BigInt(PAGE_BYTES) !== 0n)
    throw invalid(`VMCOREINFO says that the kernel lies at no page's beginning: ${physBase}`);
  if ((values.get('PAGESIZE') ?? String(PAGE_BYTES)) !== String(PAGE_BYTES))
    throw invalid(`VMCOREINFO says that pages have ${values.get('PAGESIZE')} bytes`);
  const buildId = values.get('BUILD-ID')?.toLowerCase() ?? '';
  return {
    release: values.get('OSRELEASE') ?? '',
    buildId: /^[0-9a-f]{8,80}$/u.test(buildId) ? buildId : null,
    kernelOffset,
    physBase,
    levels: values.get('NUMBER(pgtable_l5_enabled)') === '1' ? 5 : 4,
    text: text.slice(),
    values,
  };
}

const symbolIn = (values: ReadonlyMap<string, string>, name: string): bigint | null =>
  hexadecimal(values, `SYMBOL(${name})`);

const NAMED = /^SYMBOL\((\w+)\)$/u;

/** The symbols that VMCOREINFO names. */
export function* namedSymbols({ values }: Vmcoreinfo) {
  for (const key of values.keys()) {
    const name = NAMED.exec(key)?.[1];
    const address = name === undefined ? null : symbolIn(values, name);
    if (name !== undefined && address !== null) yield { name, address };
  }
}

/** The address of a symbol that VMCOREINFO names; null: it does not. */
export const symbolOf = ({ values }: Vmcoreinfo, name: string): bigint | null =>
  symbolIn(values, name);

/** The same. GUEST_UNDESCRIBED where it does not. */
export function requiredSymbol(of: Vmcoreinfo, name: string): bigint {
  const address = symbolOf(of, name);
  if (address !== null) return address;
  throw undescribed(
    `Linux ${of.release} does not say in VMCOREINFO where its ${name} is: kernels do from 6.0 on, with kallsyms`,
    { symbol: name },
  );
}

/** A number of VMCOREINFO: `NUMBER(x)`, `SIZE(x)` or `OFFSET(x)`; null: it does not say. */
function numberOf({ values }: Vmcoreinfo, key: string): number | null {
  const value = decimal(values, key);
  return value === null || value < -0x8000_0000n || value > 0xffff_ffffn ? null : Number(value);
}

/** A size or an offset that a structure of the kernel can have. GUEST_UNDESCRIBED, GUEST_INVALID. */
export function requiredOffset(of: Vmcoreinfo, key: string): number {
  const value = numberOf(of, key);
  if (value === null)
    throw undescribed(`Linux ${of.release} does not say ${key} in VMCOREINFO`, { key });
  if (value >= 0 && value < PAGE_BYTES) return value;
  throw invalid(`VMCOREINFO says ${key}=${value}`);
}

/** The guest-physical address of something in the kernel's image; null: it cannot have one. */
export function physicalOf({ physBase }: Vmcoreinfo, address: bigint): number | null {
  const physical = address - IMAGE_BASE + physBase;
  return address >= IMAGE_BASE && physical >= 0n && physical < 2n ** 52n ? Number(physical) : null;
}

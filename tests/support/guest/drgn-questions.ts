// What drgn says of a kernel in a core, with symbols and types from an ELF file: resident pages of processes,
// owners of pages by the rules of docs/guests.md, and the kernel's symbols. drgn has no owners: they are
// counted here, in Python, from the descriptions of pages.

import { printedBy } from '../tools.ts';

const QUESTIONS = `
import hashlib, json, struct, sys
from drgn import Program, offsetof
from drgn.helpers.linux import for_each_task
program = Program()
program.set_core_dump(sys.argv[1])
program.load_debug_info([sys.argv[2]])
frames = int(sys.argv[3])

def resident(task):
    if not task.mm:
        return 0
    counters = task.mm.rss_stat
    kinds = [program.constant(kind).value_() for kind in ('MM_FILEPAGES', 'MM_ANONPAGES', 'MM_SHMEMPAGES')]
    try:
        return sum(max(0, counters.count[kind].counter.value_()) for kind in kinds)
    except AttributeError:
        return sum(max(0, counters[kind].count.value_()) for kind in kinds)

page = program.type('struct page')
base = program.read_u64(program.symbol('vmemmap_base').address)
raw = program.read(base, frames * page.size)
places = {name: offsetof(page, name) for name in ('flags', 'mapping', '_mapcount', 'compound_head', 'private')}
bits = {each.name: each.value for each in program.type('enum pageflags').enumerators}
try:
    types = {each.name: each.value for each in program.type('enum pagetype').enumerators}
except LookupError:
    types = {}

def owners():
    found, free_end = [], 0
    for frame in range(frames):
        at = frame * page.size
        word = lambda name: struct.unpack_from('<Q', raw, at + places[name])[0]
        kind = struct.unpack_from('<I', raw, at + places['_mapcount'])[0]
        def is_type(name, bit):
            if types:
                return kind >> 24 == types['PGTY_' + name]
            return bit is not None and kind & (0xf0000000 | bit) == 0xf0000000
        head = word('compound_head')
        if frame < free_end:
            owner = 'free'
        elif head & 1:
            owner = found[(head - 1 - base) // page.size]
        elif is_type('buddy', 0x80):
            owner, free_end = 'free', frame + (1 << (word('private') & 0xffffffff))
        elif is_type('offline', 0x100):
            owner = 'reserved'
        elif is_type('table', 0x200):
            owner = 'pageTables'
        elif is_type('slab', None) or not types and word('flags') >> bits['PG_slab'] & 1:
            owner = 'slab'
        elif word('flags') >> bits['PG_reserved'] & 1:
            owner = 'reserved'
        elif word('mapping') & 1:
            owner = 'anonymous'
        elif word('mapping') and word('flags') >> bits['PG_lru'] & 1:
            owner = 'file'
        else:
            owner = 'kernel'
        found.append(owner)
    return {owner: found.count(owner) for owner in set(found)}

lines = sorted({f'{each.address:x} {each.name}' for each in program.symbols() if each.address >= 0xffffffff80000000})
print(json.dumps({
    'resident': {task.pid.value_(): resident(task) for task in for_each_task(program)},
    'owners': owners(),
    'symbols': len(lines),
    'digest': hashlib.sha256('\\n'.join(lines).encode()).hexdigest(),
}))
`;

export interface DrgnAnswers {
  /** By pid. */
  readonly resident: Readonly<Record<string, number>>;
  readonly owners: Readonly<Record<string, number>>;
  /** Of the kernel's image, each name at an address once. */
  readonly symbols: number;
  /** Of those, lines `ADDRESS NAME` in the order of their characters. */
  readonly digest: string;
}

/** Asks drgn; `frames` is how many frames of RAM there are. */
export async function drgnAnswers(of: {
  readonly python: string;
  readonly core: string;
  readonly symbols: string;
  readonly frames: number;
}): Promise<DrgnAnswers> {
  const { python, core, symbols, frames } = of;
  const printed = await printedBy(python, '-c', QUESTIONS, core, symbols, String(frames));
  return JSON.parse(printed) as DrgnAnswers;
}

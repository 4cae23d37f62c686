#!/usr/bin/env python3
"""Prints the page events of a pageledger ledger, from the bytes of its event log.

Written from docs/events.md alone, with Python 3.11's standard library: it uses nothing of pageledger.
Standard input is newline-delimited JSON, one object an event, in the log's order:

    {"stream": "vm-web", "revision": 3, "position": "4711", "type": "PagesWritten",
     "schema": 2, "time": 1790000000000, "id": "<the event's id, 32 hex digits>",
     "data": "<the event's data in base64>"}

as a reader of EventStoreDB's $all has them (--prefix 'pageledger.' takes the ledger's name off the
streams). Standard output is newline-delimited JSON as `pageledger log --json --pages` prints page
events. Outcomes are what the fold of the log says, or with --recorded what the recorders saw.
"""

import argparse
import base64
import hashlib
import json
import struct
import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

SCHEMAS = {  # of any other type: 1
    "CaptureCommitted": 2,
    "PackWritten": 5,
    "PagesWritten": 3,
    "DeviceStateWritten": 3,
    "AttachmentsWritten": 3,
    "PackRewritten": 4,
    "ContentReleased": 2,
}
CONTROL_TYPES = ("VmRegistered", "CaptureCommitted", "VmRetired", "ContentReleased")
BATCH_TYPES = ("PackWritten", "PagesWritten", "DeviceStateWritten", "AttachmentsWritten")
OUTCOMES = ZERO, STORED, MERGED, PATTERN = range(4)
TYPES = ("PatternPageShared", "PageStored", "PageMerged", "PatternPageShared")
BROKE = 0x80
NAMES = ("zero", "byte", "word16", "word32", "word64", "period", "string", "edged")
CLASSES = dict(enumerate(NAMES, start=1))
ROWS_MAX = 16_384
SHORT_ROWS_MAX = 1_024
PACK_CONTENTS_MAX = 4_096
PACK_SLOTS = 8_192
PATTERN_CODEC = 2
SALTED = 0x10  # in a codec: 4 random bytes follow the block
GFN_MAX = 2**32 - 2
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Malformed(Exception):
    """Bytes that are not what the document says."""


def check(holds, sentence):
    if not holds:
        raise Malformed(sentence)


def hashes(data, at, count):
    """`count` hashes of 32 bytes, as hex."""
    return [data[at + 32 * i : at + 32 * (i + 1)].hex() for i in range(count)]


# ---- the bytes of batches ------------------------------------------------------------------------


@dataclass
class Pack:
    name: str
    capture: int
    group: str
    identifiers: list  # of its contents


def read_pack(data):
    """A PackWritten: of its table only the numbers of pages matter to who reads no content."""
    check(len(data) >= 112, "a PackWritten is shorter than its header")
    name, capture, slots, blocks, _size, group = struct.unpack_from("<32sIIII64s", data)
    check(1 <= slots < PACK_SLOTS and 1 <= blocks <= slots, "a pack has an impossible size")
    identifiers_at = 112 + blocks * (1 + 1 + 4 + 4)
    check(len(data) >= identifiers_at + 32 * slots, "a pack's columns do not fit its event")
    codecs, pages = data[112 : 112 + blocks], data[112 + blocks : 112 + 2 * blocks]
    check(sum(pages) == slots, "a pack's blocks hold other slots than it has")
    contents = sum(n for codec, n in zip(codecs, pages) if (codec & ~SALTED) != PATTERN_CODEC)
    check(contents <= PACK_CONTENTS_MAX, "a pack holds too many contents")
    identifiers = hashes(data, identifiers_at, contents)
    return Pack(name.hex(), capture, group.rstrip(b"\0").decode("ascii"), identifiers)


def read_leb128(column, count):
    """`count` unsigned variable-length numbers that fill their column."""
    numbers, at = [], 0
    for _ in range(count):
        number = shift = 0
        while True:
            check(at < len(column) and shift < 35, "a number does not fit its column")
            byte = column[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        numbers.append(number)
    check(at == len(column), "numbers do not fill their column")
    return numbers


@dataclass
class Row:
    row: int  # in the whole capture
    gfn: int
    outcome: int
    broke: bool
    reference: tuple | None  # (pack name, slot) of a content
    pattern: dict  # of a pattern: its class, and its number where it is public


class Reader:
    """Reads the short columns of an event, one after another."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def raw(self, count):
        check(self.at + count <= len(self.data), "an event ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, most):
        number = shift = 0
        while True:
            byte = self.raw(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            check(shift < 35, "a number does not fit its column")
        check(number <= most, f"found {number}, expected at most {most}")
        return number

    def hashes(self, count):
        return hashes(self.raw(32 * count), 0, count)

    def column(self, count, most, step=0, of_bytes=False):
        """Plain numbers, or runs of which the others are `step` more each."""
        form, found = self.raw(1)[0], []
        check(form <= 1, "a column is in another way")
        while len(found) < count:
            run = self.number(count - len(found)) if form == 1 else 1
            first = self.raw(1)[0] if of_bytes else self.number(most)
            check(run > 0 and first + step * (run - 1) <= most, "a run does not fit its column")
            found.extend(first + step * i for i in range(run))
        return found

    def end(self):
        check(self.at == len(self.data), "an event has more bytes than its columns")


def read_short_pack(data):
    """A PackWritten of schema 5."""
    reader = Reader(data)
    name, capture = reader.raw(32).hex(), reader.number(2**32 - 1)
    reader.number(2**32 - 1)  # bytes of the pack
    group = reader.raw(reader.raw(1)[0]).decode("ascii")
    blocks = reader.number(PACK_SLOTS)
    codecs = reader.column(blocks, 255, of_bytes=True)
    pages = reader.column(blocks, 255, of_bytes=True)
    for _ in range(blocks):
        reader.number(2**32 - 1)  # its length
    reader.raw(4 * blocks)  # checksums
    check(1 <= sum(pages) < PACK_SLOTS, "a pack has an impossible size")
    contents = sum(n for codec, n in zip(codecs, pages) if (codec & ~SALTED) != PATTERN_CODEC)
    check(contents <= PACK_CONTENTS_MAX, "a pack holds too many contents")
    identifiers = reader.hashes(sum(pages))[:contents]
    # What patches are made of matters to who reads content.
    return Pack(name, capture, group, identifiers)


def read_rewritten(data, schema):
    """Of a PackRewritten, its name and by slot where what lies there lay before."""
    if schema < 4:
        check(len(data) >= 112, "a PackRewritten is shorter than its header")
        name, slots, blocks, _size, packs = struct.unpack_from("<32sIIII", data)
        names_at = 112
        at = names_at + 32 * packs + blocks * (1 + 1 + 4 + 4)
        check(slots < PACK_SLOTS and len(data) >= at + 4 * slots, "its columns do not fit its event")
        names = hashes(data, names_at, packs)
        indexes = struct.unpack_from(f"<{slots}H", data, at)
        found = struct.unpack_from(f"<{slots}H", data, at + 2 * slots)
        check(all(index < packs for index in indexes), "a slot is of no pack")
        return name.hex(), [(names[index], slot) for index, slot in zip(indexes, found)]
    reader = Reader(data)
    name = reader.raw(32).hex()
    reader.number(2**32 - 1)  # bytes of the pack
    reader.raw(reader.raw(1)[0])  # group
    names = reader.hashes(reader.number(2**16 - 1))
    blocks = reader.number(PACK_SLOTS)
    reader.column(blocks, 255, of_bytes=True)  # codecs
    pages = reader.column(blocks, 255, of_bytes=True)
    check(1 <= sum(pages) < PACK_SLOTS, "a pack has an impossible size")
    for _ in range(blocks):
        reader.number(2**32 - 1)  # its length
    if reader.raw(1)[0] == 0:
        reader.raw(4 * blocks)  # checksums
        indexes = reader.column(sum(pages), len(names) - 1)
        found = reader.column(sum(pages), PACK_SLOTS - 1, step=1)
        return name, [(names[index], slot) for index, slot in zip(indexes, found)]
    indexes = reader.column(blocks, len(names) - 1)
    firsts = reader.column(blocks, PACK_SLOTS - 1)
    return name, [
        (names[index], first + i)
        for index, first, count in zip(indexes, firsts, pages)
        for i in range(count)
    ]


def read_short_pages(data):
    """The rows of a PagesWritten of schema 3."""
    reader = Reader(data)
    reader.number(2**32 - 1)  # the capture
    reader.number(2**32 - 1)  # the batch
    first_row, rows = reader.number(2**32 - 1), reader.number(SHORT_ROWS_MAX)
    check(reader.number(16) == 0, "a batch has an impossible size")
    names = reader.hashes(reader.number(2**16 - 1))
    kinds = reader.column(rows, 255, of_bytes=True)
    steps = reader.column(rows, GFN_MAX)
    references = sum(kind & 3 != ZERO for kind in kinds)
    indexes = reader.column(references, len(names))
    slots = reader.column(references, PACK_SLOTS - 1, step=1)
    reader.end()
    return rows_of(first_row, names, (kinds, steps, indexes, slots))


def read_pages(data):
    """The rows of a PagesWritten of schema 1 or 2."""
    check(len(data) >= 32, "a PagesWritten is shorter than its header")
    header = struct.unpack_from("<IIIIHHIII", data)
    _capture, _batch, rows, first_row, packs, parts, gfn_bytes, pack_bytes, references = header
    check(rows <= ROWS_MAX and parts == 0, "a batch has an impossible size")
    size = 32 + 32 * packs + rows + gfn_bytes + pack_bytes + 2 * references
    check(len(data) == size, f"a batch's columns need {size} bytes and it has {len(data)}")
    at = 32
    names = hashes(data, at, packs)
    at += 32 * packs
    kinds = data[at : at + rows]
    at += rows
    steps = read_leb128(data[at : at + gfn_bytes], rows)
    at += gfn_bytes
    indexes = read_leb128(data[at : at + pack_bytes], references)
    at += pack_bytes
    slots = struct.unpack_from(f"<{references}H", data, at)
    return rows_of(first_row, names, (kinds, steps, indexes, slots))


def rows_of(first_row, names, columns):
    """Rows of their columns; those of references have no entry for a row without one."""
    kinds, steps, *references = columns
    indexes, slots = (iter(column) for column in references)
    packs = len(names)
    found, gfn = [], -1
    for row in range(len(kinds)):
        kind, gfn = kinds[row], gfn + steps[row] + 1
        outcome = kind & 3
        check(outcome == PATTERN or kind & 0x7C == 0, f"row {row} has the kind {kind}")
        check(gfn <= GFN_MAX, f"row {row} is no page")
        reference, pattern = None, {}
        if outcome == ZERO:
            pattern = {"class": "zero"}
        else:
            index, slot = next(indexes, packs + 1), next(slots, PACK_SLOTS)
            is_there = index < packs or (outcome == PATTERN and index == packs)
            check(is_there and slot < PACK_SLOTS, f"row {row} refers to nothing")
            if outcome != PATTERN:
                reference = (names[index], slot)
            else:
                pattern = {"class": CLASSES.get((kind & 0x7C) >> 2)}
                if index == packs:
                    pattern["pattern"] = slot
        found.append(Row(first_row + row, gfn, kind & 3, kind & BROKE != 0, reference, pattern))
    check(next(indexes, None) is None, "references are left over")
    return found


# ---- captures in the order of their commits ------------------------------------------------------


@dataclass
class Capture:
    position: int
    id: str
    vm: str
    capture: int
    time_ms: float
    packs: list = field(default_factory=list)
    rows: list = field(default_factory=list)


def capture_of(event, committed, kept):
    """The capture that a commit makes valid, of the batches kept of its stream."""
    first, count = committed["firstRevision"], committed["batches"]
    batches = [batch for batch in kept if first <= batch["revision"] < first + count]
    check(len(batches) == count, f"{count - len(batches)} of {count} batches are missing")
    digests = b"".join(hashlib.sha256(batch["data"]).digest() for batch in batches)
    is_whole = hashlib.sha256(digests).hexdigest() == committed["hash"]
    check(is_whole, "the batches are not those that were committed")
    place = (event["position"], event["id"])
    numbers = (committed["vm"], committed["capture"], committed["timeMs"])
    capture = Capture(*place, *numbers)
    for batch in batches:
        if batch["type"] == "PackWritten":
            read = read_short_pack if batch["schema"] >= 5 else read_pack
            capture.packs.append(read(batch["data"]))
        elif batch["type"] == "PagesWritten":
            read = read_short_pages if batch["schema"] >= 3 else read_pages
            capture.rows.extend(read(batch["data"]))
    return capture


def captures_and_ends(events):
    """Captures as they are committed, and (type, data) of what else bears on page events."""
    kept = {}
    for event in events:
        stream, kind = event["stream"], event["type"]
        if kind in BATCH_TYPES or kind in CONTROL_TYPES or kind == "PackRewritten":
            is_known = event["schema"] <= SCHEMAS.get(kind, 1)
            check(is_known, f"a {kind} is of schema {event['schema']}")
        if kind in BATCH_TYPES:
            kept.setdefault(stream, []).append(event)
        elif kind == "CaptureCommitted":
            yield capture_of(event, json.loads(event["data"]), kept.pop(stream, []))
        elif kind == "PackRewritten":
            yield kind, read_rewritten(event["data"], event["schema"])
        elif kind in CONTROL_TYPES:
            yield kind, json.loads(event["data"])


# ---- page events ---------------------------------------------------------------------------------


class Fold:
    """What the log decides: which store is the content, and which writes broke a sharing."""

    def __init__(self):
        self.content_of = {}  # (pack name, slot) -> (group, identifier)
        self.home = {}  # (rewritten pack, slot) -> (pack name, slot) that held it first
        self.first = {}  # (group, identifier) -> (pack name, slot, VM, capture) that stored it first
        self.tables = {}  # VM -> {gfn: content, or None for a pattern}
        self.holders = {}  # content -> pages that hold it now
        self.origin = {}  # pack name -> (VM, capture) that wrote it
        self.alone = set()  # VMs that share nothing but patterns

    def add_pack(self, pack, vm):
        self.origin[pack.name] = (vm, pack.capture)
        for slot, identifier in enumerate(pack.identifiers):
            content = (pack.group, identifier)
            if vm in self.alone:
                content = (*content, pack.name, slot)
            self.content_of[pack.name, slot] = content
            self.first.setdefault(content, (pack.name, slot, vm, pack.capture))

    def release(self, pack, slots):
        """Equal pages are stored anew from now on, but for what is held all the same."""
        for slot in (s for s in range(8 * len(slots)) if slots[s // 8] >> (s % 8) & 1):
            home = self.home.get((pack, slot), (pack, slot))
            content = self.content_of.get(home)
            is_first = content in self.first and self.first[content][:2] == home
            if is_first and not self.holders.get(content):
                del self.first[content]

    def move(self, pack, slots):
        """A slot of a rewritten pack stands for what lay elsewhere before."""
        for slot, before in enumerate(slots):
            self.home[pack, slot] = self.home.get(before, before)

    def first_of(self, content, reference):
        """Where a content is stored first; what was released and is used again, where it is used."""
        return self.first.setdefault(content, (*reference, *self.origin[reference[0]]))

    def hold(self, content, by):
        if content is not None:
            self.holders[content] = self.holders.get(content, 0) + by

    def write(self, vm, gfn, content):
        """Whether the write breaks a sharing; its old content."""
        table = self.tables.setdefault(vm, {})
        old = table.get(gfn)
        broke = old is not None and old != content and self.holders[old] > 1
        self.hold(old, -1)
        self.hold(content, 1)
        table[gfn] = content
        return broke, old

    def control(self, kind, data):
        if kind == "VmRegistered" and data["share"] == "pattern":
            self.alone.add(data["vm"])
        if kind == "PackRewritten":
            self.move(*data)
        if kind == "ContentReleased":
            for pack in data["packs"]:
                self.release(pack["pack"], bytes.fromhex(pack["slots"]))
        if kind == "VmRetired":
            for content in self.tables.pop(data["vm"], {}).values():
                self.hold(content, -1)


def iso(time_ms):
    """Whole milliseconds, as JavaScript's Date has them."""
    at = EPOCH + timedelta(milliseconds=int(time_ms))
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def page_events(capture, fold, recorded):
    vm = capture.vm
    for pack in capture.packs:
        fold.add_pack(pack, vm)

    def event(item, kind, gfn, content, **more):
        return {
            "position": str(capture.position),
            "item": item,
            "place": f"{capture.position}/{item}@{capture.id[:16]}",
            "type": kind,
            "vm": vm,
            "time": iso(capture.time_ms),
            "capture": capture.capture,
            "gfn": gfn,
            "identifier": content and content[1],
            **more,
        }

    for row in capture.rows:
        content = None
        outcome = row.outcome
        link = row.pattern
        if row.reference is not None:
            content = fold.content_of.get(row.reference)
            check(content is not None, f"row {row.row} refers to a page that no pack has")
            name, slot, holder, stored_at = fold.first_of(content, row.reference)
            if outcome == STORED and not recorded and (name, slot) != row.reference:
                outcome = MERGED
            if outcome == MERGED:
                scope = "intra" if holder == vm else "inter"
                link = {"scope": scope, "holder": {"vm": holder, "capture": stored_at}}
        broke, old = fold.write(vm, row.gfn, content)
        yield event(2 * row.row, TYPES[outcome], row.gfn, content, **link)
        if row.broke if recorded else broke:
            yield event(2 * row.row + 1, "SharingBroken", row.gfn, old)


def read_events(lines, prefix):
    for line in lines:
        event = json.loads(line)
        if not event["stream"].startswith(prefix):
            continue
        event["stream"] = event["stream"].removeprefix(prefix)
        event["position"] = int(event["position"])
        event["data"] = base64.b64decode(event["data"], validate=True)
        yield event


def main():
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--prefix", default="", help="what the ledger's streams begin with")
    help_recorded = "outcomes as the recorders saw them"
    parser.add_argument("--recorded", action="store_true", help=help_recorded)
    options = parser.parse_args()
    fold = Fold()
    try:
        for found in captures_and_ends(read_events(sys.stdin, options.prefix)):
            if isinstance(found, tuple):
                fold.control(*found)
                continue
            for event in page_events(found, fold, options.recorded):
                print(json.dumps(event, separators=(",", ":")))
    except (Malformed, ValueError, KeyError) as failure:
        sys.exit(f"read_events.py: {failure}")
    except BrokenPipeError:
        sys.stderr.close()


if __name__ == "__main__":
    main()

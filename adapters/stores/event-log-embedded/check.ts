// The check of the embedded log: reads every byte of the log and of the witnesses, and names what is
// damaged. Bytes that no stream misses, such as the torn tail of a crash, are not damage.

import type { Finding } from '../../../domain/values/finding.ts';
import type { LogDamage } from '../../../domain/ports/event-log.ts';
import { lostEnd, type LogFiles, type LogReader } from './log-reader.ts';
import type { Segments } from './segments.ts';
import { witnessName, type Witness } from './witness.ts';

const ofRecords = (segments: Segments, damage: LogDamage): Finding => {
  const path = segments.pathAt(Number(damage.position));
  const [first, last] = damage.revisions ?? [null, null];
  return {
    kind: 'log-damaged',
    where: `${path}, bytes ${damage.position} to ${damage.position + BigInt(damage.lengthBytes)}, stream ${damage.stream}, revisions ${first} to ${last}`,
    reason: damage.reason,
    affects: [],
    stream: damage.stream,
  };
};

const ofWitness = (where: string, reason: string): Finding => ({
  kind: 'witness-damaged',
  where,
  reason: `${reason}; the log is not affected, and the next append to the stream writes it anew`,
  affects: [],
});

const ofTable = (path: string, copy: number): Finding => ({
  kind: 'log-damaged',
  where: `${path}, the ${copy === 0 ? 'first' : 'second'} copy of the table of what is left`,
  reason:
    'found bytes that are no table, expected the same twice; where the other copy can be read, no event is affected',
  affects: [],
});

const ofHeader = (path: string, copy: number): Finding => ({
  kind: 'log-damaged',
  where: `${path}, the ${copy === 0 ? 'first' : 'second'} copy of its header`,
  reason:
    'found bytes that are no header, expected the same twice; the other copy is read, and no event is affected',
  affects: [],
});

/** Everything that is wrong with a log, as it is now. */
export async function* checkLog(
  reader: LogReader,
  { segments, witnesses }: LogFiles,
): AsyncGenerator<Finding> {
  const fold = reader.foldAll();
  const found: Witness[] = [];
  const names = new Set<string>();
  for (let isLast = false; ; isLast = true) {
    for (let judged = await fold.next(); judged !== null; judged = await fold.next()) {
      if (judged.damage !== null) yield ofRecords(segments, judged.damage);
    }
    if (isLast) break;
    for await (const { path, name, file: slots } of witnesses.all()) {
      names.add(name);
      for (const { offsetBytes, reason } of slots.damages) {
        yield ofWitness(`${path}, byte ${offsetBytes}`, reason);
      }
      if (slots.witness !== null) found.push(slots.witness);
    }
  }
  for (const stream of fold.state.heads.keys()) {
    const name = witnessName(stream);
    if (names.has(name)) continue;
    yield ofWitness(witnesses.path(stream), `found no witness of stream ${stream}`);
  }
  for (const witness of found) {
    if (witness.revision <= fold.state.of(witness.stream).revision) continue;
    yield ofRecords(segments, lostEnd(witness, fold.state));
  }
  for (const start of segments.fileStarts) {
    const { path, opened } = await segments.file(start);
    for (const copy of opened?.damaged ?? []) yield ofHeader(path, copy);
    for (const copy of opened?.left?.damaged ?? []) yield ofTable(path, copy);
  }
}

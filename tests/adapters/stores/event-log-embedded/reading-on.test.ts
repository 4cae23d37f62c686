// Who reads on behind what was read reads no record twice, and finds out if it is not there any more.

import { describe, expect, test } from '@jest/globals';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import type { FilePort, OpenFile } from '../../../../adapters/files/file-port.ts';
import type { EmbeddedEventLog } from '../../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { HASH_BYTES } from '../../../../adapters/stores/event-log-embedded/layout.ts';
import { markOf, type ReadRange, type StoredEvent } from '../../../../domain/ports/event-log.ts';
import {
  EmbeddedLogFolder,
  LOG_FORMATS,
  type LogFormat,
} from '../../../support/logs/embedded-logs.ts';
import { makeEvent } from '../../../support/logs/log-events.ts';
import { valueOf } from '../../../support/outcomes.ts';

const EVENT_BYTES = 3000;

/** The files of this machine, with notes of what was read and listed. */
function watchedFiles() {
  const reads: { readonly from: number; readonly lengthBytes: number }[] = [];
  const listed: string[] = [];
  const watched = (file: OpenFile): OpenFile => {
    const read = (target: Uint8Array, from: number): Promise<number> => {
      reads.push({ from, lengthBytes: target.length });
      return file.read(target, from);
    };
    return new Proxy(file, {
      get: (of, name) => {
        if (name === 'read') return read;
        const value: unknown = Reflect.get(of, name, of);
        return typeof value === 'function' ? value.bind(of) : value;
      },
    });
  };
  const files: FilePort = Object.create(nodeFiles, {
    open: {
      value: async (...request: Parameters<FilePort['open']>) =>
        watched(await nodeFiles.open(...request)),
    },
    list: {
      value: (folder: string) => {
        listed.push(folder);
        return nodeFiles.list(folder);
      },
    },
  });
  return { files, reads, listed };
}

async function eventsOf(log: EmbeddedEventLog, range: ReadRange) {
  const events: StoredEvent[] = [];
  let { from: next } = range;
  for await (const chunk of log.read(range)) {
    for (const item of chunk.items) if (item._tag === 'event') events.push(item.event);
    ({ next } = chunk);
  }
  return { events, next };
}

/** A log of a few events that was read to its end, and an event more. */
async function readAndAppended(format: LogFormat) {
  const { files, reads, listed } = watchedFiles();
  const folder = await EmbeddedLogFolder.make(files, format);
  const log = await folder.open();
  const append = (expectedRevision: number) =>
    valueOf(log.append({ stream: 's', expectedRevision, events: [makeEvent(EVENT_BYTES)] }));
  for (let revision = -1; revision < 3; revision += 1) await append(revision);
  const { events, next } = await eventsOf(log, { from: 0n });
  expect(events).toHaveLength(4);
  const last = events.at(-1)!;
  const { position } = await append(3);
  reads.length = 0;
  listed.length = 0;
  return {
    folder,
    log,
    reads,
    listed,
    append,
    range: { from: next, after: markOf(last) },
    last,
    position,
  };
}

describe.each(LOG_FORMATS)('reading on in a log of format %i', (format) => {
  test('reads what is new, and of the last record its chain value', async () => {
    const { folder, log, reads, listed, range, last, position } = await readAndAppended(format);
    const { events } = await eventsOf(log, { ...range, reached: position + 1n });
    expect(events.map((event) => event.position)).toEqual([position]);
    expect(listed).toEqual([]);
    const before = reads.filter(({ from }) => from >= last.position && from < range.from);
    expect(before.map(({ lengthBytes }) => lengthBytes)).toEqual([HASH_BYTES]);
    await folder.remove();
  });

  test('to where the log was said to have reached passes nothing over', async () => {
    const { folder, log, append, range, position } = await readAndAppended(format);
    const { position: later } = await append(4);
    const first = await eventsOf(log, { ...range, reached: position + 1n });
    const rest = await eventsOf(log, { from: first.next, after: markOf(first.events.at(-1)!) });
    const positions = [...first.events, ...rest.events].map((event) => event.position);
    expect(positions).toEqual([position, later]);
    await folder.remove();
  });

  test('is refused where other bytes are in their place', async () => {
    const { folder, log, range, last, position } = await readAndAppended(format);
    const bytes = await folder.bytes();
    const end = Number(range.from);
    await folder.write(bytes.map((byte, at) => (at > last.position && at < end ? byte ^ 1 : byte)));
    for (const reached of [undefined, position + 1n])
      await expect(eventsOf(log, { ...range, reached })).rejects.toMatchObject({
        code: 'LOG_REPLACED',
      });
    await folder.write(bytes);
    expect((await eventsOf(log, range)).events).toHaveLength(1);
    await folder.remove();
  });
});

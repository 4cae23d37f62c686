// A worker thread of the page engine: answers calls one after another with a core of its own. Columns
// and packed bytes go back by transfer; pages and the bytes of a fill come in shared memory, and so go
// the bytes stored of a chunk.

import { types } from 'node:util';
import { parentPort } from 'node:worker_threads';
import { assert } from '../../../domain/values/assert.ts';
import { PageCore } from './page-core.ts';
import { PageFiller } from './page-fill.ts';
import { RUNNER_SLOTS } from './page-runner.ts';
import { packFailure } from './thread-messages.ts';
import type { ThreadAnswer, ThreadCall, ThreadReply, ThreadWork } from './thread-messages.ts';

assert(parentPort !== null, 'this file is the entry of a worker thread');
const port = parentPort;
const core = new PageCore({ slots: RUNNER_SLOTS });
const filler = new PageFiller(core.codec);

function work(asked: ThreadWork): ThreadAnswer {
  switch (asked._tag) {
    case 'scan':
      if (asked.keys !== null) core.useKeys(asked.keys);
      return { _tag: 'scanned', columns: core.scan(asked.slot, asked.request) };
    case 'store':
      return { _tag: 'stored', blocks: core.store(asked.slot, asked.request) };
    case 'pack':
      return { _tag: 'stored', blocks: core.pack(asked.request) };
    case 'sketch':
      return { _tag: 'sketched', sketches: core.sketch(asked.pages) };
    case 'fill':
      return { _tag: 'filled', failed: filler.fill(asked.request) };
    default:
      return asked satisfies never;
  }
}

function answerTo(asked: ThreadWork): ThreadAnswer {
  try {
    return work(asked);
  } catch (error) {
    return { _tag: 'failed', failure: packFailure(error) };
  }
}

function columnsOf(answer: ThreadAnswer): readonly (Uint8Array | Uint32Array)[] {
  if (answer._tag === 'scanned') {
    const { gfns, classes, identifiers, descriptors } = answer.columns;
    return [gfns, classes, identifiers, descriptors.ends, descriptors.bytes];
  }
  if (answer._tag === 'sketched') return [answer.sketches];
  if (answer._tag === 'stored') {
    const { bytes, codecs, pages, lengths, checksums, patched } = answer.blocks;
    return [bytes, codecs, pages, lengths, checksums, patched];
  }
  return [];
}

/** The buffers of an answer: each belongs to one column alone. */
const buffersOf = (answer: ThreadAnswer): ArrayBuffer[] =>
  columnsOf(answer)
    .map((column) => column.buffer)
    .filter((buffer) => types.isArrayBuffer(buffer));

port.on('message', ({ id, work: asked, grammar }: ThreadCall) => {
  if (grammar !== null) {
    core.useGrammar(grammar);
    filler.useGrammar(grammar);
  }
  const answer = answerTo(asked);
  const reply: ThreadReply = { id, answer };
  port.postMessage(reply, buffersOf(answer));
});

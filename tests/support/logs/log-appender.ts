// A process of its own that appends to an embedded log: started by tests with a folder, a stream, a
// name for itself and a number of appends. It takes the revision that is next, and tries again where
// another was first. Prints, as JSON, what it was told: revisions, and how often it came too late.

import { nodeFiles } from '../../../adapters/files/files.ts';
import { openEventLog } from '../../../adapters/stores/event-log-embedded/event-log-embedded.ts';
import { valueOf } from '../outcomes.ts';

const [folder, stream, name, countText] = process.argv.slice(2) as [string, string, string, string];
const log = await valueOf(openEventLog({ folder, files: nodeFiles }));
const revisions: number[] = [];
let conflicts = 0;
for (let made = 0; made < Number(countText);) {
  const expectedRevision = await valueOf(log.streamRevision(stream));
  const events = Array.from({ length: 1 + (made % 3) }, (_, i) => ({
    id: new TextEncoder().encode(`${name}-${made}-${i}`.padEnd(16)),
    type: 'Appended',
    schema: 1,
    timeMs: made,
    data: new TextEncoder().encode(`${name} ${made} ${i}`),
  }));
  const outcome = await log.append({ stream, expectedRevision, events })();
  if (outcome._tag === 'Right') {
    revisions.push(outcome.right.revision);
    made += 1;
  } else if (outcome.left.code === 'REVISION_CONFLICT') conflicts += 1;
  else throw outcome.left;
}
await log.close();
process.stdout.write(JSON.stringify({ revisions, conflicts }));

// A process of its own that reads packs through a cache that others use too: started by a test with the
// packs' folder, the cache's, the bound, the bytes of a window, a seed and a number of reads. Each read
// is compared with the packs themselves. Prints, as JSON, how many were wrong and what it was told.

import { nodeFiles } from '../../../adapters/files/files.ts';
import { cachePages } from '../../../adapters/stores/page-store-cached/cached-pages.ts';
import { seededRandom } from '../images.ts';
import { gather, valueOf } from '../outcomes.ts';
import { folderRangeStore } from './range-stores.ts';

const [packs, folder, ...numbers] = process.argv.slice(2) as [string, string, ...string[]];
const [bytesMax, windowBytes, seed, reads] = numbers.map(Number) as [
  number,
  number,
  number,
  number,
];
const notices: string[] = [];
const store = folderRangeStore(packs);
const pages = cachePages({
  store,
  files: nodeFiles,
  folder,
  bytesMax,
  windowBytes,
  onNotice: (text) => notices.push(text),
});
const entries = await gather(store.list());
const random = seededRandom(seed);
let wrong = 0;
for (let read = 0; read < reads; read += 1) {
  const { name, sizeBytes } = entries[random(entries.length)]!;
  const offsetBytes = random(sizeBytes);
  const lengthBytes = 1 + random(Math.min(sizeBytes - offsetBytes, 3 * windowBytes));
  const range = { name, offsetBytes, lengthBytes };
  const found = await valueOf(pages.get(range));
  const expected = await valueOf(store.get(range));
  if (!Buffer.from(found).equals(expected)) wrong += 1;
}
await pages.close();
process.stdout.write(JSON.stringify({ wrong, notices, stats: pages.stats() }));

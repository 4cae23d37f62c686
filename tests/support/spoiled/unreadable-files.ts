// A disk that does not give some files, as one with a bad sector or with the wrong permissions does not.
// What takes a file's place is given again.

import { fileFailure } from '../../../adapters/files/failures.ts';
import type { FilePort, OpenFile } from '../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../adapters/files/files.ts';
import { memoryOfPath } from '../../../adapters/files/memory-file.ts';

export interface Refusal {
  readonly errno: string;
  /** Absent: the file cannot be opened. Given: no byte from here on can be read. */
  readonly fromByte?: number;
}

export class UnreadableFiles {
  /** By path. */
  readonly refused = new Map<string, Refusal>();

  #open(file: OpenFile, path: string): OpenFile {
    const check = (bytes: Uint8Array, offsetBytes: number): void => {
      const of = this.refused.get(path);
      if (of !== undefined && offsetBytes + bytes.length > (of.fromByte ?? 0))
        throw fileFailure({ code: of.errno }, { operation: 'read', path });
    };
    return {
      path,
      memory: file.memory,
      read: async (target, offset) => {
        check(target, offset);
        return file.read(target, offset);
      },
      readNow: (target, offset) => {
        check(target, offset);
        return file.readNow(target, offset);
      },
      write: (bytes, offset) => file.write(bytes, offset),
      writeNow: (bytes, offset) => file.writeNow(bytes, offset),
      append: (bytes) => file.append(bytes),
      sync: () => file.sync(),
      sizeBytes: () => file.sizeBytes(),
      isNamed: () => file.isNamed(),
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      close: () => file.close(),
    };
  }

  get port(): FilePort {
    return {
      ...nodeFiles,
      // Threads open by path: what is refused lies at none.
      memoryOf: (path) => memoryOfPath(this.refused.has(path) ? `${path}.refused` : path),
      open: async (path, mode, permissions) => {
        const of = this.refused.get(path);
        if (of !== undefined && of.fromByte === undefined)
          throw fileFailure({ code: of.errno }, { operation: 'open', path });
        return this.#open(await nodeFiles.open(path, mode, permissions), path);
      },
      rename: async (source, target) => {
        await nodeFiles.rename(source, target);
        this.refused.delete(target);
      },
    };
  }
}

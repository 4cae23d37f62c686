import { readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import { openFingerprintFiles } from '../../../../adapters/stores/keys/fingerprint-files.ts';
import type {
  FingerprintFiles,
  VmFingerprints,
} from '../../../../adapters/stores/keys/fingerprint-files.ts';
import { FINGERPRINT_BYTES } from '../../../../domain/ports/page-engine.ts';
import { countSteps, filesThatFail } from '../../../support/spoiled/broken-files.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';

let temporary: TemporaryFolder;
let folder: string;
let kept: FingerprintFiles;
beforeEach(async () => {
  temporary = await makeTemporaryFolder();
  folder = join(temporary.path, 'keys');
  kept = openFingerprintFiles({ files: nodeFiles, folder });
});
afterEach(() => temporary.remove());

function fingerprintsOf(options: { readonly pages: number; readonly seed: number }) {
  const memory = new SharedArrayBuffer(options.pages * FINGERPRINT_BYTES);
  const bytes = new Uint8Array(memory);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = (i * 31 + (i >>> 8) + options.seed) & 0xff;
  return memory;
}

const stateOf = (options: { vm: string; pages: number; seed: number }): VmFingerprints => ({
  vm: options.vm,
  capture: options.seed,
  commit: 2n ** 63n + BigInt(options.seed),
  body: fingerprintsOf(options),
});

const isSame = (a: VmFingerprints, b: VmFingerprints | null): boolean =>
  b !== null &&
  Buffer.from(a.body).equals(Buffer.from(b.body)) &&
  JSON.stringify([a.vm, a.capture, `${a.commit}`]) ===
    JSON.stringify([b.vm, b.capture, `${b.commit}`]);

describe('the fingerprints of a VM', () => {
  test.each([0, 1, 1000, 43_690, 43_691, 100_000])('of %d pages come back', async (pages) => {
    const state = stateOf({ vm: 'web-1', pages, seed: 7 });
    await kept.save(state);
    const loaded = await kept.load('web-1');
    expect(isSame(state, loaded)).toBe(true);
    expect(loaded!.body.constructor.name).toBe('SharedArrayBuffer');
  });

  test('are those of its last capture, beside other VMs, for their owner alone', async () => {
    const [older, newer] = [1, 2].map((seed) => stateOf({ vm: 'a', pages: 10, seed }));
    const other = stateOf({ vm: 'b', pages: 20, seed: 3 });
    for (const state of [older!, newer!, other]) await kept.save(state);
    expect(isSame(newer!, await kept.load('a'))).toBe(true);
    expect(isSame(other, await kept.load('b'))).toBe(true);
    const here = join(folder, 'fingerprints');
    expect(statSync(join(here, 'a')).mode & 0o777).toBe(0o600);
    expect(statSync(here).mode & 0o777).toBe(0o700);
    await kept.drop('a');
    expect(await kept.load('a')).toBeNull();
    expect(readdirSync(here)).toEqual(['b']);
  });

  test('are none when any bit of them flipped, or they are longer or shorter', async () => {
    await kept.save(stateOf({ vm: 'a', pages: 3, seed: 1 }));
    const path = join(folder, 'fingerprints', 'a');
    const whole = readFileSync(path);
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const damaged = Buffer.from(whole);
      damaged[bit >>> 3]! ^= 1 << (bit & 7);
      writeFileSync(path, damaged);
      expect([bit, await kept.load('a')]).toEqual([bit, null]);
    }
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(path, whole.subarray(0, length));
      expect(await kept.load('a')).toBeNull();
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.from('x')]));
    expect(await kept.load('a')).toBeNull();
  });

  test('are none when they are another VM\u2019s', async () => {
    await kept.save(stateOf({ vm: 'a', pages: 3, seed: 1 }));
    renameSync(join(folder, 'fingerprints', 'a'), join(folder, 'fingerprints', 'b'));
    expect(await kept.load('b')).toBeNull();
  });

  test('stay those of an older capture where they cannot be written', async () => {
    const older = stateOf({ vm: 'a', pages: 50, seed: 1 });
    const newer = stateOf({ vm: 'a', pages: 50, seed: 2 });
    await kept.save(older);
    const steps = await countSteps((files) =>
      openFingerprintFiles({ files, folder: join(temporary.path, 'counted') }).save(newer),
    );
    expect(steps).toBeGreaterThan(3);
    for (let step = 0; step < steps; step += 1) {
      const files = filesThatFail({ step, systemCode: 'ENOSPC' });
      await openFingerprintFiles({ files, folder }).save(newer);
      expect(isSame(older, await kept.load('a'))).toBe(true);
    }
    expect(readdirSync(join(folder, 'fingerprints'))).toEqual(['a']);
  });

  test('are never taken for a path', async () => {
    await expect(kept.load('../a')).rejects.toThrow('broken invariant');
    await expect(kept.drop('../a')).rejects.toThrow('broken invariant');
  });
});

import { hkdfSync } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FilePort } from '../../../../adapters/files/file-port.ts';
import { nodeFiles } from '../../../../adapters/files/files.ts';
import {
  groupKeyText,
  keyCheck,
  openGroupKeys,
  readGroupKey,
} from '../../../../adapters/stores/keys/group-keys.ts';
import type { GroupKeys } from '../../../../adapters/stores/keys/group-keys.ts';
import { countSteps, filesThatFail } from '../../../support/spoiled/broken-files.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';

let temporary: TemporaryFolder;
let folder: string;
let keys: GroupKeys;
beforeEach(async () => {
  temporary = await makeTemporaryFolder();
  folder = join(temporary.path, 'keys');
  keys = openGroupKeys({ files: nodeFiles, folder });
});
afterEach(() => temporary.remove());

const fileOf = (group: string): string => join(folder, `${group}.key`);
const hexOf = (key: Uint8Array): string => Buffer.from(key).toString('hex');

describe('the key of a group', () => {
  test('is made once, 32 bytes at random, for its owner alone', async () => {
    const made = await valueOf(keys.create('default'));
    expect(made).toMatchObject({ group: 'default', findings: [] });
    expect(made.key).toHaveLength(32);
    expect(statSync(fileOf('default')).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(hexOf((await valueOf(keys.create('default'))).key)).toBe(hexOf(made.key));
    expect(hexOf((await valueOf(keys.create('other'))).key)).not.toBe(hexOf(made.key));
    expect(await valueOf(keys.groups())).toEqual(['default', 'other']);
  });

  test('is one and the same for all who make it at once', async () => {
    const stores = Array.from({ length: 8 }, () => openGroupKeys({ files: nodeFiles, folder }));
    const made = await Promise.all(stores.map((store) => valueOf(store.create('default'))));
    expect(new Set(made.map(({ key }) => hexOf(key))).size).toBe(1);
    expect(readdirSync(folder)).toEqual(['default.key']);
  });

  test('is loaded where it is the one its group was made with', async () => {
    const { key } = await valueOf(keys.create('default'));
    const found = await valueOf(keys.load({ group: 'default', keyCheck: keyCheck(key) }));
    expect(hexOf(found.key)).toBe(hexOf(key));
  });

  test('is missing, with the way to get it', async () => {
    const failure = await failureOf(keys.load({ group: 'blue', keyCheck: null }));
    expect(failure.code).toBe('KEY_MISSING');
    expect(failure.message).toContain("'blue'");
    expect(failure.message).toContain('group export');
    expect(await valueOf(keys.groups())).toEqual([]);
  });

  test('is refused where it is another than the group was made with', async () => {
    const { key } = await valueOf(keys.create('default'));
    const wrong = keyCheck(new Uint8Array(32));
    const failure = await failureOf(keys.load({ group: 'default', keyCheck: wrong }));
    expect(failure.code).toBe('KEY_DAMAGED');
    expect(JSON.stringify([failure.message, failure.facts])).not.toContain(hexOf(key));
  });

  test('is refused where it is that of another group', async () => {
    await valueOf(keys.create('default'));
    writeFileSync(fileOf('blue'), readFileSync(fileOf('default')));
    const failure = await failureOf(keys.load({ group: 'blue', keyCheck: null }));
    expect(failure.code).toBe('KEY_DAMAGED');
    expect(failure.message).toContain("'default'");
  });

  test('is damaged by any bit that flips and any byte that is lost, and is not made anew', async () => {
    await valueOf(keys.create('default'));
    const whole = readFileSync(fileOf('default'));
    const damaged = Array.from({ length: whole.length * 8 }, (_, bit) => {
      const bytes = Buffer.from(whole);
      bytes[bit >>> 3]! ^= 1 << (bit & 7);
      return bytes;
    });
    const cut = Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length));
    for (const bytes of [...damaged, ...cut]) {
      writeFileSync(fileOf('default'), bytes);
      const failures = [
        await failureOf(keys.load({ group: 'default', keyCheck: null })),
        await failureOf(keys.create('default')),
      ];
      expect(failures.map(({ code }) => code)).toEqual(['KEY_DAMAGED', 'KEY_DAMAGED']);
    }
  });

  test('that others can read is found, and used all the same', async () => {
    const { key } = await valueOf(keys.create('default'));
    chmodSync(fileOf('default'), 0o640);
    const found = await valueOf(keys.load({ group: 'default', keyCheck: null }));
    expect(hexOf(found.key)).toBe(hexOf(key));
    expect(found.findings).toMatchObject([
      { kind: 'key permissions', where: fileOf('default'), affects: [] },
    ]);
    expect(found.findings[0]!.reason).toContain('0640');
  });

  test('on a file system without permissions is a note', async () => {
    const flat: FilePort = {
      ...nodeFiles,
      facts: async (path) => {
        const facts = await nodeFiles.facts(path);
        return facts === null ? null : { ...facts, permissions: 0o755 };
      },
    };
    const there = openGroupKeys({ files: flat, folder });
    const { findings } = await valueOf(there.create('default'));
    expect(findings).toMatchObject([
      { isNote: true, reason: expect.stringMatching(/keeps no permissions.*0755/u) },
    ]);
    expect(readdirSync(folder)).toEqual(['default.key']);
    // Files that were all made open are a finding as before.
    for (const path of [folder, fileOf('default')]) chmodSync(path, 0o755);
    const found = await valueOf(keys.load({ group: 'default', keyCheck: null }));
    expect(found.findings).toMatchObject([{ kind: 'key permissions' }]);
    expect(found.findings[0]).not.toHaveProperty('isNote');
  });

  test('leaves nothing of what was tried on its file system, whatever failed or was killed', async () => {
    const flat = (facts: FilePort['facts']): FilePort => ({ ...nodeFiles, facts });
    const open = {
      sizeBytes: 0,
      modifiedAtMs: 0,
      isFolder: false,
      isFile: true,
      permissions: 0o755,
    };
    const isTried = (path: string): boolean => path !== folder && !path.endsWith('.key');
    const broken = openGroupKeys({
      files: flat((path) =>
        isTried(path) ? Promise.reject(new TypeError('planted')) : Promise.resolve(open),
      ),
      folder,
    });
    const { findings } = await valueOf(broken.create('default'));
    expect(findings[0]).not.toHaveProperty('isNote');
    expect(readdirSync(folder)).toEqual(['default.key']);
    const left = join(folder, 'tmp-0123');
    writeFileSync(left, '');
    utimesSync(left, 1, 1);
    const whole = flat(async (path) => {
      const facts = await nodeFiles.facts(path);
      return facts === null ? null : { ...facts, permissions: 0o755 };
    });
    await valueOf(
      openGroupKeys({ files: whole, folder }).load({ group: 'default', keyCheck: null }),
    );
    expect(readdirSync(folder)).toEqual(['default.key']);
  });

  test('that a kill left half made is taken away when the next one is made', async () => {
    await valueOf(keys.create('default'));
    const left = join(folder, 'tmp-0123');
    writeFileSync(left, readFileSync(fileOf('default')));
    utimesSync(left, 1, 1);
    await valueOf(keys.create('blue'));
    expect(readdirSync(folder)).toEqual(['blue.key', 'default.key']);
  });

  test('that could not be written whole is not there', async () => {
    const steps = await countSteps((files) =>
      valueOf(openGroupKeys({ files, folder: join(temporary.path, 'counted') }).create('a')),
    );
    expect(steps).toBeGreaterThan(5);
    for (let step = 0; step < steps; step += 1) {
      const here = join(temporary.path, `step-${step}`);
      const full = filesThatFail({ step, systemCode: 'ENOSPC' });
      const broken = openGroupKeys({ files: full, folder: here });
      expect((await failureOf(broken.create('a'))).code).toBe('DISK_FULL');
      const mended = openGroupKeys({ files: nodeFiles, folder: here });
      expect((await valueOf(mended.create('a'))).key).toHaveLength(32);
      expect(readdirSync(here)).toEqual(['a.key']);
    }
  });

  test('goes from one host to another as text', async () => {
    const made = await valueOf(keys.create('default'));
    const text = groupKeyText(made);
    const elsewhere = openGroupKeys({ files: nodeFiles, folder: join(temporary.path, 'there') });
    await valueOf(elsewhere.add(readGroupKey(text, 'standard input')));
    await valueOf(elsewhere.add(readGroupKey(text, 'standard input')));
    const found = await valueOf(elsewhere.load({ group: 'default', keyCheck: keyCheck(made.key) }));
    expect(hexOf(found.key)).toBe(hexOf(made.key));
  });

  test('is taken away again by who made it for nothing, and by nobody else', async () => {
    const made = await valueOf(keys.create('default'));
    const again = await valueOf(keys.create('default'));
    expect([made.isNew, again.isNew]).toEqual([true, false]);
    await valueOf(keys.discard({ group: 'default', key: new Uint8Array(32).fill(1) }));
    expect(await valueOf(keys.groups())).toEqual(['default']);
    await valueOf(keys.discard(made));
    await valueOf(keys.discard(made));
    expect(await valueOf(keys.groups())).toEqual([]);
  });

  test('does not replace another one', async () => {
    const made = await valueOf(keys.create('default'));
    const other = { group: 'default', key: new Uint8Array(32).fill(1) };
    expect((await failureOf(keys.add(other))).code).toBe('TARGET_EXISTS');
    const found = await valueOf(keys.load({ group: 'default', keyCheck: null }));
    expect(hexOf(found.key)).toBe(hexOf(made.key));
  });

  test('has no say over other files among the keys', async () => {
    mkdirSync(join(folder, 'fingerprints'), { recursive: true });
    writeFileSync(join(folder, '.key'), '');
    writeFileSync(join(folder, 'tmp-x'), '');
    expect(await valueOf(keys.groups())).toEqual([]);
  });
});

describe('the public check of a key', () => {
  test('is HKDF-SHA-256 of it under a label of its own, 16 bytes', () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => i);
    const expected = hkdfSync('sha256', key, new Uint8Array(0), 'pageledger key check v1', 16);
    expect(keyCheck(key)).toBe(Buffer.from(expected).toString('hex'));
  });

  test('differs for keys that differ in one bit', () => {
    const checks = Array.from({ length: 256 }, (_, bit) => {
      const key = new Uint8Array(32);
      key[bit >>> 3] = 1 << (bit & 7);
      return keyCheck(key);
    });
    expect(new Set([...checks, keyCheck(new Uint8Array(32))]).size).toBe(257);
  });
});

// File systems to lay a ledger on, each mounted for a test. Root and the programs are needed; what
// cannot be had here says why.

import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../../adapters/files/failures.ts';

const IMAGE_BYTES = 64 * 1024 * 1024;

/** A mounted file system. */
export interface Mounted {
  readonly folder: string;
  unmount(): void;
}

export class NotHere extends Error {}

/** Runs a program; NotHere with what it said where it fails. */
function must(program: string, ...words: string[]): string {
  const { error, status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' });
  if (error !== undefined) throw new NotHere(`there is no ${program}`);
  if (status !== 0) throw new NotHere(`${program}: ${stderr.trim().split('\n').at(-1)}`);
  return stdout.trim();
}

function imageIn(folder: string): string {
  const image = join(folder, 'image');
  writeFileSync(image, '');
  truncateSync(image, IMAGE_BYTES);
  return image;
}

function mountedAt(folder: string, after: () => void = () => undefined): Mounted {
  return {
    folder,
    unmount: () => {
      // What lies over it, and itself.
      for (const _ of [1, 2]) spawnSync('umount', ['--lazy', folder]);
      after();
    },
  };
}

function layers(folder: string): { readonly options: string; readonly merged: string } {
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(folder, name));
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) =>
    join(folder, name),
  );
  return { options: `lowerdir=${lower},upperdir=${upper},workdir=${work}`, merged: merged! };
}

function made(folder: string, name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
}

/** Each mounts itself somewhere in a folder of its own. */
export const FILE_SYSTEMS: Readonly<Record<string, (folder: string) => Mounted>> = {
  tmpfs: (folder) => {
    const at = made(folder, 'at');
    must('mount', '-t', 'tmpfs', '-o', `size=${IMAGE_BYTES}`, 'none', at);
    return mountedAt(at);
  },
  ext4: (folder) => onLoop(folder, 'ext4', 'mkfs.ext4', ['-q', '-F']),
  'exFAT (exfat-fuse)': (folder) => onLoop(folder, 'exfat-fuse', 'mkfs.exfat', []),
  'NTFS (ntfs-3g)': (folder) => {
    const image = imageIn(folder);
    const at = made(folder, 'at');
    must('mkntfs', '-F', '-Q', '-q', image);
    must('mount.ntfs-3g', image, at);
    return mountedAt(at);
  },
  'overlay, on tmpfs': (folder) => {
    const below = made(folder, 'below');
    must('mount', '-t', 'tmpfs', 'none', below);
    const { options, merged } = layers(below);
    must('mount', '-t', 'overlay', 'overlay', '-o', options, merged);
    return mountedAt(merged, () => spawnSync('umount', ['--lazy', below]));
  },
  'overlay (fuse-overlayfs)': (folder) => {
    const { options, merged } = layers(folder);
    must('fuse-overlayfs', '-o', options, merged);
    return mountedAt(merged);
  },
};

function onLoop(folder: string, type: string, make: string, options: readonly string[]): Mounted {
  const image = imageIn(folder);
  const at = made(folder, 'at');
  must(make, ...options, image);
  const device = must('losetup', '-f', '--show', image);
  const release = (): void => {
    spawnSync('losetup', ['-d', device]);
  };
  try {
    must('mount', '-t', type, device, at);
  } catch (error) {
    release();
    throw error;
  }
  return mountedAt(at, release);
}

/** Takes all room that is left, down to the last byte; gives the file that has it. */
export function fillUp({ folder }: Mounted): string {
  const path = join(folder, 'filler');
  const fd = openSync(path, 'w');
  try {
    for (let bytes = 2 ** 20; bytes >= 1;) {
      try {
        if (writeSync(fd, new Uint8Array(bytes)) < bytes) bytes >>= 1;
      } catch (thrown) {
        if (errnoOf(thrown) !== 'ENOSPC') throw thrown;
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(fd);
  }
  return path;
}

/** From here on nothing can be written there, by a mount over it that goes with it. */
export function makeReadOnly({ folder }: Mounted): void {
  must('mount', '--bind', folder, folder);
  must('mount', '-o', 'remount,bind,ro', folder);
}

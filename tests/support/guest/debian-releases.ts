// Packages of other releases of Debian than this machine's, as trees of files: apt is asked with lists of
// its own, and nothing of it is installed.

import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { guestCache, output, reasonOf, type FoundTree } from './debian-packages.ts';

const MIRROR = 'http://deb.debian.org/debian';
const KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';

export interface ReleaseRequest {
  /** What the tree is called in the cache. */
  readonly name: string;
  /** A release of Debian. */
  readonly suite: string;
  readonly packages: readonly string[];
  /** With what they need: programs to be run. Else the packages alone. */
  readonly isWhole: boolean;
}

/** Words by which apt knows a release, and nothing of what is installed here. */
function aptWords(folder: string, suite: string): readonly string[] {
  const sources = join(folder, 'sources.list');
  const [lists, archives] = [join(folder, 'lists'), join(folder, 'cache', 'archives')];
  for (const made of [lists, archives]) mkdirSync(join(made, 'partial'), { recursive: true });
  writeFileSync(sources, `deb [signed-by=${KEYS}] ${MIRROR} ${suite} main\n`);
  const options = {
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': lists,
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(folder, 'cache'),
    'Debug::NoLocking': 'true',
    'Acquire::Check-Valid-Until': 'false',
  };
  return Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

async function fetchInto(folder: string, request: ReleaseRequest): Promise<string> {
  const { suite, packages, isWhole } = request;
  // apt drops to a user of its own to download, who must be able to write there.
  chmodSync(folder, 0o777);
  const words = aptWords(folder, suite);
  for (const made of ['lists', 'cache', 'cache/archives'])
    for (const part of ['', 'partial']) {
      const path = join(folder, made, part);
      if (existsSync(path)) chmodSync(path, 0o777);
    }
  await output('apt-get', [...words, '-qq', 'update']);
  const only = ['-qq', '-y', '--no-install-recommends', '--download-only', 'install'];
  await output(
    'apt-get',
    [...words, ...(isWhole ? only : ['-qq', 'download']), ...packages],
    folder,
  );
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  for (const from of [folder, join(folder, 'cache', 'archives')])
    for (const file of readdirSync(from).filter((name) => name.endsWith('.deb')))
      await output('dpkg', ['-x', join(from, file), tree]);
  return tree;
}

/** The unpacked tree of some packages: from the cache, else fetched into it. */
export async function releaseTree(request: ReleaseRequest): Promise<FoundTree> {
  const kept = join(guestCache(), request.name);
  if (existsSync(kept)) return { tree: kept, reason: null };
  mkdirSync(guestCache(), { recursive: true });
  const folder = mkdtempSync(join(guestCache(), 'fetch-'));
  try {
    const tree = await fetchInto(folder, request);
    if (!existsSync(kept)) renameSync(tree, kept);
    return { tree: kept, reason: null };
  } catch (error) {
    return { tree: null, reason: `${request.name} could not be fetched (${reasonOf(error)})` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The image of a kernel from before Linux 6.0. */
export async function earlierKernel(): Promise<FoundTree> {
  const name = 'linux-image-5.10.0-30-cloud-amd64-unsigned';
  const found = await releaseTree({ name, suite: 'bullseye', packages: [name], isWhole: false });
  if (found.tree === null) return found;
  rmSync(join(found.tree, 'lib'), { recursive: true, force: true });
  const boot = join(found.tree, 'boot');
  const image = readdirSync(boot).find((file) => file.startsWith('vmlinuz-'));
  return { tree: join(boot, image!), reason: null };
}

/** A newer QEMU than this machine's, as a program of its own in `folder`; or why there is none. */
export async function newerQemu(folder: string): Promise<FoundTree> {
  const name = 'qemu-system-x86-trixie';
  const request = { name, suite: 'trixie', packages: ['qemu-system-x86'], isWhole: true };
  const found = await releaseTree(request);
  if (found.tree === null) return found;
  const { tree } = found;
  const program = join(folder, 'newer-qemu');
  const parts = ['seabios', 'qemu'].map((part) => `-L '${tree}/usr/share/${part}'`);
  // With the libraries of its own release, which are newer as well.
  const loader = `'${tree}/usr/lib64/ld-linux-x86-64.so.2'`;
  const libraries = `--library-path '${tree}/usr/lib/x86_64-linux-gnu'`;
  const words = [loader, libraries, `'${tree}/usr/bin/qemu-system-x86_64'`, ...parts, '"$@"'];
  writeFileSync(program, `#!/bin/sh\nexec ${words.join(' ')}\n`, { mode: 0o755 });
  return { tree: program, reason: null };
}

// Debian's packages as trees of files, without installing them: fetched with apt-get, unpacked with
// dpkg, kept in the cache folder beside the demonstration's kernel. A machine without apt-get, dpkg or
// a network gets a sentence that says what is missing.

import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync } from 'node:fs';
import { readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { ArchiveEntry } from '../../../adapters/guests/demo-guest/initramfs.ts';
import { programPath } from '../../../adapters/guests/demo-guest/tools.ts';

const run = promisify(execFile);
const FETCH_TIMEOUT_MS = 300_000;
const OUTPUT_BYTES_MAX = 2 ** 26;

/** A tree of files, or why there is none. */
export type FoundTree =
  | { readonly tree: string; readonly reason: null }
  | { readonly tree: null; readonly reason: string };

export interface PackageRequest {
  /** What the tree is called in the cache. */
  readonly name: string;
  readonly roots: readonly string[];
  /** Which packages are followed as the roots' dependencies; the others are left out. */
  readonly follows: RegExp;
}

export const guestCache = (): string => {
  const base = process.env['XDG_CACHE_HOME'];
  const root = base === undefined || base === '' ? join(homedir(), '.cache') : base;
  return join(root, 'pageledger', 'guests');
};

export const reasonOf = (thrown: unknown): string => {
  const { stderr, message } = thrown as { stderr?: string; message?: string };
  const said = stderr === undefined || stderr === '' ? (message ?? String(thrown)) : stderr;
  return said.trim().split('\n').at(-1)!;
};

export async function output(
  program: string,
  words: readonly string[],
  cwd?: string,
): Promise<string> {
  const { stdout } = await run(program, words, {
    timeout: FETCH_TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
    ...(cwd === undefined ? {} : { cwd }),
  });
  return stdout;
}

const DEPENDENCY = /^ ( |\|)(?:Pre)?Depends: (\S+)/u;
const NEEDED_ONLY = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'];

/** What packages need themselves: of alternatives the first, and no virtual packages. */
async function dependenciesOf(packages: readonly string[]): Promise<readonly string[]> {
  const only = NEEDED_ONLY.map((kind) => `--no-${kind}`);
  const text = await output('apt-cache', ['depends', ...only, ...packages]);
  const needed: string[] = [];
  let isAlternative = false;
  for (const line of text.split('\n')) {
    const match = DEPENDENCY.exec(line);
    if (match === null) continue;
    if (!isAlternative && !match[2]!.startsWith('<')) needed.push(match[2]!);
    isAlternative = match[1] === '|';
  }
  return needed;
}

/** The roots and all that they need of what is followed, in order of their names. */
async function closureOf(request: PackageRequest): Promise<readonly string[]> {
  const all = new Set(request.roots);
  let fresh = [...request.roots];
  while (fresh.length > 0) {
    const needed = await dependenciesOf(fresh);
    fresh = [...new Set(needed)].filter((name) => request.follows.test(name) && !all.has(name));
    for (const name of fresh) all.add(name);
  }
  return [...all].toSorted();
}

/** Downloads packages and unpacks them into `folder`/tree. */
async function unpack(folder: string, packages: readonly string[]): Promise<string> {
  // apt-get download drops to a user of its own, who must be able to write there.
  chmodSync(folder, 0o777);
  await output('apt-get', ['download', '-qq', ...packages], folder);
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.deb')))
    await output('dpkg', ['-x', join(folder, name), tree]);
  return tree;
}

/** The packages' names, asked again after an update where apt's lists are absent or old. */
async function withLists<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch {
    await output('apt-get', ['update', '-qq']);
    return ask();
  }
}

/** The unpacked tree of some packages: from the cache, else fetched into it. */
export async function packageTree(request: PackageRequest): Promise<FoundTree> {
  const cache = guestCache();
  const kept = join(cache, request.name);
  if (existsSync(kept)) return { tree: kept, reason: null };
  for (const program of ['apt-get', 'dpkg'])
    if (programPath(program) === null)
      return { tree: null, reason: `${program} is not here to fetch ${request.name} with` };
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'fetch-'));
  try {
    const tree = await withLists(async () => {
      rmSync(join(folder, 'tree'), { recursive: true, force: true });
      return unpack(folder, await closureOf(request));
    });
    // A rename, so that a tree that is there is whole; another process may have been quicker.
    if (!existsSync(kept)) renameSync(tree, kept);
    return { tree: kept, reason: null };
  } catch (error) {
    return { tree: null, reason: `${request.name} could not be fetched (${reasonOf(error)})` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What no guest reads: documentation, translations, tests, tables of foreign scripts. */
const UNREAD = [
  /^(?:boot|etc|var|usr\/include)$/u,
  /^usr\/share\/(?:doc|man|info|locale|lintian|bug|gcc|gdb|pixmaps|python3)$/u,
  /\/(?:gconv|test|tests|idlelib|ensurepip|lib2to3|pydoc_data|__pycache__|pod|CORE|CPAN|unicore)$/u,
  /\/(?:Encode\/(?:JP|KR|CN|TW)|Unicode\/Collate|Module\/CoreList\.pm|Devel\/PPPort\.pm)$/u,
];

/** The files of a tree as members of an archive; `isLeftOut` by their path in the tree. */
export function* treeEntries(
  tree: string,
  isLeftOut: (path: string) => boolean = () => false,
): Generator<ArchiveEntry> {
  const folders = [''];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const members = readdirSync(join(tree, folder), { withFileTypes: true });
    for (const member of members.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, member.name);
      if (UNREAD.some((unread) => unread.test(path)) || isLeftOut(path)) continue;
      const whole = join(tree, path);
      if (member.isSymbolicLink()) yield { path, kind: 'link', content: readlinkSync(whole) };
      else if (member.isDirectory()) {
        yield { path, kind: 'folder' };
        folders.push(path);
      } else if (member.isFile()) {
        const mode = statSync(whole).mode & 0o777;
        yield { path, kind: 'file', content: readFileSync(whole), mode };
      }
    }
  }
}

/** A kernel itself; a metapackage's name has fewer numbers. */
const KERNEL_PACKAGE = /^linux-image-\d+\.\d+\.\d+\S*-cloud-amd64$/u;
const KERNEL_SEARCH = ['search', '--names-only', '^linux-image-[0-9].*-cloud-amd64$'];

/** Kernels of another version than `own`, best first: of another series, then newest. */
function otherKernels(names: readonly string[], own: string): readonly string[] {
  const series = /^\d+\.\d+/u.exec(own)?.[0] ?? own;
  const isOfSeries = (name: string): boolean => name.startsWith(`linux-image-${series}.`);
  const newest = names
    .filter((name) => KERNEL_PACKAGE.test(name) && name !== `linux-image-${own}`)
    .toSorted((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  return [...newest.filter((name) => !isOfSeries(name)), ...newest.filter(isOfSeries)];
}

async function otherKernelPackage(own: string): Promise<string> {
  const kept = existsSync(guestCache()) ? otherKernels(readdirSync(guestCache()), own) : [];
  if (kept.length > 0) return kept[0]!;
  return withLists(async () => {
    const listed = (await output('apt-cache', KERNEL_SEARCH)).split('\n');
    const [name] = otherKernels(
      listed.map((line) => line.split(' ')[0]!),
      own,
    );
    if (name === undefined) throw new TypeError(`apt knows no kernel but ${own}`);
    return name;
  });
}

/** The image of a kernel of Debian's, of another version than the one at `kernel`. */
export async function otherKernel(kernel: string): Promise<FoundTree> {
  let name: string;
  try {
    name = await otherKernelPackage(basename(kernel).replace(/^vmlinuz-/u, ''));
  } catch (error) {
    return { tree: null, reason: `no second kernel is to be had (${reasonOf(error)})` };
  }
  const found = await packageTree({ name, roots: [name], follows: /^$/u });
  if (found.tree === null) return found;
  // Its modules, most of the package, are of no use here.
  rmSync(join(found.tree, 'lib'), { recursive: true, force: true });
  const image = readdirSync(join(found.tree, 'boot')).find((file) => file.startsWith('vmlinuz-'));
  return image === undefined
    ? { tree: null, reason: `package ${name} holds no kernel` }
    : { tree: join(found.tree, 'boot', image), reason: null };
}

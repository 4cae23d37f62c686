// A bundler cuts a program into chunks that are loaded when they are needed as modules of the language
// only, and Node.js takes a third of what a small question costs to load those. This makes CommonJS of
// them. What a chunk takes of another one is a constant in it: chunks do not import each other in
// circles, and nothing that is exported is assigned to later.

/** An import at once: what of it, and where from. */
const IMPORT = /(?<=^|[;}\n])import(?:([^"'()]+?)from)?"([^"]+)";/gu;
/** What a chunk exports, which is the last that is said in it. */
const EXPORT = /(?<=^|[;}\n])export\{([^}]*)\};\s*$/u;
/** What is needed later as CommonJS: of ours, of Node.js, or a package that is that as well. */
const AS_COMMON_JS = /^(?:\.\/|node:|koffi$)/u;
/** An import of what is needed later. */
const LATER = /\bimport\("([^"]+)"\)/gu;
const HASHBANG = /^#!.*\n/u;

/** `a as b` in words of a list, as pairs. */
const renamed = (list) =>
  list
    .split(',')
    .filter((word) => word !== '')
    .map((word) => word.split(' as '))
    .map(([name, as = name]) => [name, as]);

const property = ([name, as]) => (name === as ? name : `${name}:${as}`);

/** The statement that stands for an import. */
function required(clause, path) {
  const module = `require(${JSON.stringify(path)})`;
  if (clause === undefined) return `${module};`;
  const [, one, whole, list] = /^([\w$]+)?(?:\*as ([\w$]+))?(?:,?\{(.*)\})?$/u.exec(clause) ?? [];
  if (list === undefined && (one ?? whole) === undefined)
    throw new TypeError(`an import of another form: ${clause}`);
  return [
    ...[one, whole].filter((name) => name !== undefined).map((name) => `const ${name}=${module};`),
    ...(list === undefined ? [] : [`const{${renamed(list).map(property).join()}}=${module};`]),
  ].join('');
}

/** Fails where a chunk was read otherwise than the bundler wrote it. */
function compare(what, found, written) {
  const [one, other] = [new Set(found), new Set(written)];
  if (one.size === other.size && [...one].every((name) => other.has(name))) return;
  const [told, read] = [[...other].join(), [...one].join()];
  throw new TypeError(`${what}: ${told} were written, and ${read} were found`);
}

/** Fails where chunks import each other in a circle: one would take what the other has not made yet. */
export function assertNoCircles(outputs) {
  const done = new Set();
  const visit = (path, above) => {
    if (above.includes(path)) throw new TypeError(`chunks in a circle: ${above.join(', ')}`);
    if (done.has(path) || outputs[path] === undefined) return;
    for (const { path: below, kind } of outputs[path].imports)
      if (kind === 'import-statement') visit(below, [...above, path]);
    done.add(path);
  };
  for (const path of Object.keys(outputs)) visit(path, []);
}

/**
 * A chunk as CommonJS.
 *
 * @param text the chunk as esbuild writes it, without blanks that nothing needs
 * @param told what esbuild's metafile says of it
 */
export function asCommonJs(text, told) {
  const imports = [...text.matchAll(IMPORT)];
  const [, exported = ''] = EXPORT.exec(text) ?? [];
  const isCommonJs = (path) => AS_COMMON_JS.test(path);
  const later = [...text.matchAll(LATER)].map(([, path]) => path).filter(isCommonJs);
  const asked = (kind) => told.imports.filter((one) => one.kind === kind).map(({ path }) => path);
  const inFolder = (paths) => paths.map((path) => path.replace(/^dist\/bin\//u, './'));
  compare(
    'imports',
    imports.map(([, , path]) => path),
    inFolder(asked('import-statement')),
  );
  compare(
    'exports',
    renamed(exported).map(([, as]) => as),
    told.exports,
  );
  const laters = inFolder(asked('dynamic-import')).filter(isCommonJs);
  compare('imports of what is needed later', later, laters);
  const [hashbang = ''] = HASHBANG.exec(text) ?? [];
  const rest = text
    .slice(hashbang.length)
    .replace(IMPORT, '')
    .replace(EXPORT, '')
    .replace(LATER, (whole, path) =>
      isCommonJs(path) ? `Promise.resolve().then(()=>require(${JSON.stringify(path)}))` : whole,
    );
  const first = imports.map(([, clause, path]) => required(clause?.trim(), path)).join('');
  const last = `module.exports={${renamed(exported)
    .map(([name, as]) => property([as, name]))
    .join()}};`;
  return `${hashbang}"use strict";${first}\n${rest}${exported === '' ? '' : `\n${last}`}\n`;
}

// A Node.js in which what calls the system for us cannot be loaded.

import { spawnSync } from 'node:child_process';

/** To be imported first. */
const HOOK = `data:text/javascript,${encodeURIComponent(`
  import { register } from 'node:module';
  const hooks = \`export const resolve = (name, context, next) => {
    if (name === 'koffi') throw new Error('no koffi here');
    return next(name, context);
  };\`;
  register('data:text/javascript,' + encodeURIComponent(hooks));
`)}`;

/** What a module's text prints. */
export const printedWithoutKoffi = (script: string): string =>
  spawnSync(process.execPath, ['--import', HOOK, '--input-type=module', '-e', script], {
    encoding: 'utf8',
  }).stdout;

// WebAssembly modules that lie beside this file, compiled when they are first needed: a worker thread is
// given the kernels, and what else its process has compiled by then.

import { readFileSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

export type ModuleName = 'kernels' | 'zstd';

/** Modules by name. */
type CompiledModules = Readonly<Partial<Record<ModuleName, object>>>;

/** What a worker thread that works on pages is started with. */
export interface PageThreadData {
  readonly modules: CompiledModules;
}

/** The part of the WebAssembly interface used here; the project's type libraries have none. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: object };
};

const isPageThreadData = (data: unknown): data is PageThreadData =>
  typeof data === 'object' && data !== null && 'modules' in data;

const compiled: Partial<Record<ModuleName, object>> = isPageThreadData(workerData)
  ? { ...workerData.modules }
  : {};

const moduleOf = (name: ModuleName): object =>
  (compiled[name] ??= new WebAssembly.Module(
    readFileSync(new URL(`./${name}.wasm`, import.meta.url)),
  ));

/** What a worker thread is started with. */
export function pageThreadData(): PageThreadData {
  moduleOf('kernels');
  return { modules: compiled };
}

/** A new instance of a module, with a memory of its own. */
export const instanceOf = (name: ModuleName, imports: object): object =>
  new WebAssembly.Instance(moduleOf(name), imports).exports;

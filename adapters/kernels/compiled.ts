// WebAssembly modules that lie beside this file, compiled when they are first needed and once a process:
// a worker thread is given what its process has compiled.

import { readFileSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

export type ModuleName = 'kernels' | 'zstd';

/** Modules by name. */
export type CompiledModules = Readonly<Record<ModuleName, object>>;

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

/** All modules, for a worker thread. */
export const compiledModules = (): CompiledModules => ({
  kernels: moduleOf('kernels'),
  zstd: moduleOf('zstd'),
});

/** A new instance of a module, with a memory of its own. */
export const instanceOf = (name: ModuleName, imports: object): object =>
  new WebAssembly.Instance(moduleOf(name), imports).exports;

// A process that answers commands one after the other, each as a process of its own would: with its words,
// its environment, what it prints and its exit code. It runs what is shipped: the module that the entry
// loads, which runs the words of its process when it is loaded, and is loaded anew for each.

import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** A command that is to be run. */
export interface Asked {
  readonly words: readonly string[];
  /** All of it, as a process would be started with. */
  readonly environment: NodeJS.ProcessEnv;
}

/** What came of it. */
export interface Answer {
  readonly exitCode: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
  /** Bytes of memory that this process holds. */
  readonly heldBytes: number;
}

/** What is printed, which nobody waits for. */
class Printed extends Writable {
  readonly #parts: Buffer[] = [];

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // Who writes may use its buffer anew.
    this.#parts.push(Buffer.from(bytes));
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

const BUNDLED = fileURLToPath(new URL('../../../bin/', import.meta.url));
const MAIN = join(BUNDLED, 'main.js');
/** What the entry loads. */
const RUNNER = join(
  BUNDLED,
  readdirSync(BUNDLED).find((name) => /^run-\w+\.js$/u.test(name))!,
);
const load = createRequire(import.meta.url);

const exitCode = (): number => Number(process.exitCode ?? 0);

function takeEnvironment(environment: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env))
    if (environment[name] === undefined) delete process.env[name];
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined && process.env[name] !== value) process.env[name] = value;
}

/** Those that listen to the process now, by event. */
const listeners = (): Map<string | symbol, readonly unknown[]> =>
  new Map(process.eventNames().map((event) => [event, process.rawListeners(event as 'exit')]));

/** Ends what listens since then, as the end of a process does: what waits for the end hears of it. */
function endListeners(before: ReturnType<typeof listeners>): void {
  for (const [event, all] of listeners())
    for (const listener of all as ((code: number) => void)[]) {
      if (before.get(event)?.includes(listener) === true) continue;
      if (event === 'exit') listener.call(process, exitCode());
      process.removeListener(event, listener);
    }
}

async function answerTo({ words, environment }: Asked): Promise<Answer> {
  const [stdout, stderr] = [new Printed(), new Printed()];
  Object.defineProperty(process, 'stdout', { value: stdout, configurable: true });
  Object.defineProperty(process, 'stderr', { value: stderr, configurable: true });
  const before = listeners();
  takeEnvironment(environment);
  process.argv = [process.execPath, MAIN, ...words];
  process.exitCode = undefined;
  delete load.cache[RUNNER];
  const { ended } = load(RUNNER) as { readonly ended: Promise<void> };
  await ended;
  endListeners(before);
  return {
    exitCode: exitCode(),
    stdout: stdout.bytes,
    stderr: stderr.bytes.toString('utf8'),
    heldBytes: process.memoryUsage.rss(),
  };
}

process.on('message', (asked: Asked) => {
  void answerTo(asked).then((answer) => process.send!(answer));
});
process.once('disconnect', () => process.exit());

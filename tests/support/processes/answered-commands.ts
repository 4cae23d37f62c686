// Commands that are answered by a process that is there already: starting one of its own for each takes
// longer than most of them, and tests ask thousands.

import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Answer, Asked } from './command-host.ts';
import { IS_LONG } from '../long-run.ts';

/** What is bundled is asked; without that each command has a process. */
const IS_BUNDLED = existsSync(new URL('../../../bin/main.js', import.meta.url));
const HOST = fileURLToPath(new URL('command-host.js', import.meta.url));
/** Of commands that run at the same time; more have processes of their own. */
const HOSTS_MAX = 2;
/** A host that holds more is left, and another one started. */
const HELD_BYTES_MAX = 512 * 1024 * 1024;

/** Commands that read a ledger, or do work in it and end: no guests, no servers, no input. */
const ANSWERED: ReadonlySet<string> = new Set(
  `captures checkpoint checkpoints clones compact copy diff dmesg drop find forget head history init
  large-pages lease leases log owners patterns ps read restore retire sharing symbols values verify vms who`
    .split(/\s+/u)
    .concat(['group list', 'group export', 'record image', 'host list']),
);
const FAMILIES: readonly string[] = ['group', 'record', 'host'];
/** Global options with a value. */
const VALUED: readonly string[] = ['--ledger', '--page-store', '--patience', '--wait'];
/** Words with which a command goes on, asks a guest, is another one, or asks for the zone of its process. */
const OTHERS: readonly string[] = ['--', '--follow', '--qmp', '--help', 'add', 'import', '--local'];

/** Whether words are of a command that another process may answer. */
export function isAnswered(words: readonly string[]): boolean {
  if (words.some((word) => OTHERS.includes(word))) return false;
  let at = 0;
  while (words[at]?.startsWith('-') === true) at += VALUED.includes(words[at]!) ? 2 : 1;
  const [first = '', second = ''] = words.slice(at);
  const name = FAMILIES.includes(first) ? `${first} ${second}` : first;
  // An image of `-` is standard input.
  return ANSWERED.has(name) && !(first === 'record' && words.includes('-'));
}

class CommandHost {
  readonly #child: ChildProcess;
  #settle: { resolve: (answer: Answer) => void; reject: (error: Error) => void } | null = null;
  hasEnded = false;

  constructor() {
    this.#child = fork(HOST, { serialization: 'advanced', execArgv: [] });
    this.#child.on('message', (answer) => this.#settled()?.resolve(answer as Answer));
    this.#child.once('exit', (code, signal) => {
      this.hasEnded = true;
      this.#settled()?.reject(
        new TypeError(`the process that answers commands ended: ${code ?? signal}`),
      );
    });
    this.#wait(false);
  }

  /** Whether this process goes on for it: not when all tests are over. */
  #wait(isAsked: boolean): void {
    for (const each of [this.#child, this.#child.channel])
      if (isAsked) each?.ref();
      else each?.unref();
  }

  get isFree(): boolean {
    return this.#settle === null && !this.hasEnded;
  }

  #settled(): { resolve: (answer: Answer) => void; reject: (error: Error) => void } | null {
    const settle = this.#settle;
    this.#settle = null;
    this.#wait(false);
    return settle;
  }

  async answer(asked: Asked): Promise<Answer> {
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#wait(true);
      this.#child.send(asked);
    });
    if (answer.heldBytes > HELD_BYTES_MAX) {
      this.hasEnded = true;
      this.#child.kill();
    }
    return answer;
  }
}

let hosts: readonly CommandHost[] = [];

/** What comes of a command that another process may answer; null where it is to have one of its own. */
export function answered(asked: Asked): Promise<Answer> | null {
  // The long run meets each command as a shell does.
  if (IS_LONG || !IS_BUNDLED || !isAnswered(asked.words)) return null;
  // Node.js takes its own options as it starts.
  if (asked.environment['NODE_OPTIONS'] !== process.env['NODE_OPTIONS']) return null;
  hosts = hosts.filter(({ hasEnded }) => !hasEnded);
  let host = hosts.find(({ isFree }) => isFree);
  if (host === undefined) {
    if (hosts.length === HOSTS_MAX) return null;
    host = new CommandHost();
    hosts = [...hosts, host];
  }
  return host.answer(asked);
}

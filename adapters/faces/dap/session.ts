// What a client of the Debug Adapter Protocol is answered: a guest that stands at a moment of its
// history. A step is a capture, data breakpoints are on ranges of addresses, and running goes either way
// to where one of them was another. One request is answered after the other; `pause` and `disconnect`
// end a search that is under way.

import { hexAddress, isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { DebuggedVm } from '../../wiring/time-travel/debugged-vm.ts';
import {
  firstMet,
  goToEnd,
  isOfWhoever,
  step,
  WATCHED_BYTES_MAX,
  WATCHES_MAX,
  type Direction,
} from '../../wiring/time-travel/running.ts';
import type { Stretch } from '../../wiring/time-travel/vm-over-time.ts';
import { lostText, momentText } from '../gdb/monitor.ts';
import { evaluated } from './evaluated.ts';
import type { Request } from './frames.ts';
import { ARGUMENTS, argumentsOf, Unanswerable } from './requests.ts';
import { addressIn, frameText, scopesOf, variablesIn } from './views.ts';

/** Bytes that one answer has of memory at most. */
const READ_BYTES_MAX = 2 ** 18;
const DATA_BYTES = 8;
/** A data breakpoint as it is named to clients. */
const DATA_ID = /^0x([0-9a-f]{1,16}),(\d{1,7})$/u;
/** The one frame of each CPU has the number of its thread. */
const FRAMES = 1;

const CAPABILITIES = {
  supportsConfigurationDoneRequest: true,
  supportsStepBack: true,
  supportsReadMemoryRequest: true,
  supportsDataBreakpoints: true,
  supportsDataBreakpointBytes: true,
  supportsEvaluateForHovers: true,
};

/** A message to a client, before it is numbered. */
export interface Sent {
  readonly type: 'response' | 'event';
  readonly [field: string]: unknown;
}

export interface SessionPorts {
  /** The VM that is to be debugged, at a point. */
  readonly open: (vm: string, at: string) => Promise<DebuggedVm>;
  readonly send: (message: Sent) => void;
}

interface DataBreakpoint extends Stretch {
  readonly id: number;
}

type Handler = (request: Request) => Promise<object | void> | object | void;

export class DapSession {
  readonly #ports: SessionPorts;
  #vm: DebuggedVm | null = null;
  #isConfigured = false;
  #watches: readonly DataBreakpoint[] = [];
  #abort = new AbortController();
  /** What is told once the request was answered. */
  #afterwards: Sent[] = [];
  isOver = false;

  constructor(ports: SessionPorts) {
    this.#ports = ports;
  }

  /** Ends a search that is under way, or that was asked for and has not begun. */
  interrupt(): void {
    this.#abort.abort();
  }

  /** All that was asked is answered: an interrupt was of that. */
  rest(): void {
    this.#abort = new AbortController();
  }

  /** The client is gone. */
  async end(): Promise<void> {
    await this.#vm?.end();
  }

  /** Answers a request. It fails by nothing that a client asks. */
  async answer(request: Request): Promise<void> {
    const { command, seq } = request;
    const said = { type: 'response', request_seq: seq, command } as const;
    try {
      const handler = Object.hasOwn(this.#handlers, command) ? this.#handlers[command] : undefined;
      if (handler === undefined)
        throw new Unanswerable(`${command.slice(0, 64)} is not known here`);
      const body = await handler(request);
      this.#ports.send({ ...said, success: true, ...(body === undefined ? {} : { body }) });
    } catch (thrown) {
      if (!isTold(thrown)) throw thrown;
      const { message } = thrown;
      const error = { id: 1, format: message.replaceAll(/[{}]/gu, '_'), showUser: true };
      this.#ports.send({ ...said, success: false, message, body: { error } });
    }
    for (const event of this.#afterwards.splice(0)) this.#ports.send(event);
  }

  /** Runs what was begun by a request, after its answer. */
  async goOn(): Promise<void> {
    const run = this.#pending;
    this.#pending = null;
    if (run === null) return;
    try {
      await run();
    } catch (thrown) {
      if (!isTold(thrown)) throw thrown;
      this.#print(thrown.message, 'stderr');
      this.#stopped('exception', thrown.message);
    }
    for (const event of this.#afterwards.splice(0)) this.#ports.send(event);
  }

  #pending: (() => Promise<void>) | null = null;

  get #debugged(): DebuggedVm {
    if (this.#vm === null) throw new Unanswerable('no VM is debugged yet: attach comes first');
    return this.#vm;
  }

  #event(event: string, body?: object): void {
    this.#afterwards.push({ type: 'event', event, ...(body === undefined ? {} : { body }) });
  }

  #print(text: string, category = 'console'): void {
    this.#event('output', { category, output: text.endsWith('\n') ? text : `${text}\n` });
  }

  #stopped(reason: string, text: string, hitBreakpointIds: readonly number[] = []): void {
    const description = `${text}: ${momentText(this.#debugged)}`;
    const of = { threadId: 1, allThreadsStopped: true, hitBreakpointIds };
    this.#event('stopped', { reason, description, text: description, ...of });
  }

  readonly #handlers: Readonly<Record<string, Handler>> = {
    initialize: () => CAPABILITIES,
    attach: (request) => this.#attach(request),
    launch: (request) => this.#attach(request),
    configurationDone: () => this.#configured(),
    setBreakpoints: () => ({ breakpoints: [] }),
    setFunctionBreakpoints: () => ({ breakpoints: [] }),
    setExceptionBreakpoints: () => ({ breakpoints: [] }),
    threads: () => this.#threads(),
    stackTrace: (request) => this.#stackTrace(request),
    scopes: (request) => this.#scopes(request),
    variables: (request) => this.#variables(request),
    readMemory: (request) => this.#readMemory(request),
    dataBreakpointInfo: (request) => this.#dataBreakpointInfo(request),
    setDataBreakpoints: (request) => this.#setDataBreakpoints(request),
    continue: () => this.#run('forwards'),
    reverseContinue: () => this.#run('backwards'),
    next: () => this.#step('forwards'),
    stepIn: () => this.#step('forwards'),
    stepOut: () => this.#step('forwards'),
    stepBack: () => this.#step('backwards'),
    pause: () => undefined,
    evaluate: (request) => this.#evaluate(request),
    disconnect: () => {
      this.isOver = true;
    },
  };

  async #attach({ arguments: given }: Request): Promise<void> {
    if (this.#vm !== null) throw new Unanswerable('a VM is debugged already: disconnect first');
    const { vm, at = 'latest' } = argumentsOf(ARGUMENTS.attach, given);
    this.#vm = await this.#ports.open(vm, at);
    this.#event('initialized');
  }

  #configured(): void {
    if (this.#isConfigured) return;
    this.#stopped('entry', 'attached');
    this.#isConfigured = true;
  }

  async #threads(): Promise<object> {
    const found = await this.#debugged.cpus();
    const of = found === null ? 'no registers' : `registers of @${found.capture}`;
    const count = Math.max(found?.cpus.length ?? 0, 1);
    return {
      threads: Array.from({ length: count }, (_, i) => ({ id: i + 1, name: `CPU ${i}, ${of}` })),
    };
  }

  async #stackTrace({ arguments: given }: Request): Promise<object> {
    const { threadId } = argumentsOf(ARGUMENTS.stackTrace, given);
    const { name, pc } = await frameText(this.#debugged, threadId - 1);
    const pointer = pc === null ? {} : { instructionPointerReference: hexAddress(pc) };
    const frame = { id: threadId, name, line: 0, column: 0, ...pointer };
    return { stackFrames: [frame], totalFrames: FRAMES };
  }

  #scopes({ arguments: given }: Request): object {
    return { scopes: scopesOf(argumentsOf(ARGUMENTS.scopes, given).frameId - 1) };
  }

  async #variables({ arguments: given }: Request): Promise<object> {
    const { variablesReference } = argumentsOf(ARGUMENTS.variables, given);
    return { variables: await variablesIn(this.#debugged, variablesReference) };
  }

  async #readMemory({ arguments: given }: Request): Promise<object> {
    const { memoryReference, offset = 0, count } = argumentsOf(ARGUMENTS.readMemory, given);
    const vm = this.#debugged;
    const address = BigInt.asUintN(64, addressIn(vm, memoryReference) + BigInt(offset));
    if (count < 0) throw new Unanswerable('a count of bytes from 0 was expected');
    const length = Math.min(count, READ_BYTES_MAX);
    const bytes = await vm.read({ address, length }, await vm.spaceAt(0));
    const missing = length - bytes.length;
    return {
      address: hexAddress(address),
      data: Buffer.from(bytes).toString('base64'),
      ...(missing === 0 ? {} : { unreadableBytes: missing }),
    };
  }

  async #dataBreakpointInfo({ arguments: given }: Request): Promise<object> {
    const {
      name,
      bytes = DATA_BYTES,
      variablesReference,
    } = argumentsOf(ARGUMENTS.dataBreakpointInfo, given);
    if (variablesReference !== undefined && variablesReference !== 0)
      return { dataId: null, description: `${name} is a register: what changes is memory` };
    if (bytes < 1 || bytes > WATCHED_BYTES_MAX)
      throw new Unanswerable(`1 to ${WATCHED_BYTES_MAX} bytes were expected`);
    const vm = this.#debugged;
    const address = addressIn(vm, name);
    if (isOfWhoever(await vm.spaceAt(0), address))
      return { dataId: null, description: 'which process is meant? evaluate: attach PID' };
    return {
      dataId: `${hexAddress(address)},${bytes}`,
      description: `${bytes} bytes at ${name}`,
      accessTypes: ['write'],
      canPersist: true,
    };
  }

  #setDataBreakpoints({ arguments: given }: Request): object {
    const { breakpoints } = argumentsOf(ARGUMENTS.setDataBreakpoints, given);
    if (breakpoints.length > WATCHES_MAX)
      throw new Unanswerable(`at most ${WATCHES_MAX} data breakpoints were expected`);
    const watches = breakpoints.map(({ dataId }, i): DataBreakpoint | null => {
      const found = DATA_ID.exec(dataId);
      const length = Number(found?.[2] ?? 0);
      if (found === null || length < 1 || length > WATCHED_BYTES_MAX) return null;
      return { id: i + 1, address: BigInt(`0x${found[1]!}`), length };
    });
    this.#watches = watches.filter((watch) => watch !== null);
    return {
      breakpoints: watches.map((watch, i) =>
        watch === null
          ? { id: i + 1, verified: false, message: 'dataBreakpointInfo names what can be watched' }
          : { id: i + 1, verified: true },
      ),
    };
  }

  #run(direction: Direction): object {
    void this.#debugged;
    this.#pending = () => this.#running(direction);
    return { allThreadsContinued: true };
  }

  async #running(direction: Direction): Promise<void> {
    const vm = this.#debugged;
    const { signal } = this.#abort;
    const lost = new Set<number>();
    const ways = { signal, onLost: (capture: number) => void lost.add(capture) };
    try {
      await vm.past.catchUp();
      const [watches, space] = [this.#watches, await vm.spaceAt(0)];
      const met = await firstMet(vm, { watches, space, direction, ways });
      if (lost.size > 0) this.#print(lostText(lost));
      if (met === null) {
        goToEnd(vm, direction);
        this.#stopped('step', ENDS[direction]);
        return;
      }
      vm.go(met.moment);
      this.#stopped('data breakpoint', `${hexAddress(met.watch.address)} is another`, [
        met.watch.id,
      ]);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
      this.#stopped('pause', 'interrupted');
    }
  }

  #step(direction: Direction): void {
    void this.#debugged;
    this.#pending = async () => {
      const isThere = await step(this.#debugged, direction);
      this.#stopped('step', isThere ? 'a capture' : ENDS[direction]);
    };
  }

  async #evaluate({ arguments: given }: Request): Promise<object> {
    const { expression, context = '' } = argumentsOf(ARGUMENTS.evaluate, given);
    const vm = this.#debugged;
    const before = vm.capture;
    const of = { expression, isAsked: context === 'repl', signal: this.#abort.signal };
    const result = await evaluated(vm, of);
    if (vm.capture !== before) this.#stopped('goto', 'went there');
    return { variablesReference: 0, ...result };
  }
}

const ENDS: Readonly<Record<Direction, string>> = {
  forwards: 'the newest capture',
  backwards: 'the oldest capture that is kept',
};

/** Whether a failure is told to the client: all others are ours. */
const isTold = (thrown: unknown): thrown is Error =>
  thrown instanceof Unanswerable ||
  isLedgerError(thrown) ||
  isRefused(thrown) ||
  isGuestFailure(thrown);

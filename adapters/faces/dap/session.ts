// What a client of the Debug Adapter Protocol is answered: a guest that stands at a moment of its
// history. A step is a capture, data breakpoints are on ranges of addresses, and running goes either way
// to where one of them was another.

import {
  InitializedEvent,
  OutputEvent,
  Source,
  StackFrame,
  StoppedEvent,
  Thread,
} from '@vscode/debugadapter';
import type { DebugProtocol as Dap } from '@vscode/debugprotocol';
import { hexAddress } from '../../../domain/guest/guest-failures.ts';
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
import { AnsweringSession } from './answering.ts';
import { evaluated } from './evaluated.ts';
import { HistorySource } from './history-source.ts';
import { ARGUMENTS, argumentsOf, Unanswerable } from './requests.ts';
import { addressIn, frameText, scopesOf, variablesIn } from './views.ts';

/** Bytes that one answer has of memory at most. */
const READ_BYTES_MAX = 2 ** 18;
const DATA_BYTES = 8;
/** Breakpoints of a source that are answered, each. */
const BREAKPOINTS_MAX = 1024;
/** A data breakpoint as it is named to clients. */
const DATA_ID = /^0x([0-9a-f]{1,16}),(\d{1,7})$/u;
/** The one frame of each CPU has the number of its thread. */
const FRAMES = 1;

const CAPABILITIES: Dap.Capabilities = {
  supportsConfigurationDoneRequest: true,
  supportsStepBack: true,
  supportsReadMemoryRequest: true,
  supportsDataBreakpoints: true,
  supportsDataBreakpointBytes: true,
  supportsEvaluateForHovers: true,
};

const ANSWERED = [
  'initialize',
  'attach',
  'launch',
  'configurationDone',
  'setBreakpoints',
  'setFunctionBreakpoints',
  'setExceptionBreakpoints',
  'threads',
  'stackTrace',
  'source',
  'scopes',
  'variables',
  'readMemory',
  'dataBreakpointInfo',
  'setDataBreakpoints',
  'continue',
  'reverseContinue',
  'next',
  'stepIn',
  'stepOut',
  'stepBack',
  'pause',
  'evaluate',
  'disconnect',
];

interface DataBreakpoint extends Stretch {
  readonly id: number;
}

export class DapSession extends AnsweringSession {
  /** Gives the VM that is to be debugged, at a point. */
  readonly #open: (vm: string, at: string) => Promise<DebuggedVm>;
  #vm: DebuggedVm | null = null;
  readonly #source = new HistorySource();
  #isConfigured = false;
  #watches: readonly DataBreakpoint[] = [];

  constructor(open: (vm: string, at: string) => Promise<DebuggedVm>) {
    super(ANSWERED);
    this.#open = open;
  }

  override async end(): Promise<void> {
    try {
      await super.end();
    } finally {
      await this.#vm?.end();
    }
  }

  get #debugged(): DebuggedVm {
    if (this.#vm === null) throw new Unanswerable('no VM is debugged yet: attach comes first');
    return this.#vm;
  }

  #print(text: string, category = 'console'): void {
    this.tell(new OutputEvent(text.endsWith('\n') ? text : `${text}\n`, category));
  }

  #stopped(reason: string, text: string, hitBreakpointIds: number[] = []): void {
    const description = `${text}: ${momentText(this.#debugged)}`;
    const event: Dap.StoppedEvent = new StoppedEvent(reason, 1, description);
    Object.assign(event.body, { description, allThreadsStopped: true, hitBreakpointIds });
    this.tell(event);
  }

  protected override failed(message: string): void {
    this.#print(message, 'stderr');
    this.#stopped('exception', message);
  }

  protected override initializeRequest(response: Dap.InitializeResponse): void {
    this.answer(response, () => CAPABILITIES);
  }

  protected override attachRequest(response: Dap.AttachResponse, given: unknown): void {
    this.answer(response, async () => {
      if (this.#vm !== null) throw new Unanswerable('a VM is debugged already: disconnect first');
      const { vm, at = 'latest' } = argumentsOf(ARGUMENTS.attach, given);
      this.#vm = await this.#open(vm, at);
      this.tell(new InitializedEvent());
    });
  }

  protected override launchRequest(response: Dap.LaunchResponse, given: unknown): void {
    this.attachRequest(response, given);
  }

  protected override configurationDoneRequest(response: Dap.ConfigurationDoneResponse): void {
    this.answer(response, () => {
      if (this.#isConfigured) return;
      this.#stopped('entry', 'attached');
      this.#isConfigured = true;
    });
  }

  protected override setBreakPointsRequest(
    response: Dap.SetBreakpointsResponse,
    given: unknown,
  ): void {
    this.answer(response, () => ({ breakpoints: refusedBreakpoints(given) }));
  }

  protected override setFunctionBreakPointsRequest(
    response: Dap.SetFunctionBreakpointsResponse,
    given: unknown,
  ): void {
    this.answer(response, () => ({ breakpoints: refusedBreakpoints(given) }));
  }

  protected override setExceptionBreakPointsRequest(
    response: Dap.SetExceptionBreakpointsResponse,
  ): void {
    this.answer(response, () => ({ breakpoints: [] }));
  }

  protected override threadsRequest(response: Dap.ThreadsResponse): void {
    this.answer(response, async () => {
      const found = await this.#debugged.cpus();
      const of = found === null ? 'no registers' : `registers of @${found.capture}`;
      const count = Math.max(found?.cpus.length ?? 0, 1);
      return {
        threads: Array.from({ length: count }, (_, i) => new Thread(i + 1, `CPU ${i}, ${of}`)),
      };
    });
  }

  protected override stackTraceRequest(response: Dap.StackTraceResponse, given: unknown): void {
    this.answer(response, async () => {
      const { threadId } = argumentsOf(ARGUMENTS.stackTrace, given);
      const { name, pc } = await frameText(this.#debugged, threadId - 1);
      const { line, ...told } = this.#source.lineOf(this.#debugged);
      const source = new Source(told.name, undefined, told.reference);
      const frame: Dap.StackFrame = new StackFrame(threadId, name, source, line, 1);
      if (pc !== null) frame.instructionPointerReference = hexAddress(pc);
      return { stackFrames: [frame], totalFrames: FRAMES };
    });
  }

  protected override sourceRequest(response: Dap.SourceResponse, given: unknown): void {
    this.answer(response, () => {
      const { sourceReference } = argumentsOf(ARGUMENTS.source, given);
      const { entry } = this.#debugged.past;
      return { content: this.#source.text(sourceReference, entry), mimeType: 'text/plain' };
    });
  }

  protected override scopesRequest(response: Dap.ScopesResponse, given: unknown): void {
    this.answer(response, () => ({
      scopes: scopesOf(argumentsOf(ARGUMENTS.scopes, given).frameId - 1),
    }));
  }

  protected override variablesRequest(response: Dap.VariablesResponse, given: unknown): void {
    this.answer(response, async () => {
      const { variablesReference } = argumentsOf(ARGUMENTS.variables, given);
      return { variables: await variablesIn(this.#debugged, variablesReference) };
    });
  }

  protected override readMemoryRequest(response: Dap.ReadMemoryResponse, given: unknown): void {
    this.answer(response, () => this.#read(given));
  }

  async #read(given: unknown): Promise<Dap.ReadMemoryResponse['body']> {
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

  protected override dataBreakpointInfoRequest(
    response: Dap.DataBreakpointInfoResponse,
    given: unknown,
  ): void {
    this.answer(response, () => this.#watchable(given));
  }

  async #watchable(given: unknown): Promise<Dap.DataBreakpointInfoResponse['body']> {
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

  protected override setDataBreakpointsRequest(
    response: Dap.SetDataBreakpointsResponse,
    given: unknown,
  ): void {
    this.answer(response, () => this.#setWatches(given));
  }

  #setWatches(given: unknown): Dap.SetDataBreakpointsResponse['body'] {
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

  protected override continueRequest(response: Dap.ContinueResponse): void {
    this.answer(response, () => {
      this.#run('forwards');
      return { allThreadsContinued: true };
    });
  }

  protected override reverseContinueRequest(response: Dap.ReverseContinueResponse): void {
    this.answer(response, () => this.#run('backwards'));
  }

  protected override nextRequest(response: Dap.NextResponse): void {
    this.answer(response, () => this.#step('forwards'));
  }

  protected override stepInRequest(response: Dap.StepInResponse): void {
    this.answer(response, () => this.#step('forwards'));
  }

  protected override stepOutRequest(response: Dap.StepOutResponse): void {
    this.answer(response, () => this.#step('forwards'));
  }

  protected override stepBackRequest(response: Dap.StepBackResponse): void {
    this.answer(response, () => this.#step('backwards'));
  }

  protected override pauseRequest(response: Dap.PauseResponse): void {
    this.answer(response, () => undefined);
  }

  protected override disconnectRequest(response: Dap.DisconnectResponse): void {
    this.answer(response, () => undefined);
  }

  protected override evaluateRequest(response: Dap.EvaluateResponse, given: unknown): void {
    this.answer(response, async () => {
      const { expression, context = '' } = argumentsOf(ARGUMENTS.evaluate, given);
      const vm = this.#debugged;
      const before = vm.capture;
      const of = { expression, isAsked: context === 'repl', signal: this.signal };
      const result = await evaluated(vm, of);
      if (vm.capture !== before) this.#stopped('goto', 'went there');
      return { variablesReference: 0, ...result };
    });
  }

  #run(direction: Direction): void {
    void this.#debugged;
    this.goOn(() => this.#running(direction));
  }

  async #running(direction: Direction): Promise<void> {
    const vm = this.#debugged;
    const { signal } = this;
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
    this.goOn(async () => {
      const isThere = await step(this.#debugged, direction);
      this.#stopped('step', isThere ? 'a capture' : ENDS[direction]);
    });
  }
}

/** Breakpoints on code, each of which is told that there is none. */
function refusedBreakpoints(given: unknown): Dap.Breakpoint[] {
  const { breakpoints = [] } = argumentsOf(ARGUMENTS.setBreakpoints, given);
  if (breakpoints.length > BREAKPOINTS_MAX)
    throw new Unanswerable(`at most ${BREAKPOINTS_MAX} breakpoints were expected`);
  const message = 'no code runs in a history: watch data';
  return breakpoints.map(() => ({ verified: false, message }));
}

const ENDS: Readonly<Record<Direction, string>> = {
  forwards: 'the newest capture',
  backwards: 'the oldest capture that is kept',
};

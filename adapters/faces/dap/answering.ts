// Requests of a client, one after the other, over the dispatch of `@vscode/debugadapter`: it numbers
// messages, makes their responses, and calls a method for each request. What is not answered here is
// refused: its own methods would say that it was done.

import { DebugSession, Response } from '@vscode/debugadapter';
import type { DebugProtocol } from '@vscode/debugprotocol';
import { isGuestFailure } from '../../../domain/guest/guest-failures.ts';
import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import { Turn } from '../../../domain/values/turn.ts';
import { Unanswerable } from './requests.ts';

/** Requests that end a search that is under way. */
const INTERRUPTS = new Set(['pause', 'disconnect', 'terminate']);
/** Longest name of a request that is told of. */
const NAME_MAX = 64;

/** Whether a failure is told to the client: all others are ours. */
const isTold = (thrown: unknown): thrown is Error =>
  thrown instanceof Unanswerable ||
  isLedgerError(thrown) ||
  isRefused(thrown) ||
  isGuestFailure(thrown);

/** Answers requests of these names. */
export class AnsweringSession extends DebugSession {
  readonly #answered: ReadonlySet<string>;
  readonly #turn = new Turn();
  #abort = new AbortController();
  /** What a request under way does before the next one has its turn. */
  #work: Promise<void> = Promise.resolve();
  /** What is told once the request was answered. */
  #afterwards: DebugProtocol.Event[] = [];
  /** What goes on once a request was answered. */
  #pending: (() => Promise<void>) | null = null;
  #failure: Error | null = null;
  #isOver = false;
  /** Requests that were not answered yet. */
  waiting = 0;

  constructor(answered: readonly string[]) {
    super();
    this.#answered = new Set(answered);
  }

  /** Ends a search that is under way, or that was asked for and has not begun. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The client is gone: what it waits for is ended. A failure of ours is met here. */
  async end(): Promise<void> {
    this.#abort.abort();
    await this.#turn.ended();
    if (this.#failure !== null) throw this.#failure;
  }

  protected override dispatchRequest(request: DebugProtocol.Request): void {
    this.waiting += 1;
    if (INTERRUPTS.has(request.command)) this.#abort.abort();
    void this.#turn.run(() => this.#take(request));
  }

  async #take(request: DebugProtocol.Request): Promise<void> {
    try {
      if (!this.#isOver && this.#failure === null) await this.#dispatch(request);
    } catch (thrown) {
      this.#failure = thrown instanceof Error ? thrown : new Error(String(thrown));
    } finally {
      this.waiting -= 1;
      // All that was asked is answered: an interrupt was of that.
      if (this.waiting === 0) this.#abort = new AbortController();
    }
  }

  async #dispatch(request: DebugProtocol.Request): Promise<void> {
    const { command } = request;
    if (this.#answered.has(command)) super.dispatchRequest(known(request));
    else
      this.answer(new Response(request), () => {
        throw new Unanswerable(`${command.slice(0, NAME_MAX)} is not known here`);
      });
    await this.#work;
    const goOn = this.#pending;
    this.#pending = null;
    if (goOn !== null) await this.#run(goOn);
    if (command === 'disconnect') this.#isOver = true;
  }

  async #run(goOn: () => Promise<void>): Promise<void> {
    try {
      await goOn();
    } catch (thrown) {
      if (!isTold(thrown)) throw thrown;
      this.failed(thrown.message);
    }
    this.#tellEvents();
  }

  /** Tells a client that what a request set going failed. */
  protected failed(_message: string): void {}

  /** Answers a request with what `work` gives, or with what it fails by. */
  protected answer<B>(
    response: DebugProtocol.Response & { body?: B },
    work: () => Promise<B | void> | B | void,
  ): void {
    this.#work = this.#answerWith(response, work);
  }

  async #answerWith<B>(
    response: DebugProtocol.Response & { body?: B },
    work: () => Promise<B | void> | B | void,
  ): Promise<void> {
    try {
      const body = await work();
      if (body !== undefined) response.body = body;
      this.sendResponse(response);
    } catch (thrown) {
      if (!isTold(thrown)) throw thrown;
      // Braces are for names of variables.
      const format = thrown.message.replaceAll(/[{}]/gu, '_');
      this.sendErrorResponse(response, { id: 1, format, showUser: true });
    }
    this.#tellEvents();
  }

  #tellEvents(): void {
    for (const event of this.#afterwards.splice(0)) this.sendEvent(event);
  }

  /** Tells of an event, after the answer to the request that is at its turn. */
  protected tell(event: DebugProtocol.Event): void {
    this.#afterwards.push(event);
  }

  /** Goes on with this after the answer to the request that is at its turn. */
  protected goOn(work: () => Promise<void>): void {
    this.#pending = work;
  }
}

/** A request with what the protocol says of arguments that were left out. */
function known(request: DebugProtocol.Request): DebugProtocol.Request {
  if (request.command !== 'initialize') return request;
  return { ...request, arguments: { pathFormat: 'path', ...request.arguments } };
}

// What a client and we agree on before it reads: which export, in which form answers come, and what may
// be asked of extents. One option is answered after another.

import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { failureRow } from '../rows/failure-rows.ts';
import { OptionData, type ClientMessage } from './client-messages.ts';
import { contextsNamed, hasContext, openContext, type Context } from './contexts.ts';
import type { ExportName, OpenExport } from './exports.ts';
import {
  CONTEXTS_MAX,
  EXPORT_FLAG,
  HANDSHAKE,
  INFO,
  OPTION,
  OPTION_REPLY,
  STRING_BYTES_MAX,
} from './protocol.ts';
import {
  blockSizeInfo,
  contextReply,
  exportInfo,
  oldExportReply,
  optionError,
  optionReply,
  serverReply,
  textInfo,
  type ExportFacts,
} from './replies.ts';

/** What is served, as a negotiation needs it. */
export interface OfferedExports {
  names(): Promise<readonly ExportName[]>;
  open(name: string): Promise<OpenExport>;
}

/** What was agreed on. */
export interface Agreed {
  readonly export: OpenExport;
  readonly isStructured: boolean;
  readonly contexts: readonly Context[];
}

/** What comes after a message: another one, commands, or nothing. */
export type Next =
  | { readonly _tag: 'options' }
  | { readonly _tag: 'commands'; readonly agreed: Agreed }
  /** The client begins anew, encrypted. */
  | { readonly _tag: 'secure' }
  | { readonly _tag: 'end' };

const OPTIONS: Next = { _tag: 'options' };
const END: Next = { _tag: 'end' };

/** Whether a connection is encrypted: never, not yet and nothing else is answered until it is, or now. */
export type Security = 'none' | 'to come' | 'there';

interface NamedQueries {
  readonly name: string;
  readonly queries: readonly string[];
}

function factsOf(
  { served, isFixed, isForWriting }: OpenExport,
  isStructured: boolean,
): ExportFacts {
  let flags = EXPORT_FLAG.hasFlags | EXPORT_FLAG.sendFlush;
  if (!isForWriting) flags |= EXPORT_FLAG.readOnly;
  if (isFixed) flags |= EXPORT_FLAG.canMultiConn;
  if (isStructured) flags |= EXPORT_FLAG.sendDf;
  return { sizeBytes: served.sizeBytes, flags };
}

/** Whether there is a context of a name; one of a point that is not there is left out. */
function isThere(name: string, opened: OpenExport): boolean {
  try {
    return hasContext(name, opened);
  } catch {
    return false;
  }
}

export class Negotiation {
  readonly #exports: OfferedExports;
  readonly #send: (bytes: Buffer) => Promise<void>;
  readonly #security: Security;
  #hasZeroes = true;
  #isStructured = false;
  /** The export that was named last, and the contexts that were set of it. */
  #open: { readonly asked: string; readonly export: OpenExport } | null = null;
  #contexts: readonly Context[] = [];

  constructor(exports: OfferedExports, send: (bytes: Buffer) => Promise<void>, security: Security) {
    this.#exports = exports;
    this.#send = send;
    this.#security = security;
  }

  /** Lets go of what was opened. */
  close(): void {
    this.#open?.export.close();
    this.#open = null;
  }

  /** Answers one message. */
  async take(message: ClientMessage): Promise<Next> {
    switch (message._tag) {
      case 'flags':
        this.#hasZeroes = (message.flags & HANDSHAKE.noZeroes) === 0;
        // A client that speaks an older form, or knows what we do not, is none that we can answer.
        return (message.flags & ~(HANDSHAKE.fixedNewstyle | HANDSHAKE.noZeroes)) === 0
          ? OPTIONS
          : END;
      case 'option':
        return this.#option(message.option, message.data);
      case 'option too big': {
        const why = `an option of ${message.lengthBytes} bytes is more than is taken`;
        await this.#send(optionError(message.option, OPTION_REPLY.tooBig, why));
        return END;
      }
      case 'broken':
      case 'request':
        return END;
      default:
        return message satisfies never;
    }
  }

  /** Encryption comes first, where it comes at all. */
  async #startTls(data: Buffer): Promise<Next> {
    const option = OPTION.startTls;
    if (data.length > 0) return this.#invalid(option, 'it takes no data');
    if (this.#security === 'there') return this.#invalid(option, 'it is encrypted already');
    await this.#send(optionReply(option, OPTION_REPLY.ack));
    return { _tag: 'secure' };
  }

  async #option(option: number, data: Buffer): Promise<Next> {
    if (option === OPTION.startTls && this.#security !== 'none') return this.#startTls(data);
    if (this.#security === 'to come' && option !== OPTION.abort) {
      // The oldest way to name an export knows no answer that is none.
      if (option === OPTION.exportName) return END;
      const why = "this server answers over TLS with its group's key alone";
      await this.#send(optionError(option, OPTION_REPLY.tlsRequired, why));
      return OPTIONS;
    }
    switch (option) {
      case OPTION.exportName:
        return this.#oldExport(data.toString('utf8'));
      case OPTION.abort:
        await this.#send(optionReply(option, OPTION_REPLY.ack));
        return END;
      case OPTION.list:
        return this.#list(data);
      case OPTION.info:
      case OPTION.go:
        return this.#info(option, data);
      case OPTION.structuredReply:
        if (data.length > 0) return this.#invalid(option, 'it takes no data');
        this.#isStructured = true;
        await this.#send(optionReply(option, OPTION_REPLY.ack));
        return OPTIONS;
      case OPTION.listMetaContext:
      case OPTION.setMetaContext:
        return this.#contextsOf(option, data);
      default:
        await this.#send(
          optionError(option, OPTION_REPLY.unsupported, `there is no option ${option}`),
        );
        return OPTIONS;
    }
  }

  async #invalid(option: number, why: string): Promise<Next> {
    await this.#send(optionError(option, OPTION_REPLY.invalid, `option ${option}: ${why}`));
    return OPTIONS;
  }

  /** Work on an export; what is not there, or cannot be had, is said to the client. */
  async #known(option: number, work: () => Promise<Next>): Promise<Next> {
    try {
      return await work();
    } catch (thrown) {
      const { message } = failureRow(thrown);
      // It is there, and not served as it is asked for: clients say so, most without the message.
      const isRefused = isLedgerError(thrown) && thrown.code === 'PAGE_UNKNOWN';
      const reply = isRefused ? OPTION_REPLY.policy : OPTION_REPLY.unknown;
      await this.#send(optionError(option, reply, message));
      return OPTIONS;
    }
  }

  /** The export of a name, opened once for options that follow each other. */
  async #opened(name: string): Promise<OpenExport> {
    if (this.#open?.asked === name) return this.#open.export;
    this.close();
    this.#contexts = [];
    this.#open = { asked: name, export: await this.#exports.open(name) };
    return this.#open.export;
  }

  #agreed(opened: OpenExport): Next {
    const agreed = {
      export: opened,
      isStructured: this.#isStructured,
      contexts: this.#contexts,
    };
    // It is closed by whoever goes on with it.
    this.#open = null;
    return { _tag: 'commands', agreed };
  }

  /** The oldest way to name an export: there is no way to say that it is not there. */
  async #oldExport(name: string): Promise<Next> {
    let opened: OpenExport;
    try {
      opened = await this.#opened(name);
      await opened.hold();
    } catch {
      return END;
    }
    const facts = factsOf(opened, this.#isStructured);
    await this.#send(oldExportReply(facts, this.#hasZeroes ? 'with zeroes' : 'without'));
    return this.#agreed(opened);
  }

  #list(data: Buffer): Promise<Next> {
    const option = OPTION.list;
    if (data.length > 0) return this.#invalid(option, 'it takes no data');
    return this.#known(option, async () => {
      for (const name of await this.#exports.names()) await this.#send(serverReply(option, name));
      await this.#send(optionReply(option, OPTION_REPLY.ack));
      return OPTIONS;
    });
  }

  #info(option: number, bytes: Buffer): Promise<Next> {
    const data = new OptionData(bytes);
    const name = data.string(STRING_BYTES_MAX);
    const count = data.u16();
    const asked = count === null ? null : data.u16s(count);
    if (name === null || asked === null || !data.isAtEnd)
      return this.#invalid(option, 'a name, a number of questions and the questions were expected');
    return this.#known(option, async () => {
      const opened = await this.#opened(name);
      if (option === OPTION.go) await opened.hold();
      await this.#send(exportInfo(option, factsOf(opened, this.#isStructured)));
      if (asked.includes(INFO.name)) await this.#send(textInfo(option, INFO.name, opened.name));
      if (asked.includes(INFO.description))
        await this.#send(textInfo(option, INFO.description, opened.description));
      if (asked.includes(INFO.blockSize)) await this.#send(blockSizeInfo(option));
      await this.#send(optionReply(option, OPTION_REPLY.ack));
      return option === OPTION.go ? this.#agreed(opened) : OPTIONS;
    });
  }

  #queriesIn(bytes: Buffer): NamedQueries | null {
    const data = new OptionData(bytes);
    const name = data.string(STRING_BYTES_MAX);
    const count = data.u32();
    if (name === null || count === null) return null;
    const queries: string[] = [];
    // A query has four bytes at least: what is claimed beyond the data ends here.
    while (queries.length < count) {
      const query = data.string(STRING_BYTES_MAX);
      if (query === null) return null;
      queries.push(query);
    }
    return data.isAtEnd ? { name, queries } : null;
  }

  #contextsOf(option: number, data: Buffer): Promise<Next> {
    const asked = this.#queriesIn(data);
    if (asked === null)
      return this.#invalid(option, 'a name, a number and names of contexts were expected');
    if (!this.#isStructured) return this.#invalid(option, 'structured replies come first');
    if (asked.queries.length > CONTEXTS_MAX)
      return this.#invalid(option, `at most ${CONTEXTS_MAX} contexts at once`);
    return this.#known(option, async () => {
      const opened = await this.#opened(asked.name);
      if (option === OPTION.listMetaContext) {
        const queries = asked.queries.length === 0 ? [''] : asked.queries;
        for (const query of queries) await this.#listContexts(query, opened);
      } else await this.#setContexts(asked.queries, opened);
      await this.#send(optionReply(option, OPTION_REPLY.ack));
      return OPTIONS;
    });
  }

  async #listContexts(query: string, opened: OpenExport): Promise<void> {
    for (const name of contextsNamed(query, opened))
      if (isThere(name, opened))
        await this.#send(contextReply(OPTION.listMetaContext, { id: 0, name }));
  }

  async #setContexts(names: readonly string[], opened: OpenExport): Promise<void> {
    const contexts: Context[] = [];
    for (const name of new Set(names)) {
      const context = await this.#context({ id: contexts.length + 1, name }, opened);
      if (context === null) continue;
      contexts.push(context);
      await this.#send(contextReply(OPTION.setMetaContext, context));
    }
    this.#contexts = contexts;
  }

  /** A context; null where it names nothing, or a point that is not there: then it is left out. */
  async #context(
    of: { readonly id: number; readonly name: string },
    opened: OpenExport,
  ): Promise<Context | null> {
    try {
      return await openContext(of, opened);
    } catch {
      return null;
    }
  }
}

// What a client of GDB's remote protocol is answered: a guest that stands, at a moment of its history,
// whose memory can be read and never written. Running it means going to the moment at which something
// that is watched was another.
//
// Backwards it stops before the write, at the capture that has it not yet; forwards behind it. So a
// client that reads the value after the stop finds the other one each time, both ways.

import { isLedgerError } from '../../../domain/values/ledger-error.ts';
import { isRefused } from '../../../domain/values/refused.ts';
import type { AddressSpace } from '../../wiring/time-travel/address-space.ts';
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
import { escapedText } from '../rows/escaped-text.ts';
import { lostText, runMonitor, wordsOf } from './monitor.ts';
import { PACKET_BYTES_MAX } from './packets.ts';
import {
  registerHex,
  registersHex,
  RIP,
  SEQ_NUMBER,
  TARGET_DESCRIPTION,
  type Shown,
} from './registers.ts';

/** Nothing lies there; it cannot be written; it is not understood. */
const NOT_THERE = 'E14';
const READ_ONLY = 'E01';
const BAD = 'E22';
/** Bytes that one answer has room for, two digits each. */
const READ_BYTES_MAX = PACKET_BYTES_MAX / 2 - 16;
const STOPPED = 'T05';
const INTERRUPTED = 'T02';

const FEATURES = [
  `PacketSize=${PACKET_BYTES_MAX.toString(16)}`,
  'QStartNoAckMode+',
  'qXfer:features:read+',
  'ReverseStep+',
  'ReverseContinue+',
  'vContSupported+',
].join(';');

interface Watch extends Stretch {
  /** As GDB numbers them: 2 writes, 4 any access. */
  readonly kind: number;
}

/** What a packet is answered, and whether the client goes. */
export interface Answer {
  /** Null: nothing. */
  readonly reply: string | null;
  readonly isLast?: boolean;
}

const hexText = (text: string): string => Buffer.from(text, 'utf8').toString('hex');

/** `ADDRESS,LENGTH` in hex. */
function stretchIn(text: string): Stretch | null {
  const found = /^([0-9a-f]{1,16}),([0-9a-f]{1,8})$/iu.exec(text);
  if (found === null) return null;
  return { address: BigInt(`0x${found[1]!}`), length: Number.parseInt(found[2]!, 16) };
}

export class GdbTarget {
  readonly #vm: DebuggedVm;
  readonly #console: (text: string) => void;
  #cpu = 0;
  #isPhysical = false;
  #watches: readonly Watch[] = [];
  #abort = new AbortController();

  /** `console` shows a text to the client while a packet is not answered yet. */
  constructor(vm: DebuggedVm, console: (text: string) => void) {
    this.#vm = vm;
    this.#console = console;
  }

  /** Ends a search that is under way, or that was asked for and has not begun. */
  interrupt(): void {
    this.#abort.abort();
  }

  /** All that was asked is answered: an interrupt was of that. */
  rest(): void {
    this.#abort = new AbortController();
  }

  /** The answer to a packet. Nothing that a client sends makes it fail. */
  async answer(payload: string): Promise<Answer> {
    try {
      if (payload === 'D' || payload.startsWith('D;')) return { reply: 'OK', isLast: true };
      if (payload.startsWith('vKill')) return { reply: 'OK', isLast: true };
      if (payload === 'k') return { reply: null, isLast: true };
      return { reply: await this.#replyTo(payload) };
    } catch (thrown) {
      if (!isLedgerError(thrown) && !isRefused(thrown)) throw thrown;
      // As digits are expected of memory, a sentence has no place there.
      return { reply: payload.startsWith('m') ? NOT_THERE : `E.${escapedText(thrown.message)}` };
    }
  }

  #replyTo(payload: string): string | Promise<string> {
    if (payload.startsWith('q') || payload.startsWith('Q')) return this.#query(payload);
    if (payload.startsWith('v')) return this.#named(payload);
    switch (payload.slice(0, 1)) {
      case '?':
        return this.#stopped(STOPPED);
      case 'g':
        return this.#shown().then(registersHex);
      case 'p':
        return this.#register(payload.slice(1));
      case 'P':
        return this.#writeRegister(payload.slice(1));
      case 'm':
        return this.#memory(payload.slice(1));
      case 'G':
      case 'M':
      case 'X':
        return READ_ONLY;
      case 'Z':
        return this.#watch(payload);
      case 'z':
        return this.#unwatch(payload);
      case 'H':
        return this.#chooseThread(payload.slice(2));
      case 'T':
        return this.#isThread(payload.slice(1));
      case 'c':
        return this.#run('forwards');
      case 's':
        return this.#step('forwards');
      case 'b':
        if (payload === 'bc') return this.#run('backwards');
        return payload === 'bs' ? this.#step('backwards') : '';
      default:
        return '';
    }
  }

  #query(payload: string): string | Promise<string> {
    if (payload.startsWith('qSupported')) return FEATURES;
    if (payload.startsWith('qXfer:features:read:')) return this.#description(payload);
    if (payload.startsWith('qRcmd,')) return this.#monitor(payload.slice('qRcmd,'.length));
    if (payload.startsWith('qThreadExtraInfo,'))
      return this.#threadText(payload.slice('qThreadExtraInfo,'.length));
    switch (payload) {
      case 'QStartNoAckMode':
        return 'OK';
      case 'qC':
        return `QC${(this.#cpu + 1).toString(16)}`;
      case 'qfThreadInfo':
        return this.#threads();
      case 'qsThreadInfo':
        return 'l';
      case 'qAttached':
        return '1';
      case 'qqemu.Supported':
        return 'PhyMemMode';
      case 'qqemu.PhyMemMode':
        return this.#isPhysical ? '1' : '0';
      case 'Qqemu.PhyMemMode:0':
      case 'Qqemu.PhyMemMode:1':
        this.#isPhysical = payload.endsWith('1');
        return 'OK';
      default:
        return '';
    }
  }

  #named(payload: string): string | Promise<string> {
    if (payload === 'vCont?') return 'vCont;c;C;s;S';
    const action = /^vCont;([cCsS])/u.exec(payload)?.[1]?.toLowerCase();
    if (action === 'c') return this.#run('forwards');
    if (action === 's') return this.#step('forwards');
    return '';
  }

  async #shown(): Promise<Shown> {
    const found = await this.#vm.cpus();
    return { cpu: found?.cpus[this.#cpu] ?? null, capture: this.#vm.capture };
  }

  async #space(): Promise<AddressSpace> {
    return this.#isPhysical ? { kind: 'physical' } : this.#vm.spaceAt(this.#cpu);
  }

  #description(payload: string): string {
    const found = /^qXfer:features:read:target\.xml:([0-9a-f]{1,8}),([0-9a-f]{1,8})$/iu.exec(
      payload,
    );
    if (found === null) return 'E00';
    const [from, length] = [Number.parseInt(found[1]!, 16), Number.parseInt(found[2]!, 16)];
    const part = TARGET_DESCRIPTION.slice(from, from + Math.min(length, PACKET_BYTES_MAX - 64));
    return `${from + part.length < TARGET_DESCRIPTION.length ? 'm' : 'l'}${part}`;
  }

  async #register(digits: string): Promise<string> {
    const number = /^[0-9a-f]{1,4}$/iu.test(digits) ? Number.parseInt(digits, 16) : -1;
    return registerHex(number, await this.#shown()) ?? BAD;
  }

  /** `seq` goes to a capture; no other can be written. */
  async #writeRegister(text: string): Promise<string> {
    const found = /^([0-9a-f]{1,4})=([0-9a-f]{16})$/iu.exec(text);
    if (found === null || Number.parseInt(found[1]!, 16) !== SEQ_NUMBER) return READ_ONLY;
    const capture = Buffer.from(found[2]!, 'hex').readBigUInt64LE();
    await this.#vm.goTo(`@${capture}`);
    return 'OK';
  }

  async #memory(text: string): Promise<string> {
    const stretch = stretchIn(text);
    if (stretch === null) return BAD;
    const length = Math.min(stretch.length, READ_BYTES_MAX);
    const bytes = await this.#vm.read({ ...stretch, length }, await this.#space());
    if (bytes.length === 0 && stretch.length > 0) return NOT_THERE;
    return Buffer.from(bytes).toString('hex');
  }

  #watchIn(payload: string): Watch | null {
    const kind = Number(payload[1]);
    const stretch = stretchIn(payload.slice(3));
    return stretch === null ? null : { ...stretch, kind };
  }

  async #watch(payload: string): Promise<string> {
    // Whoever reads a value leaves no trace in a history, and no instruction is in it.
    if (!/^Z[24],/u.test(payload)) return '';
    const watch = this.#watchIn(payload);
    if (watch === null) return BAD;
    if (watch.length === 0 || watch.length > WATCHED_BYTES_MAX) return BAD;
    if (this.#watches.length >= WATCHES_MAX) return BAD;
    const space = await this.#space();
    // Another process may run at the next capture, and the client reads by the addresses of that one.
    if (isOfWhoever(space, watch.address))
      return 'E.which process is meant? say: monitor attach PID';
    this.#watches = [...this.#watches.filter((each) => !isSameWatch(each, watch)), watch];
    return 'OK';
  }

  #unwatch(payload: string): string {
    if (!/^z[24],/u.test(payload)) return '';
    const watch = this.#watchIn(payload);
    if (watch === null) return BAD;
    this.#watches = this.#watches.filter((each) => !isSameWatch(each, watch));
    return 'OK';
  }

  async #count(): Promise<number> {
    return Math.max((await this.#vm.cpus())?.cpus.length ?? 0, 1);
  }

  async #chooseThread(text: string): Promise<string> {
    if (text === '-1' || text === '0') return 'OK';
    const cpu = await this.#threadIn(text);
    if (cpu === null) return BAD;
    this.#cpu = cpu;
    return 'OK';
  }

  /** The place of a thread's CPU among them; null: there is none. */
  async #threadIn(text: string): Promise<number | null> {
    const thread = /^[0-9a-f]{1,4}$/iu.test(text) ? Number.parseInt(text, 16) : 0;
    return thread < 1 || thread > (await this.#count()) ? null : thread - 1;
  }

  async #isThread(text: string): Promise<string> {
    return (await this.#threadIn(text)) === null ? BAD : 'OK';
  }

  async #threads(): Promise<string> {
    const count = await this.#count();
    return `m${Array.from({ length: count }, (_, i) => (i + 1).toString(16)).join(',')}`;
  }

  async #threadText(text: string): Promise<string> {
    const found = await this.#vm.cpus();
    const number = await this.#threadIn(text);
    if (number === null) return BAD;
    if (found === null) return hexText('no registers were recorded');
    return hexText(`CPU ${number}, registers of @${found.capture}`);
  }

  async #stopped(signal: string, why = ''): Promise<string> {
    const cpus = await this.#vm.cpus();
    this.#cpu = Math.min(this.#cpu, Math.max((cpus?.cpus.length ?? 1) - 1, 0));
    const shown = await this.#shown();
    const rip = shown.cpu === null ? '' : `${RIP.toString(16)}:${registerHex(RIP, shown)!};`;
    return `${signal}${rip}thread:${(this.#cpu + 1).toString(16)};${why}`;
  }

  #atEnd(direction: Direction): Promise<string> {
    const end = direction === 'forwards' ? 'end' : 'begin';
    return this.#stopped(STOPPED, `replaylog:${end};`);
  }

  async #step(direction: Direction): Promise<string> {
    return (await step(this.#vm, direction)) ? this.#stopped(STOPPED) : this.#atEnd(direction);
  }

  /** Goes to where something that is watched is another, or to the end. */
  async #run(direction: Direction): Promise<string> {
    const { signal } = this.#abort;
    const lost = new Set<number>();
    const ways = { signal, onLost: (capture: number) => void lost.add(capture) };
    try {
      await this.#vm.past.catchUp();
      const [watches, space] = [this.#watches, await this.#space()];
      const met = await firstMet(this.#vm, { watches, space, direction, ways });
      if (lost.size > 0) this.#console(lostText(lost));
      if (met === null) {
        goToEnd(this.#vm, direction);
        return await this.#atEnd(direction);
      }
      this.#vm.go(met.moment);
      const what = met.watch.kind === 4 ? 'awatch' : 'watch';
      return await this.#stopped(STOPPED, `${what}:${met.watch.address.toString(16)};`);
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
      return this.#stopped(INTERRUPTED);
    }
  }

  async #monitor(hex: string): Promise<string> {
    if (!/^(?:[0-9a-f]{2})*$/iu.test(hex)) return BAD;
    const line = Buffer.from(hex, 'hex').toString('utf8');
    const space = await this.#space();
    const asked = { ...wordsOf(line), space, signal: this.#abort.signal };
    for await (const text of runMonitor(this.#vm, asked)) this.#console(text);
    return 'OK';
  }
}

const isSameWatch = (a: Watch, b: Watch): boolean =>
  a.kind === b.kind && a.address === b.address && a.length === b.length;

// The command line that a guest was started with, made one that another QEMU can be started with beside
// it: what belongs to the guest that may still run (its sockets, files, windows, memory, process id) goes
// or is replaced, and what devices refer to keeps its id, so that they are the same devices. libvirt,
// Proxmox and people start guests in these ways.

import { statSync } from 'node:fs';
import { LedgerError } from '../../../domain/values/ledger-error.ts';
import { FLAGS, optionsOf, propertiesOf, type QemuOption } from './qemu-options.ts';

/** Options that go, with their value where they have one. */
const DROPPED = new Set(
  (
    'daemonize pidfile incoming loadvm preconfig S s gdb qmp qmp-pretty mon monitor D add-fd vnc spice ' +
    'nographic display curses sdl full-screen'
  ).split(' '),
);
/** Devices whose other end is a process or a device of the host, which cannot be had twice. */
const BOUND_DEVICE =
  /^(?:vfio-|vhost-|ivshmem-doorbell|usb-host|usb-redir|qxl|pci-proxy|x-remote)/u;
const SERIAL_DEVICE = /^(?:isa-serial|pci-serial|virtconsole|usb-serial|sclpconsole|spapr-vty)/u;
/** What a file of memory has that memory of QEMU's own has not. */
const FILE_PROPERTIES = [
  'mem-path',
  'share',
  'pmem',
  'align',
  'discard-data',
  'readonly',
  'rom',
  'offset',
];

type Properties = ReadonlyMap<string, string>;

/** A value as properties; what QEMU takes as JSON as well. */
function parsed(value: string): { readonly properties: Properties; readonly isJson: boolean } {
  if (!value.trimStart().startsWith('{')) return { properties: propertiesOf(value), isJson: false };
  try {
    const json: unknown = JSON.parse(value);
    const entries = Object.entries(typeof json === 'object' && json !== null ? json : {});
    const text = (held: unknown): string =>
      typeof held === 'string' ? held : JSON.stringify(held);
    return { properties: new Map(entries.map(([key, held]) => [key, text(held)])), isJson: true };
  } catch {
    return { properties: new Map(), isJson: false };
  }
}

/** The driver or type of a value: under its key, or as its first word. */
function kindOf(properties: Properties, key: string): string {
  const [first = '', value = ''] = properties.entries().next().value ?? [];
  return properties.get(key) ?? (value === '' ? first : '');
}

const escaped = (text: string): string => text.replaceAll(',', ',,');

const isFolder = (path: string): boolean =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Memory in a file of its own is QEMU's own memory: a shared file is that of the guest that runs. */
function memoryOf(value: string): string {
  const { properties, isJson } = parsed(value);
  const isFile = kindOf(properties, 'qom-type') === 'memory-backend-file';
  if (!isFile || isFolder(properties.get('mem-path') ?? '')) return value;
  const kept = [...properties].filter(
    ([key]) =>
      key !== 'qom-type' && key !== 'memory-backend-file' && !FILE_PROPERTIES.includes(key),
  );
  if (!isJson)
    return ['memory-backend-ram', ...kept.map(([key, held]) => `${key}=${escaped(held)}`)].join(
      ',',
    );
  const json: unknown = JSON.parse(value);
  const held = typeof json === 'object' && json !== null ? Object.entries(json) : [];
  const names = new Set(kept.map(([key]) => key));
  const left = held.filter(([key]) => names.has(key));
  return JSON.stringify({ 'qom-type': 'memory-backend-ram', ...Object.fromEntries(left) });
}

/** A network in user mode without ports of the host; another one as it is. */
function networkOf(value: string): string {
  const { properties, isJson } = parsed(value);
  if (isJson || kindOf(properties, 'type') !== 'user') return value;
  // A property may come several times: the text is cut, not the map.
  const isKept = (part: string): boolean => !/^(?:hostfwd|guestfwd|smb|tftp)=/u.test(part);
  return value
    .split(/(?<!,),(?!,)/u)
    .filter(isKept)
    .join(',');
}

class ResumableCommand {
  readonly #options: readonly QemuOption[];
  readonly #words: string[];
  /** The character device that becomes the console; null: none. */
  readonly #console: string | null;
  #hasSerial = false;

  constructor(argv: readonly string[]) {
    this.#options = optionsOf(argv);
    this.#words = [argv[0] ?? ''];
    this.#console = this.#serialDevice();
  }

  words(): readonly string[] {
    for (const option of this.#options) this.#add(option);
    const hasDefaults = !this.#options.some(({ name }) => name === 'nodefaults');
    if (!this.#hasSerial && this.#console === null && hasDefaults)
      this.#words.push('-serial', 'stdio');
    this.#words.push('-display', 'none', '-monitor', 'none');
    return this.#words;
  }

  /** The character device of the first serial port that is a device of its own. */
  #serialDevice(): string | null {
    for (const { name, value } of this.#options) {
      const { properties } = parsed(name === 'device' ? value : '');
      const id = properties.get('chardev');
      if (id !== undefined && SERIAL_DEVICE.test(kindOf(properties, 'driver'))) return id;
    }
    return null;
  }

  #add({ name, value }: QemuOption): void {
    if (name === '') this.#words.push(value);
    else if (DROPPED.has(name)) return;
    else if (FLAGS.has(name)) this.#words.push(`-${name}`);
    else {
      const changed = this.#valueOf(name, value);
      if (changed !== null) this.#words.push(`-${name}`, changed);
    }
  }

  /** What an option says of the new guest; null: nothing. */
  #valueOf(name: string, value: string): string | null {
    switch (name) {
      case 'serial':
        return this.#serial(value);
      case 'parallel':
      case 'debugcon':
        return value === 'none' ? value : 'null';
      case 'chardev':
        return this.#characters(value);
      case 'device':
        this.#refuseBound(value);
        return value;
      case 'object':
        return this.#object(value);
      case 'mem-path':
        return isFolder(value) ? value : null;
      case 'audiodev':
        return `none,id=${escaped(parsed(value).properties.get('id') ?? '')}`;
      case 'netdev':
      case 'nic':
        this.#refuseNetwork(name, value);
        return networkOf(value);
      default:
        return value;
    }
  }

  /** The first port is the console; others are there, and lead nowhere. */
  #serial(value: string): string {
    if (value === 'none' || value.startsWith('chardev:')) return value;
    const isFirst = !this.#hasSerial && this.#console === null;
    this.#hasSerial = true;
    return isFirst ? 'stdio' : 'null';
  }

  #characters(value: string): string {
    const { properties } = parsed(value);
    const id = properties.get('id') ?? '';
    const kind = id === this.#console ? 'stdio,signal=off' : 'null';
    const mux = properties.get('mux') === 'on' ? ',mux=on' : '';
    return `${kind},id=${escaped(id)}${mux}`;
  }

  /** libvirt's own key for secrets goes with its file, which ends with the guest. */
  #object(value: string): string | null {
    const { properties } = parsed(value);
    const isKey =
      kindOf(properties, 'qom-type') === 'secret' && properties.get('id') === 'masterKey0';
    return isKey ? null : memoryOf(value);
  }

  #refuseBound(value: string): void {
    const { properties } = parsed(value);
    const driver = kindOf(properties, 'driver');
    if (!BOUND_DEVICE.test(driver)) return;
    throw cannotResume(
      `the device ${driver}${idText(properties)}`,
      'its other end is of the host or of another process, which the guest that was recorded has',
    );
  }

  #refuseNetwork(name: string, value: string): void {
    const { properties } = parsed(value);
    const kind = kindOf(properties, 'type');
    const isPassed = ['fd', 'fds', 'vhostfd', 'vhostfds'].some((key) => properties.has(key));
    if (kind !== 'vhost-user' && !isPassed) return;
    throw cannotResume(
      `the network -${name} ${kind}${idText(properties)}`,
      'it was opened by the program that started the guest',
    );
  }
}

const idText = (properties: Properties): string => {
  const id = properties.get('id');
  return id === undefined ? '' : ` (${id})`;
};

const cannotResume = (what: string, why: string): LedgerError =>
  new LedgerError(
    'QEMU_FAILED',
    `${what} of the recorded command line cannot be had again: ${why}; give a command line with another one after --`,
    { what },
  );

/** A recorded command line as one to start another QEMU with. QEMU_FAILED names what cannot be. */
export const resumableCommand = (argv: readonly string[]): readonly string[] =>
  new ResumableCommand(argv).words();

// What a QEMU command line says that matters when a guest's memory is put back: disks that could
// have changed since (memory without the disk of its moment corrupts a guest), and options that get
// in the way. Read conservatively: what may be a writable disk counts as one.

import { readFileSync } from 'node:fs';

/** Options that take no value; every other one takes the word after it. */
export const FLAGS = new Set(
  (
    'h help version s S snapshot nographic daemonize nodefaults no-user-config no-reboot ' +
    'no-shutdown no-acpi no-hpet no-fd-bootchk enable-kvm full-screen usb singlestep ' +
    'one-insn-per-tick only-migratable preconfig win2k-hack mem-prealloc sdl curses ' +
    'alt-grab ctrl-grab no-quit portrait show-cursor xen-attach xen-domid-restrict old-param ' +
    'enable-fips enable-sync-profile semihosting no-kvm nouserconfig'
  ).split(' '),
);
/** Options whose value is a disk that the guest writes to. */
const DISKS = new Set(['hda', 'hdb', 'hdc', 'hdd', 'sd', 'fda', 'fdb', 'pflash', 'mtdblock']);
/** Block drivers that hold nothing. */
const EMPTY_DRIVERS = new Set(['null-co', 'null-aio']);
const ON = new Set(['on', 'true', 'yes', '']);

export interface QemuOption {
  /** Without dashes; empty for a disk image named without an option. */
  readonly name: string;
  /** Empty where it takes none. */
  readonly value: string;
}

/** The options of a command line, the program apart. */
export function optionsOf(argv: readonly string[]): readonly QemuOption[] {
  const options: QemuOption[] = [];
  for (let i = 1; i < argv.length; i++) {
    const word = argv[i]!;
    if (!word.startsWith('-') || word === '-') {
      options.push({ name: '', value: word });
      continue;
    }
    const name = word.replace(/^--?/u, '');
    options.push({ name, value: FLAGS.has(name) ? '' : (argv[++i] ?? '') });
  }
  return options;
}

/** `a=b,c` as a map; a key without value is there with an empty one, a first word as `""`. */
export function propertiesOf(value: string): ReadonlyMap<string, string> {
  // A doubled comma stands for one inside a value.
  const parts = value.replaceAll(',,', '\0').split(',');
  return new Map(
    parts.map((part) => {
      const [key = '', ...rest] = part.replaceAll('\0', ',').split('=');
      return [key, rest.join('=')];
    }),
  );
}

const isOn = (value: string | undefined): boolean => value !== undefined && ON.has(value);

function isSafeDrive(value: string): boolean {
  const drive = propertiesOf(value);
  const hasMedium = drive.has('file') || drive.has('driver') || drive.has('file.driver');
  return (
    !hasMedium ||
    isOn(drive.get('readonly')) ||
    isOn(drive.get('read-only')) ||
    isOn(drive.get('snapshot')) ||
    drive.get('media') === 'cdrom'
  );
}

function isSafeNode(value: string): boolean {
  if (value.trimStart().startsWith('{')) {
    try {
      const node: unknown = JSON.parse(value);
      if (typeof node !== 'object' || node === null) return false;
      const readOnly = 'read-only' in node && node['read-only'] === true;
      return readOnly || ('driver' in node && EMPTY_DRIVERS.has(String(node.driver)));
    } catch {
      return false;
    }
  }
  const node = propertiesOf(value);
  // The first word of a node may be its driver without a key.
  const driver = node.get('driver') ?? node.keys().next().value ?? '';
  return isOn(node.get('read-only')) || EMPTY_DRIVERS.has(driver);
}

/** A configuration file without a drive, as Proxmox has for a machine's buses; one that can be read. */
function isSafeConfiguration(path: string): boolean {
  try {
    return !/^\s*\[\s*(?:drive|blockdev)\b/mu.test(readFileSync(path, 'utf8'));
  } catch {
    return false;
  }
}

function isSafe(option: QemuOption): boolean {
  switch (option.name) {
    case '':
      return false;
    case 'readconfig':
      return isSafeConfiguration(option.value);
    case 'drive':
      return isSafeDrive(option.value);
    case 'blockdev':
      return isSafeNode(option.value);
    default:
      return !DISKS.has(option.name);
  }
}

/** The options of a command line that name a disk the guest can change, as they stand there. */
export function writableDisksOf(argv: readonly string[]): readonly string[] {
  const options = optionsOf(argv);
  const unsafe = options.filter((option) => !isSafe(option));
  const hasSnapshot = options.some((option) => option.name === 'snapshot');
  // -snapshot makes drives temporary; block nodes and configuration files it leaves alone.
  const left = hasSnapshot
    ? unsafe.filter(({ name }) => name === 'blockdev' || name === 'readconfig')
    : unsafe;
  return left.map(({ name, value }) => (name === '' ? value : `-${name} ${value}`));
}

/** Whether a command line has an option that takes a value or none. */
export const hasOption = (argv: readonly string[], name: string): boolean =>
  optionsOf(argv).some((option) => option.name === name);

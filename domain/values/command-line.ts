// A guest's command line as it is recorded: without what is secret in it, since everybody who can read
// a ledger reads it. What is secret is told by its name (a password, a token, a key) or its place (the
// data of a secret object, a string for the guest's firmware, the user of a URL); what may be secret
// counts as it. Values are cut as QEMU cuts them: at commas, of which two stand for one.

/** Stands for each value that was left out. */
export const LEFT_OUT = '<left out>';

export interface RecordedCommand {
  readonly argv: readonly string[];
  /** What was left out, as `-object data`. */
  readonly leftOut: readonly string[];
}

const SECRET_NAME =
  /pass(?:word|wd|phrase|code)?$|secret|token|credential|cookie|api[-_]?key|access[-_]?key|(?:^|[-_])(?:key|osk|auth|authorization|psk|sig|signature|sas)$/u;
/** Names of QEMU's that say which object holds the secret. */
const REFERENCE_NAME = /(?:-secret|id)$/u;
const HARMLESS = new Set(['', 'on', 'off', 'yes', 'no', 'true', 'false']);
/** Where a name stands inside a value: in a query of a URL, among options after colons. */
const INNER_NAME = /[?&;: ]([\w.-]{1,64})=/gu;
/** Users whose name alone is no secret stand before hosts of these. */
const NAMED_USER = /^(?:ssh|sftp|scp)$/u;

const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1).toLowerCase();

const isSecretName = (name: string): boolean => SECRET_NAME.test(lastPart(name));

/** Names of values that are secret in some option, whatever they are called. */
function isSecretPlace(option: string, parts: readonly string[], name: string): boolean {
  const has = (start: string): boolean => parts.some((part) => part.startsWith(start));
  switch (option) {
    case 'object':
      return name === 'data' && (has('secret') || has('qom-type=secret'));
    case 'fw_cfg':
      return name === 'string';
    case 'smbios':
      return name === 'value' && has('type=11');
    default:
      return false;
  }
}

/** A URL's user and password; a `@` behind the host is none of it. */
function withoutUser(text: string): string {
  const parts = text.split('://');
  return parts
    .map((part, i) => {
      if (i === 0) return part;
      const end = part.search(/[/?#]/u);
      const before = end === -1 ? part : part.slice(0, end);
      // What is no port behind a colon may be a password that has a slash in it.
      const authority = /:(?!\d{0,5}$)[^@]*$/u.test(before) ? part : before;
      const at = authority.lastIndexOf('@');
      if (at === -1) return part;
      const user = authority.slice(0, at);
      const scheme = /[a-z0-9+.-]{1,16}$/iu.exec(parts[i - 1]!.slice(-16))?.[0] ?? '';
      const isName = NAMED_USER.test(scheme.toLowerCase()) && !/[:%;]/u.test(user);
      return isName ? part : LEFT_OUT + part.slice(at);
    })
    .join('://');
}

/** A value without what its inner parts give away. */
function withoutInner(value: string): string {
  const text = withoutUser(value);
  for (const match of text.matchAll(INNER_NAME)) {
    const end = match.index + match[0].length;
    if (end < text.length && isSecretName(match[1]!)) return text.slice(0, end) + LEFT_OUT;
  }
  return text;
}

/** JSON as QEMU takes it for devices and block nodes. */
function withoutSecretFields(value: unknown, isSecret: (name: string) => boolean): unknown {
  if (typeof value === 'string') return withoutInner(value);
  if (Array.isArray(value)) return value.map((each) => withoutSecretFields(each, isSecret));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, held]) => [
      name,
      isSecret(name) && !REFERENCE_NAME.test(name) ? LEFT_OUT : withoutSecretFields(held, isSecret),
    ]),
  );
}

function withoutSecretsOfJson(option: string, text: string): string {
  const start = text.indexOf('{');
  try {
    const json: unknown = JSON.parse(text.slice(start));
    const isSecret = (name: string): boolean =>
      isSecretName(name) || (option === 'object' && name === 'data');
    const kept = JSON.stringify(withoutSecretFields(json, isSecret));
    return kept === JSON.stringify(json) ? text : text.slice(0, start) + kept;
  } catch {
    return text.slice(0, start) + LEFT_OUT;
  }
}

/** The words of a kernel's command line; a secret goes up to its end, as quotes may hold blanks. */
function withoutSecretWords(text: string): string {
  const words = text.split(' ');
  const at = words.findIndex((word) => {
    const end = word.indexOf('=');
    if (end === -1 || HARMLESS.has(word.slice(end + 1))) return false;
    return isSecretName(word.slice(0, end));
  });
  if (at === -1) return words.map(withoutInner).join(' ');
  const name = words[at]!.slice(0, words[at]!.indexOf('=') + 1);
  const isQuoted = words[at]!.includes('"') || words[at]!.includes("'");
  const kept = words
    .slice(0, at)
    .map(withoutInner)
    .concat(name + LEFT_OUT);
  if (isQuoted) return kept.join(' ');
  const rest = words.slice(at + 1);
  return rest.length === 0
    ? kept.join(' ')
    : `${kept.join(' ')} ${withoutSecretWords(rest.join(' '))}`;
}

function withoutSecretsOfPart(option: string, parts: readonly string[], part: string): string {
  const end = part.indexOf('=');
  const name = end === -1 ? '' : part.slice(0, end);
  const value = end === -1 ? part : part.slice(end + 1);
  const isReference = REFERENCE_NAME.test(name);
  const isSecret =
    isSecretPlace(option, parts, name) || (isSecretName(name) && !isReference && name !== '');
  const head = end === -1 ? '' : part.slice(0, end + 1);
  if (isSecret && !HARMLESS.has(value)) return head + LEFT_OUT;
  return head + withoutInner(value);
}

/** The value of an option, without its secrets. */
function withoutSecretsOf(option: string, value: string): string {
  if (option === 'append') return withoutSecretWords(value);
  const json = value.indexOf('{');
  if (json === 0 || value.includes('json:{')) return withoutSecretsOfJson(option, value);
  // A doubled comma stands for one inside a value.
  const parts = value.replaceAll(',,', '\0').split(',');
  return parts
    .map((part) => withoutSecretsOfPart(option, parts, part))
    .join(',')
    .replaceAll('\0', ',,');
}

/** The names whose values differ, for a person. */
function namesLeftOut(option: string, value: string): string {
  const before = value.slice(0, value.indexOf(LEFT_OUT));
  const name = /([\w.-]{1,64})["=:]{1,3}$/u.exec(before.slice(-80))?.[1];
  return `${option === '' ? 'a word' : `-${option}`}${name === undefined ? '' : ` ${name}`}`;
}

/** A command line as it is recorded. */
export function recordedCommand(argv: readonly string[]): RecordedCommand {
  const leftOut: string[] = [];
  let option = '';
  const kept = argv.map((word, i) => {
    if (i > 0 && word.startsWith('-') && !word.includes('=')) {
      option = word.replace(/^--?/u, '');
      return word;
    }
    const isSecret = option !== '' && isSecretName(option) && !HARMLESS.has(word);
    const shown = isSecret ? LEFT_OUT : withoutSecretsOf(option, word);
    if (shown !== word && shown.includes(LEFT_OUT)) leftOut.push(namesLeftOut(option, shown));
    option = '';
    return shown;
  });
  return { argv: kept, leftOut: [...new Set(leftOut)] };
}

/** What a recorded command line lacks before it can be run. */
export const isIncomplete = (argv: readonly string[]): boolean =>
  argv.some((word) => word.includes(LEFT_OUT));

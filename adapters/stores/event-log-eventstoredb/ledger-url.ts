// The URL of a ledger on a server: `esdb://[USER:PASSWORD@]HOST[:PORT][,...]/?ledger=NAME&tls=false...`,
// or `esdb+discover://` for a cluster behind a name. It is the server's own connection string with our
// parameter `ledger` in it. What is shown of it in messages never holds user names or passwords.
//
// The string is read here and not by the client package, which prints what it does not know, password
// and all, and takes settings silently that would lose events.

import { refuse, type Refused } from '../../../domain/values/refused.ts';

/** Name of a ledger whose URL names none. */
const LEDGER_NAME_DEFAULT = 'pageledger';
const LEDGER_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/u;
const PORT_DEFAULT = 2113;
const PORT_MAX = 65_535;

/** A ledger on a server, taken apart. */
export interface LedgerUrl {
  /** The server's connection string: our parameter is out of it. It may hold a password. */
  readonly connectionString: string;
  /** The ledger's name: its streams are NAME.vm-... and so on. */
  readonly ledger: string;
}

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What a connection string says. */
export interface ServerSettings {
  /** Whether the one endpoint is a name that stands for a cluster's nodes. */
  readonly isDiscovered: boolean;
  readonly endpoints: readonly Endpoint[];
  readonly credentials: { readonly username: string; readonly password: string } | null;
  readonly isTls: boolean;
  /** Settings that are numbers, under the client's names. */
  readonly numbers: Readonly<Record<string, number>>;
  /** Settings that are texts, under the client's names: files of certificates, the connection's name. */
  readonly texts: Readonly<Record<string, string>>;
}

const SCHEME = /^(?:esdb|kurrentdb|kurrent|kdb)(\+discover)?:\/\//iu;

/** Whether a ledger's URL names a server. */
export const isServerUrl = (text: string): boolean => SCHEME.test(text.trim());

/** Whatever stands where a port does and is none may be the password of a URL that lost its @HOST. */
const withoutPassword = (text: string): string =>
  text.replace(/:(?!\/\/)(?<!\[[^\]]*)(?!\d+(?:[/?,]|$))[^?]*/u, ':***');

/**
 * The text without what stands before its last `@`, and without the values of parameters that are none
 * of ours: fit for messages, whatever was typed.
 */
export function withoutSecrets(text: string): string {
  const at = text.lastIndexOf('@');
  const scheme = /^[a-z+]*:\/\//iu.exec(text)?.[0] ?? '';
  const shown = at === -1 ? withoutPassword(text) : `${scheme}***${text.slice(at)}`;
  return shown.replaceAll(/([?&])([^=&?]*)=([^&]*)/gu, (whole, mark: string, name: string) =>
    PARAMETER_OF.has(flat(name)) || flat(name) === 'ledger' ? whole : `${mark}${name}=***`,
  );
}

/** How a server is called in messages: its scheme and endpoints. */
export const placeOf = ({ isDiscovered, endpoints }: ServerSettings): string =>
  `esdb${isDiscovered ? '+discover' : ''}://${endpoints
    .map(({ address, port }) => `${address}:${port}`)
    .join(',')}`;

type Kind = 'number' | 'text' | 'tls' | 'fixed';

/** Every parameter that is taken; `fixed` ones may say only what is so anyway. */
const PARAMETERS: Readonly<Record<string, { readonly kind: Kind; readonly expected: string }>> = {
  tls: { kind: 'tls', expected: 'true or false' },
  connectionName: { kind: 'text', expected: 'a name' },
  tlsCAFile: { kind: 'text', expected: 'a file' },
  userCertFile: { kind: 'text', expected: 'a file' },
  userKeyFile: { kind: 'text', expected: 'a file' },
  defaultDeadline: { kind: 'number', expected: 'milliseconds' },
  keepAliveInterval: { kind: 'number', expected: 'milliseconds' },
  keepAliveTimeout: { kind: 'number', expected: 'milliseconds' },
  maxDiscoverAttempts: { kind: 'number', expected: 'a number' },
  discoveryInterval: { kind: 'number', expected: 'milliseconds' },
  gossipTimeout: { kind: 'number', expected: 'seconds' },
  // The client cannot leave a certificate unchecked; a certificate of one's own is given as tlsCAFile.
  tlsVerifyCert: { kind: 'fixed', expected: 'true; name your own certificate with tlsCAFile' },
  // A follower does not know yet what was written a moment ago.
  nodePreference: { kind: 'fixed', expected: 'leader' },
  // Without it the client gives a wrong revision for a conflict.
  throwOnAppendFailure: { kind: 'fixed', expected: 'true' },
};

/** The client reads names of parameters without regard to case, `_` and `-`. */
const flat = (name: string): string => name.toLowerCase().replaceAll(/[_-]/gu, '');
const PARAMETER_OF = new Map(Object.keys(PARAMETERS).map((name) => [flat(name), name]));

const EXPECTED =
  'expected esdb://[USER:PASSWORD@]HOST[:PORT]/?ledger=NAME, with special characters percent-encoded';

const badUrl = (text: string, found: string): Refused =>
  refuse({ _tag: 'BadUrl', url: withoutSecrets(text), why: `found ${found}; ${EXPECTED}` });

/** Takes our parameter out of a ledger's URL; throws Refused for whatever is wrong in any part of it. */
export function parseLedgerUrl(text: string): LedgerUrl {
  const { head, parameters } = cut(text);
  const named = parameters.findLast(({ name }) => flat(name) === 'ledger');
  const ledger = named?.value ?? LEDGER_NAME_DEFAULT;
  if (!LEDGER_NAME.test(ledger))
    throw badUrl(
      text,
      'a ledger name that is not 1 to 64 letters, digits, _ and -, a letter or digit first',
    );
  const kept = parameters.filter(({ name }) => flat(name) !== 'ledger');
  const query = kept.map(({ name, value }) => `${name}=${encodeURIComponent(value)}`).join('&');
  const connectionString = query === '' ? head : `${head}/?${query}`;
  settingsOf(text, { head, parameters: kept });
  return { connectionString, ledger };
}

interface Parameter {
  readonly name: string;
  readonly value: string;
}

/** The part up to the hosts, under the scheme `esdb`, and the parameters. */
function cut(text: string): { readonly head: string; readonly parameters: readonly Parameter[] } {
  const trimmed = text.trim();
  const scheme = SCHEME.exec(trimmed);
  if (scheme === null) throw badUrl(text, 'no scheme esdb:// or esdb+discover://');
  const rest = trimmed.slice(scheme[0].length);
  const queryAt = rest.indexOf('?');
  const authority = (queryAt === -1 ? rest : rest.slice(0, queryAt)).replace(/(?<!\/)\/+$/u, '');
  if (/\s/u.test(authority)) throw badUrl(text, 'white space before the parameters');
  const query = queryAt === -1 ? '' : rest.slice(queryAt + 1);
  const parameters = query
    .split('&')
    .filter((part) => part !== '')
    .map((part): Parameter => {
      const [name = '', value, ...more] = part.split('=');
      if (name === '' || value === undefined || value === '' || more.length > 0)
        throw badUrl(text, 'a parameter that is not KEY=VALUE');
      return { name, value: decoded(text, value) };
    });
  return { head: `esdb${scheme[1] === undefined ? '' : '+discover'}://${authority}`, parameters };
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw badUrl(text, 'a % that is no percent-encoding');
  }
}

/** Reads a connection string; throws Refused, also for parameters that this ledger cannot work with. */
export const parseConnectionString = (text: string): ServerSettings => settingsOf(text, cut(text));

function settingsOf(text: string, { head, parameters }: ReturnType<typeof cut>): ServerSettings {
  const isDiscovered = head.startsWith('esdb+discover');
  const authority = head.slice(head.indexOf('://') + '://'.length);
  const at = authority.lastIndexOf('@');
  const endpoints = authority
    .slice(at + 1)
    .split(',')
    .map((host) => endpointOf(text, host));
  if (isDiscovered && endpoints.length > 1)
    throw badUrl(text, 'more than one host behind esdb+discover://');
  return {
    isDiscovered,
    endpoints,
    credentials: at === -1 ? null : credentialsOf(text, authority.slice(0, at)),
    ...valuesOf(text, parameters),
  };
}

const HOST = /^(\[[0-9a-f:.]+\]|[^:/@\s[\]]+)(?::(\d{1,5}))?$/iu;

function endpointOf(text: string, host: string): Endpoint {
  const [, address, port] = HOST.exec(host.trim()) ?? [];
  if (address === undefined) throw badUrl(text, 'no HOST or HOST:PORT');
  const number = port === undefined ? PORT_DEFAULT : Number(port);
  if (number === 0 || number > PORT_MAX) throw badUrl(text, `a port above ${PORT_MAX} or 0`);
  return { address, port: number };
}

function credentialsOf(text: string, part: string): ServerSettings['credentials'] {
  const colon = part.indexOf(':');
  if (colon < 1 || colon === part.length - 1)
    throw badUrl(text, 'a part before @ that is not USER:PASSWORD');
  return {
    username: decoded(text, part.slice(0, colon)),
    password: decoded(text, part.slice(colon + 1)),
  };
}

function valuesOf(
  text: string,
  parameters: readonly Parameter[],
): Pick<ServerSettings, 'isTls' | 'numbers' | 'texts'> {
  const numbers: Record<string, number> = {};
  const texts: Record<string, string> = {};
  let isTls = true;
  // With an @ behind the hosts, what looks like a parameter may be a piece of a password.
  const isShown = !text.slice(text.indexOf('?')).includes('@');
  for (const { name, value } of parameters) {
    const key = PARAMETER_OF.get(flat(name));
    if (key === undefined)
      throw badUrl(text, isShown ? `an unknown parameter ${name}` : 'an unknown parameter');
    const { kind, expected } = PARAMETERS[key]!;
    if (!isTaken(kind, { value, expected }))
      throw badUrl(text, `a value of ${key} that is not ${expected},`);
    if (kind === 'tls') isTls = value === 'true';
    else if (kind === 'number') numbers[key] = Number(value);
    else if (kind === 'text') texts[key] = value;
  }
  if ((texts['userCertFile'] === undefined) !== (texts['userKeyFile'] === undefined))
    throw badUrl(text, 'one of userCertFile and userKeyFile without the other');
  return { isTls, numbers, texts };
}

function isTaken(
  kind: Kind,
  { value, expected }: { readonly value: string; readonly expected: string },
): boolean {
  if (kind === 'tls') return value === 'true' || value === 'false';
  if (kind === 'number') return /^[1-9]\d{0,8}$/u.test(value);
  return kind === 'text' || value.toLowerCase() === expected.split(';')[0];
}

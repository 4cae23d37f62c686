// Hosts of a workgroup as they are on a network: each in a network namespace of its own, all at one bridge.
// Where that is not permitted each has a loopback address.

import { spawnSync } from 'node:child_process';

/** A host on the network. */
export interface JoinedHost {
  /** Its address, which no other has. */
  readonly address: string;
  /** What a command is started through to run on it. */
  readonly through: readonly string[];
}

export interface HostNetwork {
  readonly hosts: readonly JoinedHost[];
  /** Whether each host has a network of its own. */
  readonly areApart: boolean;
  remove(): void;
}

const ip = (...words: readonly string[]): boolean => spawnSync('ip', words).status === 0;

/** Joins so many hosts. */
export function joinHosts(count: number): HostNetwork {
  const name = (what: number | string): string => `pageledger-${process.pid}-${what}`;
  const numbers = Array.from({ length: count }, (_, i) => i + 1);
  const spaces = [name('bridge'), ...numbers.map(name)];
  const [bridge] = spaces;
  const remove = (): void => {
    for (const space of spaces) ip('netns', 'del', space);
  };
  const areApart =
    spaces.every((space) => ip('netns', 'add', space)) &&
    ip('-n', bridge!, 'link', 'add', 'bridge', 'type', 'bridge') &&
    ip('-n', bridge!, 'link', 'set', 'bridge', 'up') &&
    numbers.every((n) => {
      const space = name(n);
      const ends = [`host${n}`, 'netns', space, 'type', 'veth', 'peer', 'name', `port${n}`];
      return (
        ip('link', 'add', ...ends, 'netns', bridge!) &&
        ip('-n', space, 'addr', 'add', `10.99.0.${n}/24`, 'dev', `host${n}`) &&
        ip('-n', space, 'link', 'set', `host${n}`, 'up') &&
        ip('-n', bridge!, 'link', 'set', `port${n}`, 'master', 'bridge', 'up')
      );
    });
  if (areApart) {
    const hosts = numbers.map((n) => ({
      address: `10.99.0.${n}`,
      through: ['ip', 'netns', 'exec', name(n)],
    }));
    return { hosts, areApart, remove };
  }
  remove();
  const hosts = numbers.map((n) => ({ address: `127.0.0.${n}`, through: [] }));
  return { hosts, areApart, remove: () => undefined };
}

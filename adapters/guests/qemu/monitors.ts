// Ways to QEMU's control, by the form of the address.

import { Socket } from 'node:net';
import type { Qmp } from './qmp.ts';
import { adoptQmp, connectQmp, type QmpOptions } from './qmp-client.ts';
import { libvirtDomainOf, VirshMonitor } from './virsh-monitor.ts';

/** Connects to `libvirt:DOMAIN`, or to a QMP socket. */
export const connectMonitor = async (options: QmpOptions): Promise<Qmp> => {
  const domain = libvirtDomainOf(options.path);
  return domain === null ? connectQmp(options) : VirshMonitor.connect(domain);
};

/** Goes on with a monitor that another process used: a socket lies at `descriptor`. */
export const adoptMonitor = (path: string, descriptor: number): Qmp => {
  const domain = libvirtDomainOf(path);
  return domain === null
    ? adoptQmp({ socket: new Socket({ fd: descriptor }), path })
    : VirshMonitor.adopt(domain);
};

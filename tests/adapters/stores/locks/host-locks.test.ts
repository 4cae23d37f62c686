import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { lockRecorder } from '../../../../adapters/stores/locks/host-locks.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';

const MODULE = new URL('../../../../adapters/stores/locks/host-locks.js', import.meta.url).href;
const ledger = (): string => `test-${randomUUID()}`;
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** A process that holds the lock, says so, and stays, or ends when it has nothing else to do. */
async function holdElsewhere(options: { ledger: string; vm: string }): Promise<ChildProcess> {
  const script = `
    const { lockRecorder } = await import(${JSON.stringify(MODULE)});
    const outcome = await lockRecorder(${JSON.stringify(options)})();
    console.log(outcome._tag);
    setInterval(() => undefined, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [answer] = (await once(child.stdout, 'data')) as [Buffer];
  expect(answer.toString()).toBe('Right\n');
  return child;
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

onLinux('the lock of a recorder', () => {
  test('refuses a second recorder of the VM and says who records it', async () => {
    const request = { ledger: ledger(), vm: 'web-1' };
    const lock = await valueOf(lockRecorder(request));
    const failure = await failureOf(lockRecorder(request));
    expect(failure.code).toBe('VM_BUSY');
    expect(failure.facts).toEqual({ vm: 'web-1', processId: process.pid });
    expect(failure.message).toContain(`process ${process.pid} is recording VM 'web-1'`);
    await lock.release();
  });

  test('lets other VMs, and the same name in another ledger, be recorded', async () => {
    const here = ledger();
    const locks = await Promise.all([
      valueOf(lockRecorder({ ledger: here, vm: 'a' })),
      valueOf(lockRecorder({ ledger: here, vm: 'b' })),
      valueOf(lockRecorder({ ledger: ledger(), vm: 'a' })),
    ]);
    expect(locks).toHaveLength(3);
    await Promise.all(locks.map((lock) => lock.release()));
  });

  test('is free again after its release, which may be repeated', async () => {
    const request = { ledger: ledger(), vm: 'a' };
    const first = await valueOf(lockRecorder(request));
    await first.release();
    await first.release();
    const second = await valueOf(lockRecorder(request));
    // The first one's release does not touch the second one's lock.
    await first.release();
    expect((await failureOf(lockRecorder(request))).code).toBe('VM_BUSY');
    await second.release();
  });

  test('goes to exactly one of many that ask at once', async () => {
    const request = { ledger: ledger(), vm: 'a' };
    const outcomes = await Promise.all(Array.from({ length: 16 }, () => lockRecorder(request)()));
    const locks = outcomes.flatMap((outcome) => (outcome._tag === 'Right' ? [outcome.right] : []));
    expect(locks).toHaveLength(1);
    await locks[0]!.release();
  });

  test('names the process that holds it, and falls free when that is killed', async () => {
    const request = { ledger: ledger(), vm: 'a' };
    const child = await holdElsewhere(request);
    const failure = await failureOf(lockRecorder(request));
    expect(failure.facts['processId']).toBe(child.pid);
    await kill(child, 'SIGKILL');
    const lock = await valueOf(lockRecorder(request));
    await lock.release();
  });

  test('refuses also while its holder is stopped and cannot answer', async () => {
    const request = { ledger: ledger(), vm: 'a' };
    const child = await holdElsewhere(request);
    child.kill('SIGSTOP');
    const failure = await failureOf(lockRecorder(request));
    expect(failure.code).toBe('VM_BUSY');
    expect(failure.facts['processId']).toBeNull();
    await kill(child, 'SIGKILL');
  });

  test('is not confused by a listener that answers nonsense', async () => {
    const request = { ledger: ledger(), vm: 'a' };
    const digits = (text: string): string =>
      createHash('sha256').update(text).digest('hex').slice(0, 32);
    const server = createServer((socket) => socket.end('no process id at all'.repeat(100)));
    server.listen(`\0pageledger-${digits(request.ledger)}-${digits('a')}`);
    await once(server, 'listening');
    const failure = await failureOf(lockRecorder(request));
    expect(failure.facts).toEqual({ vm: 'a', processId: null });
    await new Promise((resolve) => {
      server.close(resolve);
    });
  });

  test('does not keep its process alive', async () => {
    const script = `
      const { lockRecorder } = await import(${JSON.stringify(MODULE)});
      await lockRecorder({ ledger: ${JSON.stringify(ledger())}, vm: 'a' })();
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    const [status] = (await once(child, 'exit')) as [number];
    expect(status).toBe(0);
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import * as t from 'io-ts';
import { connectQmp } from '../../../../adapters/guests/qemu/qmp-client.ts';
import type { QmpEvent } from '../../../../adapters/guests/qemu/qmp.ts';
import { answer, greeting, GREETING, serveFakeQmp } from '../../../support/guest/fake-qmp.ts';
import type { FakeQmp } from '../../../support/guest/fake-qmp.ts';
import { makeTemporaryFolder } from '../../../support/disks/temporary-folder.ts';
import type { TemporaryFolder } from '../../../support/disks/temporary-folder.ts';

let folder: TemporaryFolder;
let served: FakeQmp | null = null;
beforeAll(async () => {
  folder = await makeTemporaryFolder();
});
afterEach(async () => {
  await served?.close();
  served = null;
});
afterAll(() => folder.remove());

let sockets = 0;
async function serve(onConnection: Parameters<typeof serveFakeQmp>[1]): Promise<string> {
  served = await serveFakeQmp(join(folder.path, `${sockets++}.sock`), onConnection);
  return served.path;
}

describe('a socket that is no QEMU', () => {
  test('and is not there is QMP_UNREACHABLE, with the option that makes it', async () => {
    const path = join(folder.path, 'absent.sock');
    await expect(connectQmp({ path })).rejects.toMatchObject({
      code: 'QMP_UNREACHABLE',
      message: expect.stringContaining(`-qmp unix:${path}`),
    });
  });

  test('but a file is QMP_UNREACHABLE', async () => {
    const path = join(folder.path, 'file');
    writeFileSync(path, 'text');
    await expect(connectQmp({ path })).rejects.toMatchObject({ code: 'QMP_UNREACHABLE' });
  });

  test('and says nothing is QMP_UNREACHABLE after the limit', async () => {
    const path = await serve(() => undefined);
    await expect(connectQmp({ path, connectTimeoutMs: 50 })).rejects.toMatchObject({
      code: 'QMP_UNREACHABLE',
      message: expect.stringContaining('one at a time'),
    });
  });

  test.each([
    ['text', 'SSH-2.0-server\r\n'],
    ['other JSON', '{"hello": "world"}\r\n'],
    ['a greeting without a version', '{"QMP": {}}\r\n'],
    ['an endless line', 'x'.repeat(17 * 1024 * 1024)],
  ])('and greets with %s is QMP_PROTOCOL', async (_, text) => {
    const path = await serve((socket) => socket.write(text));
    await expect(connectQmp({ path })).rejects.toMatchObject({ code: 'QMP_PROTOCOL' });
  });

  test('and hangs up at once is QMP_PROTOCOL', async () => {
    const path = await serve((socket) => socket.end());
    await expect(connectQmp({ path })).rejects.toMatchObject({ code: 'QMP_PROTOCOL' });
  });
});

describe('a connection', () => {
  test('knows the version and gets each answer to its own command', async () => {
    const waiting: (() => void)[] = [];
    const path = await serve(
      greeting((command, socket) => {
        waiting.unshift(() => answer(socket, command, { was: command.execute }));
        if (waiting.length === 3) for (const send of waiting) send();
      }),
    );
    const qmp = await connectQmp({ path });
    expect(qmp.version).toBe('7.2.1');
    const answers = await Promise.all(['a', 'b', 'c'].map((name) => qmp.execute(name)));
    expect(answers).toEqual([{ was: 'a' }, { was: 'b' }, { was: 'c' }]);
    qmp.close();
  });

  test('takes lines that arrive in pieces', async () => {
    const path = await serve((socket) => {
      const reply = '{"return": {}, "id": 1}\r\n';
      let sent = 0;
      const text = GREETING + reply;
      const timer = setInterval(() => {
        socket.write(text.slice(sent, sent + 20));
        sent += 20;
        if (sent >= text.length) clearInterval(timer);
      }, 1);
    });
    const qmp = await connectQmp({ path });
    expect(qmp.lost).toBeNull();
    qmp.close();
  });

  test('passes over an event from before its greeting, which was for another', async () => {
    const early = { event: 'STOP', timestamp: { seconds: 1, microseconds: 0 } };
    const greet = greeting((command, socket) => answer(socket, command, { was: command.execute }));
    const path = await serve((socket) => {
      socket.write(`${JSON.stringify(early)}\r\n`);
      greet(socket);
    });
    const qmp = await connectQmp({ path });
    expect(await qmp.execute('a')).toEqual({ was: 'a' });
    qmp.close();
  });

  test('tells events with their time until it is told to stop', async () => {
    const event = '{"event":"STOP","timestamp":{"seconds":5,"microseconds":250000}}\r\n';
    const path = await serve(
      greeting((command, socket) => {
        socket.write(event);
        answer(socket, command, {});
      }),
    );
    const qmp = await connectQmp({ path });
    const events: QmpEvent[] = [];
    const stop = qmp.onEvent((seen) => events.push(seen));
    await qmp.execute('stop');
    stop();
    await qmp.execute('stop');
    expect(events).toEqual([{ event: 'STOP', data: {}, timeMs: 5250 }]);
    qmp.close();
  });

  test('gives a refusal as QMP_REFUSED in QEMU own words, and goes on', async () => {
    const path = await serve(
      greeting((command, socket) => {
        if (command.execute === 'good') answer(socket, command, 1);
        else {
          const error = { class: 'GenericError', desc: 'not today' };
          socket.write(`${JSON.stringify({ error, id: command.id })}\n`);
        }
      }),
    );
    const qmp = await connectQmp({ path });
    await expect(qmp.execute('bad')).rejects.toMatchObject({
      code: 'QMP_REFUSED',
      message: expect.stringContaining('not today'),
    });
    await expect(qmp.execute('good')).resolves.toBe(1);
    qmp.close();
  });

  test('that dies fails what is under way, and what comes later, as QMP_LOST', async () => {
    const path = await serve(greeting((_, socket) => socket.destroy()));
    const qmp = await connectQmp({ path });
    const both = await Promise.allSettled([qmp.execute('a'), qmp.execute('b')]);
    for (const one of both) {
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'QMP_LOST' } });
    }
    await expect(qmp.execute('c')).rejects.toMatchObject({ code: 'QMP_LOST' });
  });

  test('that never answers is QMP_UNREACHABLE after the limit', async () => {
    const path = await serve(greeting(() => undefined));
    const qmp = await connectQmp({ path, commandTimeoutMs: 50 });
    await expect(qmp.execute('query-status')).rejects.toMatchObject({
      code: 'QMP_UNREACHABLE',
      message: expect.stringContaining('query-status'),
    });
  });

  test.each([
    ['an answer nobody asked for', '{"return": {}, "id": 99}\n'],
    ['a line that is no JSON', '{"return": \n'],
  ])('that sends %s is given up', async (_, text) => {
    const path = await serve(greeting((__, socket) => socket.write(text)));
    const qmp = await connectQmp({ path });
    await expect(qmp.execute('a')).rejects.toMatchObject({ code: 'QMP_PROTOCOL' });
  });

  test('checks the shape of what it asked for', async () => {
    const path = await serve(greeting((command, socket) => answer(socket, command, { no: 1 })));
    const qmp = await connectQmp({ path });
    const asked = qmp.ask('query-status', t.type({ status: t.string }));
    await expect(asked).rejects.toMatchObject({ code: 'QMP_PROTOCOL' });
    qmp.close();
  });
});

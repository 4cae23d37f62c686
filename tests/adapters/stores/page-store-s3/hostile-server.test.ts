// What the client bears of a server that answers as no object store does: a clear failure in bounded
// time and memory, and nothing secret in it.

import { createServer } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makePack } from '../../../contracts/page-store.ts';
import { failureOf, valueOf } from '../../../support/outcomes.ts';
import { freePort } from '../../../support/s3-server/s3-server.ts';
import {
  errorXml,
  scriptedStores,
  SCRIPTED_CREDENTIALS,
  told,
} from '../../../support/packs/scripted-store.ts';
import type { Script, ScriptedStores } from '../../../support/packs/scripted-store.ts';

const PACK = makePack({ seed: 21, sizeBytes: 10_000 });
const RANGE = { name: PACK.name, offsetBytes: 1000, lengthBytes: 500 };
const PART = Buffer.from(PACK.bytes.subarray(1000, 1500));
const part = { 'content-range': 'bytes 1000-1499/10000', 'content-length': '500' };

let stores: ScriptedStores;
beforeEach(() => {
  stores = scriptedStores();
});
afterEach(() => stores.close());

describe('the answer to a range', () => {
  test('that is right is taken; the request says what is asked and signs it', async () => {
    const asked: Record<string, unknown>[] = [];
    const { store } = await stores.before((request, response) => {
      const { method, url, headers } = request;
      asked.push({ method, url, range: headers.range, hash: headers['x-amz-content-sha256'] });
      response.writeHead(206, part).end(PART);
    });
    expect(PART.equals(await valueOf(store.get(RANGE)))).toBe(true);
    expect(asked).toEqual([
      {
        method: 'GET',
        url: `/bucket/p/packs/${PACK.name.slice(0, 2)}/${PACK.name}`,
        range: 'bytes=1000-1499',
        hash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      },
    ]);
  });

  test.each<[string, Script]>([
    ['whole, with its length', (_, r) => r.writeHead(200).end(PACK.bytes)],
    [
      'whole, and more than a pack can be',
      (_, r) => {
        r.writeHead(200, { 'content-length': String(2 ** 40) });
        r.write(PACK.bytes);
      },
    ],
  ])('that is %s is cut to the range', async (_name, answer) => {
    const { store } = await stores.before((request, response) => {
      response.setHeader('content-length', '10000');
      answer(request, response, 0);
    });
    expect(PART.equals(await valueOf(store.get(RANGE)))).toBe(true);
  });

  test.each<[string, Script]>([
    [
      'another range',
      (_, r) => r.writeHead(206, { ...part, 'content-range': 'bytes 0-499/10000' }).end(PART),
    ],
    [
      'a range without a size',
      (_, r) => r.writeHead(206, { ...part, 'content-range': 'bytes 1000-1499/*' }).end(PART),
    ],
    ['no Content-Range', (_, r) => r.writeHead(206, { 'content-length': '500' }).end(PART)],
    [
      'several ranges',
      (_, r) => r.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=x' }).end(PART),
    ],
    [
      'fewer bytes than it says',
      (_, r) => r.writeHead(206, { ...part, 'content-length': '400' }).end(PART.subarray(0, 400)),
    ],
    [
      'more bytes than it says',
      (_, r) => r.writeHead(206, { 'content-range': part['content-range'] }).end(PACK.bytes),
    ],
    [
      'a range that is too short for the pack',
      (_, r) =>
        r.writeHead(206, { 'content-range': 'bytes 1000-1099/10000' }).end(PART.subarray(0, 100)),
    ],
    [
      'a size beyond all numbers',
      (_, r) =>
        r.writeHead(206, { 'content-range': `bytes 1000-1499/${'9'.repeat(30)}` }).end(PART),
    ],
    [
      'a whole object without its length',
      (_, r) => {
        r.writeHead(200);
        r.write(PACK.bytes);
        r.end();
      },
    ],
    ['a page for people', (_, r) => r.writeHead(404).end('<html>not found</html>')],
    ['a 404 without a word', (_, r) => r.writeHead(404).end()],
    ['no content', (_, r) => r.writeHead(204).end()],
    [
      'a body that never ends',
      (_, r) => {
        r.writeHead(206, { 'content-range': part['content-range'] });
        const timer = setInterval(() => r.write(Buffer.alloc(65_536)), 1);
        r.on('close', () => {
          clearInterval(timer);
        });
      },
    ],
  ])('that is or has %s is not believed, after some attempts', async (_name, answer) => {
    const { store } = await stores.before(answer);
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_UNREACHABLE');
    expect(message).toContain('answered as no object store does');
    expect(stores.requests()).toBe(3);
  });

  test.each<[string, Script]>([
    [
      'ends early',
      (_, r) => {
        r.writeHead(206, part);
        r.write(PART.subarray(0, 100));
        setTimeout(() => r.destroy(), 20);
      },
    ],
    [
      'announces what never comes',
      (_, r) => {
        r.writeHead(206, part);
        r.write(PART.subarray(0, 1));
      },
    ],
    ['never begins', () => undefined],
    [
      'drips',
      (_, r) => {
        r.writeHead(206, part);
        let sent = 0;
        const timer = setInterval(() => {
          r.write(PART.subarray(sent, sent + 1));
          sent += 1;
        }, 100);
        r.on('close', () => {
          clearInterval(timer);
        });
      },
    ],
  ])('that %s is given up', async (_name, answer) => {
    const { store, notices } = await stores.before(answer);
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_UNREACHABLE');
    expect(message).toContain('did not answer');
    expect(notices.length).toBeLessThanOrEqual(1);
  });

  test('that takes longer than a silence may last is awaited while its bytes come', async () => {
    const limits = { connectMsMax: 1000, idleMsMax: 1000, bytesPerSecondMin: 50 };
    const script: Script = (_, response) => {
      response.writeHead(206, part);
      let sentBytes = 0;
      const timer = setInterval(() => {
        response.write(PART.subarray(sentBytes, sentBytes + 125));
        sentBytes += 125;
        if (sentBytes === PART.length) clearInterval(timer);
      }, 400);
    };
    const { store } = await stores.before(script, { limits });
    expect(PART.equals(await valueOf(store.get(RANGE)))).toBe(true);
  }, 20_000);

  test('is right the second time where it was nonsense, cut off or busy the first', async () => {
    const script: Script = (_, response, number) => {
      if (number === 0) response.writeHead(206, part).end(PART.subarray(0, 499));
      else if (number === 1) response.destroy();
      else if (number === 2) response.writeHead(503).end(errorXml('SlowDown'));
      else response.writeHead(206, part).end(PART);
    };
    const { store } = await stores.before(script, { patienceMs: 5000 });
    expect(PART.equals(await valueOf(store.get(RANGE)))).toBe(true);
    expect(stores.requests()).toBe(4);
  });
});

describe('a refusal', () => {
  test.each([
    [403, 'SignatureDoesNotMatch', 'STORE_REFUSED', 'credentials'],
    [403, 'AccessDenied', 'STORE_REFUSED', 'credentials'],
    [400, 'InvalidBucketName', 'STORE_REFUSED', 'InvalidBucketName'],
    [404, 'NoSuchBucket', 'STORE_MISSING', 'no bucket'],
    [501, 'NotImplemented', 'STORE_REFUSED', 'NotImplemented'],
    [507, 'InsufficientStorage', 'DISK_FULL', 'no room'],
    [403, 'QuotaExceeded', 'DISK_FULL', 'no room'],
  ])('%d %s is told at once as %s', async (status, code, expected, word) => {
    const { store, notices } = await stores.before((_, r) => {
      r.writeHead(status).end(
        errorXml(code, `<StringToSign>${SCRIPTED_CREDENTIALS.sessionToken}</StringToSign>`),
      );
    });
    const failure = told(await failureOf(store.put(PACK)));
    expect(failure.code).toBe(expected);
    expect(failure.message).toContain(word);
    expect(stores.requests()).toBe(1);
    expect(notices).toEqual([]);
  });

  test('for want of a bucket that was there a moment ago is not believed at once', async () => {
    const script: Script = (_, response, number) => {
      if (number === 0 || number === 3) response.writeHead(206, part).end(PART);
      else response.writeHead(404).end(errorXml('NoSuchBucket'));
    };
    const { store, notices } = await stores.before(script, { patienceMs: 2000 });
    await valueOf(store.get(RANGE));
    expect(PART.equals(await valueOf(store.get(RANGE)))).toBe(true);
    expect(stores.requests()).toBe(4);
    expect((await failureOf(store.get(RANGE))).code).toBe('STORE_MISSING');
    expect(notices[0]).toContain('NoSuchBucket');
  });

  test('that gives back the request says nothing of it', async () => {
    const { store } = await stores.before((request, r) => {
      r.writeHead(403, { 'x-amz-bucket-region': String(request.headers['x-amz-security-token']) });
      r.end(errorXml(String(request.headers.authorization)));
    });
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_REFUSED');
    expect(message).toContain('status 403');
  });

  test.each([301, 302, 307, 308])('by a redirect (%d) is not followed', async (status) => {
    let isFollowed = false;
    const target = createServer((_, response) => {
      isFollowed = true;
      response.end();
    });
    const port = await freePort();
    await new Promise<void>((resolve) => target.listen(port, '127.0.0.1', resolve));
    const { store } = await stores.before((_, r) => {
      const region = { 'x-amz-bucket-region': 'eu-west-9' };
      r.writeHead(status, { location: `http://127.0.0.1:${port}/`, ...region });
      r.end(errorXml('PermanentRedirect'));
    });
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_REFUSED');
    expect(message).toContain('region eu-west-9');
    expect(isFollowed).toBe(false);
    await new Promise((resolve) => target.close(resolve));
  });

  test('before all of a pack was sent is heard all the same', async () => {
    const large = makePack({ seed: 22, sizeBytes: 8 * 2 ** 20 });
    const refused = `HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: ${errorXml('AccessDenied').length}\r\n\r\n${errorXml('AccessDenied')}`;
    const { store } = await stores.beforeSocket(
      (socket) => {
        socket.once('data', (head) => {
          // Asked first, it answers; else it resets the connection, and what it said is lost.
          if (head.toString('latin1').includes('100-continue')) socket.end(refused);
          else socket.resetAndDestroy();
        });
      },
      { patienceMs: 5000 },
    );
    const { code, message } = told(await failureOf(store.put(large)));
    expect(code).toBe('STORE_REFUSED');
    expect(message).toContain('AccessDenied');
  }, 20_000);

  test('for credentials that expired is met with newer ones, once', async () => {
    const used: string[] = [];
    let asked = 0;
    const credentials = () => {
      asked += 1;
      return Promise.resolve({ ...SCRIPTED_CREDENTIALS, accessKeyId: `KEY${asked}` });
    };
    const { store } = await stores.before(
      (request, r) => {
        used.push(/Credential=([A-Z0-9]+)/u.exec(request.headers.authorization ?? '')?.[1] ?? '');
        r.writeHead(400).end(errorXml('ExpiredToken'));
      },
      { credentials },
    );
    expect((await failureOf(store.get(RANGE))).code).toBe('STORE_REFUSED');
    expect(used).toEqual(['KEY1', 'KEY2']);
  });

  test('to give credentials says where they are looked for, and nothing that was said', async () => {
    const failure = Object.assign(new TypeError('sEcReT'), { name: 'ProviderError' });
    const { store } = await stores.before((_, r) => r.end(), {
      credentials: () => Promise.reject(failure),
    });
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_REFUSED');
    expect(message).toContain('AWS_ACCESS_KEY_ID');
    expect(message).toContain('ProviderError');
    expect(stores.requests()).toBe(0);
  });
});

describe('below HTTP', () => {
  test('a port where nobody listens: tried again, told, and given up in time', async () => {
    const { store, notices } = stores.at(`http://127.0.0.1:${await freePort()}`);
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_UNREACHABLE');
    expect(message).toContain('ECONNREFUSED');
    expect(notices).toHaveLength(1);
    expect(notices[0]).toContain('trying again for up to 1 s');
  });

  test('a host that is not there', async () => {
    const { store } = stores.at('http://no-such-host.invalid');
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_UNREACHABLE');
    expect(message).toContain('no-such-host.invalid');
  });

  test.each([
    [
      'another protocol',
      (socket: { end(text: string): void }) => {
        socket.end('SSH-2.0-x\r\n');
      },
    ],
    [
      'a header without an end',
      (socket: { write(text: string): void }) => {
        socket.write(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(100_000)}`);
      },
    ],
  ])('%s is not believed', async (_name, talk) => {
    const { store } = await stores.beforeSocket((socket) => {
      socket.once('data', () => {
        talk(socket);
      });
    });
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_UNREACHABLE');
    expect(message).toContain('HPE_');
  });

  test('a server without TLS where TLS was asked for is said to be one, at once', async () => {
    const port = await freePort();
    const plain = createServer((_, r) => r.end());
    await new Promise<void>((resolve) => plain.listen(port, '127.0.0.1', resolve));
    const { store } = stores.at(`https://127.0.0.1:${port}`);
    const { code, message } = told(await failureOf(store.get(RANGE)));
    expect(code).toBe('STORE_UNREACHABLE');
    expect(message).toContain('speaks without TLS');
    await new Promise((resolve) => plain.close(resolve));
  });

  test('a store that is closed ends what waits, and takes nothing more', async () => {
    const { store } = stores.at(`http://127.0.0.1:${await freePort()}`, { patienceMs: 60_000 });
    const waiting = failureOf(store.get(RANGE));
    await store.close();
    expect((await waiting).code).toBe('LEDGER_CLOSED');
    expect((await failureOf(store.put(PACK))).code).toBe('LEDGER_CLOSED');
  });
});

// What answers where a memory server was expected, and is none: it is let go of before anything is made of it.

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { FarClient } from '../../../../adapters/faces/nbd/far-client.ts';
import {
  HANDSHAKE_MAGIC,
  OPTION_MAGIC,
  OPTION_REPLY_MAGIC,
  REQUEST_MAGIC,
  SIMPLE_REPLY_MAGIC,
} from '../../../../adapters/faces/nbd/protocol.ts';
import type { ListenAddress } from '../../../../adapters/faces/sockets/listen-address.ts';

describe('what is no memory server', () => {
  let server: Server | null = null;
  afterEach(() => {
    server?.close();
    server = null;
  });
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return bytes;
  };
  const u64 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(value);
    return bytes;
  };
  const GREETING = Buffer.concat([u64(HANDSHAKE_MAGIC), u64(OPTION_MAGIC), Buffer.from([0, 3])]);
  const reply = (type: number, data: Uint8Array, length = data.length): Buffer =>
    Buffer.concat([u64(OPTION_REPLY_MAGIC), u32(7), u32(type), u32(length), data]);
  const sized = (bytes: bigint): Buffer =>
    Buffer.concat([
      reply(3, Buffer.concat([Buffer.from([0, 0]), u64(bytes), Buffer.from([0, 1])])),
      reply(1, Buffer.alloc(0)),
    ]);

  async function answering(answer: (socket: Socket) => void): Promise<ListenAddress> {
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      answer(socket);
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
  }

  test.each<[string, (socket: Socket) => void]>([
    ['ends at once', (socket) => socket.end()],
    ['greets otherwise', (socket) => socket.write(Buffer.alloc(64, 1))],
    ['is cut in its greeting', (socket) => socket.end(GREETING.subarray(0, 11))],
    ['speaks an older form', (socket) => socket.write(Buffer.from(GREETING).fill(0, 17, 18))],
    [
      'answers another option',
      (socket) => socket.write(Buffer.concat([GREETING, Buffer.alloc(20)])),
    ],
    [
      'claims more than is taken',
      (socket) => socket.write(Buffer.concat([GREETING, reply(3, Buffer.alloc(0), 2 ** 31)])),
    ],
    [
      'never comes to an end',
      (socket) =>
        socket.write(
          Buffer.concat([
            GREETING,
            ...Array.from({ length: 500 }, () => reply(3, Buffer.alloc(64))),
          ]),
        ),
    ],
    [
      'does not say how large it is',
      (socket) => socket.write(Buffer.concat([GREETING, reply(1, Buffer.alloc(0))])),
    ],
    [
      'claims to be larger than can be',
      (socket) => socket.write(Buffer.concat([GREETING, sized(2n ** 63n)])),
    ],
  ])('and %s is refused', async (_, answer) => {
    const address = await answering(answer);
    await expect(FarClient.open(address, { name: 'memory', key: null })).rejects.toMatchObject({
      code: expect.stringMatching(/^PEER_/u),
    });
  });

  test.each<[string, Buffer]>([
    ['nothing that was asked', Buffer.concat([u32(SIMPLE_REPLY_MAGIC), u32(0), u64(99n)])],
    ['no reply', Buffer.alloc(16, 3)],
    ['an error', Buffer.concat([u32(SIMPLE_REPLY_MAGIC), u32(5), u64(1n)])],
  ])('and answers a read with %s is done with', async (_, answer) => {
    const address = await answering((socket) => {
      socket.write(Buffer.concat([GREETING, sized(4096n)]));
      socket.on('data', (chunk: Buffer) => {
        // What came before it may be in the same piece.
        if (chunk.includes(u32(REQUEST_MAGIC))) socket.write(answer);
      });
    });
    const client = await FarClient.open(address, { name: 'memory', key: null });
    await expect(client.read(0, 4096)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' });
    await expect(client.read(0, 4096)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' });
    await expect(client.readAll(1024)).rejects.toMatchObject({ code: 'PEER_REFUSED' });
  });
});

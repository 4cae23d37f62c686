import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  ClientMessages,
  type ClientMessage,
} from '../../../../adapters/faces/nbd/client-messages.ts';
import { COMMAND, OPTION } from '../../../../adapters/faces/nbd/protocol.ts';
import {
  CLIENT_FLAGS,
  goData,
  optionBytes,
  requestBytes,
} from '../../../support/clients/nbd-client.ts';

/** Messages of bytes that come in these pieces; commands begin after a GO. */
function messagesOf(pieces: readonly Uint8Array[]): ClientMessage[] {
  const messages = new ClientMessages();
  const found: ClientMessage[] = [];
  for (const piece of pieces) {
    messages.push(Buffer.from(piece));
    for (let each = messages.next(); each !== null; each = messages.next()) {
      found.push(each);
      if (each._tag === 'option' && each.option === OPTION.go) messages.beginRequests();
    }
  }
  return found;
}

const cutAt = (bytes: Uint8Array, places: readonly number[]): Uint8Array[] => {
  const ordered = [0, ...places.toSorted((a, b) => a - b), bytes.length];
  return ordered.slice(1).map((end, i) => bytes.subarray(ordered[i], end));
};

describe('what a client of NBD says', () => {
  const said = Buffer.concat([
    CLIENT_FLAGS,
    optionBytes(OPTION.list),
    optionBytes(OPTION.go, goData('web/@3')),
    requestBytes({ command: COMMAND.write, lengthBytes: 5000 }),
    Buffer.alloc(5000, 0x25),
    requestBytes({ command: COMMAND.read, offsetBytes: 2n ** 63n, lengthBytes: 12, cookie: 9n }),
  ]);

  test('is the same in whatever pieces it comes', () => {
    const whole = messagesOf([said]);
    expect(whole.map(({ _tag }) => _tag)).toEqual([
      'flags',
      'option',
      'option',
      'request',
      'request',
    ]);
    expect(whole.at(-1)).toMatchObject({ offsetBytes: 2n ** 63n, lengthBytes: 12, cookie: 9n });
    fc.assert(
      fc.property(fc.array(fc.nat(said.length), { maxLength: 40 }), (places) => {
        expect(messagesOf(cutAt(said, places))).toEqual(whole);
      }),
    );
    expect(messagesOf(Array.from(said, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  test('is no more than an option of 64 KiB: a larger one is told before anything is kept of it', () => {
    const found = messagesOf([
      CLIENT_FLAGS,
      optionBytes(OPTION.go, Buffer.alloc(9), 2 ** 32 - 1),
      said,
    ]);
    expect(found.slice(1)).toEqual([
      { _tag: 'option too big', option: OPTION.go, lengthBytes: 2 ** 32 - 1 },
    ]);
  });

  test('is held no longer than it is read: what comes with a write of 4 GiB is passed over', () => {
    const messages = new ClientMessages();
    messages.beginRequests();
    messages.push(requestBytes({ command: COMMAND.write, lengthBytes: 2 ** 32 - 1 }));
    expect(messages.next()).toMatchObject({ command: COMMAND.write });
    const piece = Buffer.alloc(2 ** 20);
    for (let left = 2 ** 32 - 1; left > 0; left -= piece.length) {
      messages.push(piece.subarray(0, Math.min(left, piece.length)));
      expect(messages.next()).toBeNull();
    }
    messages.push(requestBytes({ command: COMMAND.flush }));
    expect(messages.next()).toMatchObject({ command: COMMAND.flush });
  });

  test.each([
    ['an option', [CLIENT_FLAGS, Buffer.alloc(16, 0x47)]],
    ['a command', [CLIENT_FLAGS, optionBytes(OPTION.go, goData('x')), Buffer.alloc(28, 0x47)]],
  ])('ends where %s begins with something else', (_what, pieces) => {
    const found = messagesOf([...pieces, said]);
    expect(found.at(-1)).toMatchObject({ _tag: 'broken' });
    expect(found).toHaveLength(pieces.length);
  });
});

// Messages of the Debug Adapter Protocol as bytes, in whatever pieces they come, and what is none.

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  BadFrame,
  frameOf,
  FrameReader,
  MESSAGE_BYTES_MAX,
  type Request,
} from '../../../../adapters/faces/dap/frames.ts';

const request = (seq: number, more: object = {}): Request => ({
  seq: seq as Request['seq'],
  type: 'request',
  command: 'threads',
  ...more,
});
const taken = (reader: FrameReader, bytes: Uint8Array): Request[] => [...reader.take(bytes)];

describe('messages', () => {
  test('come in whatever pieces', () => {
    const sent = [request(1), request(2, { arguments: { name: 'Grüße' } }), request(3)];
    const bytes = Buffer.concat(sent.map(frameOf));
    fc.assert(
      fc.property(fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 }), (cuts) => {
        const reader = new FrameReader();
        const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const found = places.flatMap((from, i) =>
          taken(reader, bytes.subarray(from, places[i + 1] ?? from)),
        );
        expect(found).toEqual(sent);
      }),
    );
  });

  test('have other headers too, in whatever letters', () => {
    const body = JSON.stringify(request(1));
    const header = `Content-Type: x\r\ncontent-length:${body.length}`;
    expect(taken(new FrameReader(), Buffer.from(`${header}\r\n\r\n${body}`))).toHaveLength(1);
  });

  test('that are none are refused, before memory is taken for them', () => {
    const framed = (text: string): string => `Content-Length: ${text.length}\r\n\r\n${text}`;
    for (const [bytes, why] of [
      [`Content-Length: ${MESSAGE_BYTES_MAX + 1}\r\n\r\n`, /longer than/u],
      ['Content-Length: 99999999999999999999\r\n\r\n', /decimal digits/u],
      ['Content-Length: -1\r\n\r\n', /decimal digits/u],
      ['Content-Length: 0x10\r\n\r\n', /decimal digits/u],
      ['Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}', /one Content-Length/u],
      ['Content-Type: x\r\n\r\n', /one Content-Length/u],
      ['GET / HTTP/1.1\r\n\r\n', /a header such as/u],
      ['x'.repeat(5000), /does not end/u],
      [framed('{'), /no JSON/u],
      [framed('[]'), /no request/u],
      [framed('null'), /no request/u],
      [framed('{"seq":1,"type":"event","command":"x"}'), /no request/u],
      [framed('{"seq":"1","type":"request","command":"x"}'), /no request/u],
    ] as const)
      expect(() => taken(new FrameReader(), Buffer.from(bytes))).toThrow(why);
  });

  test('of any bytes make nothing fail otherwise', () => {
    const part = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom('Content-Length: ', '\r\n\r\n', '7', '{"seq":1}').map((s) => Buffer.from(s)),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const reader = new FrameReader();
        const failed = parts.map((bytes) => {
          try {
            taken(reader, bytes);
            return true;
          } catch (thrown) {
            return thrown instanceof BadFrame;
          }
        });
        expect(failed).not.toContain(false);
      }),
    );
  });
});

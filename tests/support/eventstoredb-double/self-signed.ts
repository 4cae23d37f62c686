// A certificate for the loopback address that signs itself, so that a test can speak TLS, and send
// credentials, without a tool or a file of its own. X.509 version 3, ECDSA over P-256.

import { createSign, generateKeyPairSync, randomBytes } from 'node:crypto';

/** PEM texts; the certificate is its own authority. */
export interface SelfSigned {
  readonly certificate: string;
  readonly key: string;
}

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  dnsName: 0x82,
  ipAddress: 0x87,
} as const;

// Object identifiers as they are encoded.
const ECDSA_WITH_SHA256 = '2a8648ce3d040302';
const COMMON_NAME = '550403';
const SUBJECT_ALTERNATIVE_NAME = '551d11';
const BASIC_CONSTRAINTS = '551d13';

const DAY_MS = 86_400_000;

/** Makes a certificate for 127.0.0.1 and localhost that is valid from yesterday to tomorrow. */
export function selfSigned(): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const algorithm = der(TAG.sequence, oid(ECDSA_WITH_SHA256));
  const name = der(
    TAG.sequence,
    der(TAG.set, der(TAG.sequence, oid(COMMON_NAME), der(TAG.utf8, Buffer.from('test double')))),
  );
  const serial = randomBytes(8);
  // Positive, and without a leading zero.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const body = der(
    TAG.sequence,
    der(TAG.version, der(TAG.integer, Buffer.from([2]))),
    der(TAG.integer, serial),
    algorithm,
    name,
    der(TAG.sequence, time(Date.now() - DAY_MS), time(Date.now() + DAY_MS)),
    name,
    publicKey,
    der(TAG.extensions, der(TAG.sequence, alternativeNames(), ownAuthority())),
  );
  const signature = createSign('SHA256').update(body).sign(privateKey);
  const certificate = der(
    TAG.sequence,
    body,
    algorithm,
    der(TAG.bits, Buffer.from([0]), signature),
  );
  const lines = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey,
  };
}

const alternativeNames = (): Buffer =>
  extension(
    SUBJECT_ALTERNATIVE_NAME,
    der(
      TAG.sequence,
      der(TAG.ipAddress, Buffer.from([127, 0, 0, 1])),
      der(TAG.dnsName, Buffer.from('localhost')),
    ),
  );

const ownAuthority = (): Buffer =>
  extension(BASIC_CONSTRAINTS, der(TAG.sequence, der(TAG.boolean, Buffer.from([0xff]))));

const extension = (id: string, value: Buffer): Buffer =>
  der(TAG.sequence, oid(id), der(TAG.octets, value));

const oid = (hex: string): Buffer => der(TAG.oid, Buffer.from(hex, 'hex'));

/** YYMMDDhhmmssZ */
const time = (timeMs: number): Buffer => {
  const text = new Date(timeMs).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
  return der(TAG.utcTime, Buffer.from(`${text}Z`));
};

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

function lengthOf(lengthBytes: number): Buffer {
  if (lengthBytes < 0x80) return Buffer.from([lengthBytes]);
  if (lengthBytes < 0x100) return Buffer.from([0x81, lengthBytes]);
  return Buffer.from([0x82, lengthBytes >> 8, lengthBytes & 0xff]);
}

// Whether a server speaks TLS: for a client that was told one thing and gets no answer, or none that it
// can read, so that it can say so instead of what its library makes of it. Nothing secret is sent, and
// nothing that comes back is believed but its kind.

import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';

export type Spoken = 'tls' | 'plain';

export interface ServerPlace {
  readonly host: string;
  readonly port: number;
}

const ASK_MS_MAX = 2000;

/** What comes back is no record of TLS. */
const NO_RECORD = /wrong.version.number|packet.length.too.long|http.request/iu;
/** The server has said so in TLS. */
const ALERT = /alert/iu;
/** The first bytes of records of TLS: an alert, a handshake. */
const RECORDS = [0x15, 0x16];

/** How HTTP/2 begins; a server of HTTP/1 answers it as well. */
const OPENING = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
const FRAME_HEADER_BYTES = 9;
const FRAME_TYPE_MAX = 9;

/** What a socket tells; null where it tells nothing in time. */
const ask = (
  socket: Socket,
  listen: (tell: (spoken: Spoken | null) => void) => void,
): Promise<Spoken | null> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => tell(null), ASK_MS_MAX);
    function tell(spoken: Spoken | null): void {
      clearTimeout(timer);
      resolve(spoken);
      socket.destroy();
    }
    socket.on('close', () => tell(null));
    listen(tell);
  });

function askSecurely({ host, port }: ServerPlace): Promise<Spoken | null> {
  const socket = connectSecure({
    host,
    port,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ALPNProtocols: ['h2', 'http/1.1'],
    // Whose it is does not matter here: the connection ends before anything is said.
    rejectUnauthorized: false,
  });
  return ask(socket, (tell) => {
    socket.on('secureConnect', () => tell('tls'));
    socket.on('error', (failure: NodeJS.ErrnoException) => {
      const text = `${failure.code ?? ''} ${failure.message}`;
      tell(NO_RECORD.test(text) ? 'plain' : ALERT.test(text) ? 'tls' : null);
    });
  });
}

function kindOf(bytes: Buffer): Spoken | null {
  if (RECORDS.includes(bytes[0]!)) return 'tls';
  const isFrame = bytes.length >= FRAME_HEADER_BYTES && bytes[3]! <= FRAME_TYPE_MAX;
  return isFrame || bytes.toString('latin1').startsWith('HTTP/') ? 'plain' : null;
}

function askPlainly({ host, port }: ServerPlace): Promise<Spoken | null> {
  const socket = connectPlain({ host, port });
  return ask(socket, (tell) => {
    socket.on('connect', () => socket.write(OPENING));
    socket.on('data', (bytes: Buffer) => tell(kindOf(bytes)));
    socket.on('error', () => tell(null));
  });
}

/** What a server speaks; null where that cannot be told. It takes up to 4 s. */
export const spokenBy = async (place: ServerPlace): Promise<Spoken | null> =>
  (await askSecurely(place)) ?? (await askPlainly(place));

import { spawnSync } from 'node:child_process';
import { lstatSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { PrivateFolder } from '../../../../adapters/guests/private-folder.ts';
import { ListeningSocket } from '../../../../adapters/guests/qemu/private-socket.ts';

const THEIRS = 65_534;
const OTHERS = 65_533;
const isRoot = process.getuid?.() === 0;

const modeOf = (path: string): number => lstatSync(path).mode & 0o777;

/** What a process of another user is told that connects to the socket and looks around. */
function toldTo(uid: number, path: string): string {
  const program = `
import os, socket, sys
path = sys.argv[1]
folder = os.path.dirname(path)
def attempt(name, work):
    try: work(); print(name, 'yes')
    except OSError as error: print(name, error.strerror)
attempt('connect', lambda: socket.socket(socket.AF_UNIX).connect(path))
attempt('list', lambda: os.listdir(folder))
attempt('remove', lambda: os.unlink(path))
`;
  const { stdout } = spawnSync('python3', ['-c', program, path], { uid, encoding: 'utf8' });
  return stdout;
}

describe('a socket in a private folder', () => {
  test('is reached by nobody but its user', async () => {
    const folder = new PrivateFolder();
    const socket = await ListeningSocket.listen({ path: folder.socket('a.sock') });
    expect(modeOf(folder.path)).toBe(0o700);
    socket.close();
    folder.remove();
  });
});

(isRoot ? describe : describe.skip)('the socket of another user (needs root)', () => {
  test('stays in a folder of ours, and is reached by that user alone', async () => {
    const folder = new PrivateFolder();
    const path = folder.socket('a.sock');
    const socket = await ListeningSocket.listen({ path, uid: THEIRS });
    const { uid } = lstatSync(folder.path);
    expect({ uid, mode: modeOf(folder.path) }).toEqual({ uid: 0, mode: 0o711 });
    expect({ uid: lstatSync(path).uid, mode: modeOf(path) }).toEqual({ uid: THEIRS, mode: 0o600 });
    const denied = ['list Permission denied', 'remove Permission denied', ''];
    expect(toldTo(OTHERS, path).split('\n')).toEqual(['connect Permission denied', ...denied]);
    expect(toldTo(THEIRS, path).split('\n')).toEqual(['connect yes', ...denied]);
    socket.close();
    folder.remove();
  });
});

// The windows read last, in memory: a reader goes through a pack in steps that are smaller than a
// window, or begin in the one where the last step ended.

import type { Window } from './window-file.ts';

export interface RecentWindows {
  get(key: string): Window | null;
  set(key: string, window: Window): void;
  /** Forgets those whose key begins so. */
  drop(prefix: string): void;
}

/** Windows of at most `bytesMax` bytes in all; those used least recently go first. */
export function createRecentWindows(bytesMax: number): RecentWindows {
  // In the order of their last use, as a Map keeps the order of its insertions.
  const windows = new Map<string, Window>();
  let bytes = 0;

  function remove(key: string): Window | null {
    const window = windows.get(key);
    if (window === undefined) return null;
    windows.delete(key);
    bytes -= window.bytes.length;
    return window;
  }

  function set(key: string, window: Window): void {
    remove(key);
    windows.set(key, window);
    bytes += window.bytes.length;
    for (const oldest of windows.keys()) {
      if (bytes <= bytesMax) return;
      remove(oldest);
    }
  }

  return {
    get(key) {
      const window = remove(key);
      if (window !== null) set(key, window);
      return window;
    },
    set,
    drop(prefix) {
      for (const key of windows.keys()) if (key.startsWith(prefix)) remove(key);
    },
  };
}

// What the demonstration guest does: a workload in busybox's shell and awk, the same for the same
// seed. It holds an array of numbers and files in memory, changes some of both every tick and prints
// `T n=<tick> sum=<checksum>`. The checksum goes on from the last one and runs over parts of the
// array and a whole file in turn, so a guest that goes on with the same lines as another has the
// same memory and the same registers.

import type { ArchiveEntry } from './initramfs.ts';

const APPLETS = ['sh', 'mount', 'mkdir', 'awk', 'sleep', 'md5sum', 'cat', 'poweroff', 'sed', 'cp'];

const INIT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs -o size=60% tmpfs /data
value() { sed -n "s/.*\\\\b$1=\\\\([0-9.]*\\\\).*/\\\\1/p" /proc/cmdline; }
exec awk -v seed="$(value seed)" -v pause="$(value pause)" -f /workload.awk >/dev/console 2>&1
`;

const WORKLOAD = `function next_number() {
  state = (state * 69069 + 1234567) % 4294967296
  return state
}
function build(file, lines,   i) {
  for (i = 0; i < lines; i++) printf "%010d%010d%010d%010d\\n", next_number(), next_number(), next_number(), i > file
  close(file)
}
function copies(file,   i, all) {
  all = ""
  for (i = 0; i < 8; i++) all = all " " file
  return all
}
function digest(file,   line, command) {
  command = "md5sum " file
  command | getline line
  close(command)
  return line
}
function mix(value) { sum = (sum * 31 + value) % 2147483647 }
BEGIN {
  state = seed + 1
  sum = seed
  cells = 20000
  files = 16
  for (i = 0; i < cells; i++) cell[i] = next_number()
  for (i = 0; i < files; i++) {
    build("/data/part", 256)
    system("cat" copies("/data/part") " > /data/half; cat" copies("/data/half") " > /data/f" i)
  }
  print "WORKLOAD seed=" seed
  for (tick = 0; ; tick++) {
    for (i = 0; i < 400; i++) cell[next_number() % cells] = next_number()
    from = (tick * 2500) % cells
    for (i = from; i < from + 2500; i++) mix(cell[i])
    file = "/data/f" (tick % files)
    line = digest(file)
    for (i = 1; i <= 32; i += 4) mix(index("0123456789abcdef", substr(line, i, 1)) * 16 + tick)
    build("/data/part", 64)
    system("cat" copies("/data/part") " /data/part > " file)
    printf "T n=%d sum=%d md5=%s\\n", tick, sum, substr(line, 1, 8)
    fflush()
    system("sleep " pause)
  }
}
`;

/** The files of the guest, around a static busybox. */
export function workloadFiles(busybox: Uint8Array): readonly ArchiveEntry[] {
  const folders = ['bin', 'proc', 'sys', 'dev', 'data'];
  return [
    ...folders.map((path): ArchiveEntry => ({ path, kind: 'folder' })),
    { path: 'dev/console', kind: 'device', mode: 0o600, device: [5, 1] },
    { path: 'bin/busybox', kind: 'file', content: busybox },
    ...APPLETS.map((name): ArchiveEntry => ({
      path: `bin/${name}`,
      kind: 'link',
      content: 'busybox',
    })),
    { path: 'init', kind: 'file', content: INIT },
    { path: 'workload.awk', kind: 'file', content: WORKLOAD, mode: 0o644 },
  ];
}

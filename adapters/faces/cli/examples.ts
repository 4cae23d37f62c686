// An example or two of every command, as its help and the manual page show them. Names stand for: the VM
// web, whose captures have the checkpoint before-upgrade, and files of memory in the folder.

const QEMU = 'qemu-system-x86_64 -m 192';

/** By the words of the command. */
export const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  init: ['pageledger init'],
  'record image': [
    'pageledger record image --init --vm web monday.raw tuesday.raw',
    'pageledger record image --vm web --new images/',
  ],
  'record qemu': [
    'pageledger record qemu --vm web --qmp /run/guest.qmp --every 10s',
    'pageledger record qemu --all /run/guests --every 1m',
  ],
  restore: [
    'pageledger restore --vm web --at @2 --to back.raw',
    'pageledger restore --at web/cp:before-upgrade --to back.elf --format elf',
  ],
  resume: [`pageledger resume --at web/cp:before-upgrade -- ${QEMU}`],
  clone: [`pageledger clone --at web@2 --count 8 -- ${QEMU}`],
  clones: ['pageledger clones --vm web'],
  'serve nbd': ['pageledger serve nbd --vm web --listen unix:/run/web.sock'],
  mount: ['pageledger mount --at web@2 /mnt/web'],
  unmount: ['pageledger unmount /mnt/web'],
  vms: ['pageledger vms'],
  captures: [
    'pageledger captures --vm web',
    'pageledger captures --vm web --since yesterday --reverse',
  ],
  checkpoints: ['pageledger checkpoints --vm web'],
  log: [
    'pageledger log --vm web --last 20',
    'pageledger log --type SharingBroken --pages',
    'pageledger log --raw',
  ],
  subscribe: [
    'pageledger subscribe --type CaptureCommitted --until-caught-up',
    'pageledger subscribe --cursor audited --until-caught-up',
  ],
  history: [
    'pageledger history --vm web --page 3',
    'pageledger history --vm web --address 0x3000 --last 5',
  ],
  who: ['pageledger who --file page.bin', 'pageledger who --vm web --page 3 --at @2'],
  diff: ['pageledger diff web@1 web@2 --bytes', 'pageledger diff --vm web @1 latest --page 0-15'],
  read: ['pageledger read --at web@2 --address 0x3000 --length 64'],
  values: ['pageledger values --vm web --address 0x3000 --type u32'],
  find: ["pageledger find --text 'BEGIN PRIVATE KEY'"],
  ps: ['pageledger ps --vm web --since @1'],
  owners: ['pageledger owners --at web@2'],
  dmesg: ['pageledger dmesg --vm web'],
  symbols: ['pageledger symbols --vm web init_task'],
  'export symbols': ['pageledger export symbols --vm web --to vmlinux.debug'],
  gdb: ['pageledger gdb --vm web'],
  bisect: ["pageledger bisect --vm web --when 'u32 0x3000 != 0'"],
  sharing: ['pageledger sharing --at web@2', 'pageledger sharing --what-if'],
  checkpoint: [
    'pageledger checkpoint --name before-upgrade --at web@2',
    'pageledger checkpoint --vm web --name before-upgrade --drop',
  ],
  leases: ['pageledger leases'],
  lease: ['pageledger lease --end 5f1c2ab34d60789e'],
  forget: [
    "pageledger forget --vm 'web*' --keep-last 4 --keep-daily 7 --dry-run",
    'pageledger forget --at web@1',
  ],
  compact: ['pageledger compact --dry-run', 'pageledger compact'],
  retire: ['pageledger retire --vm web'],
  drop: ['pageledger drop --vm web'],
  head: ['pageledger head'],
  verify: ['pageledger verify', 'pageledger verify --repair --from-image monday.raw'],
  patterns: ['pageledger patterns'],
  'patterns add': [String.raw`pageledger patterns add '(?:\xde\xad-free)+'`],
  copy: ['pageledger copy ./.pageledger /backup/ledger'],
  demo: ['pageledger demo'],
  'group list': ['pageledger group list'],
  'group export': ['pageledger group export --group default --to default.key'],
  'group import': ['pageledger group import default.key'],
  'host join': ['pageledger host join --distance two=10'],
  'host list': ['pageledger host list'],
  'host leave': ['pageledger host leave'],
  completion: ['pageledger completion bash > /etc/bash_completion.d/pageledger'],
  man: ['pageledger man | man -l -'],
};

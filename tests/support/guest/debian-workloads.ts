// What the Debian guests of tests and benches do: databases under load, a C compiler, a script that
// counts and sorts words. Each prints `T n=<tick>` on the console and takes its size from `$SCALE`: the
// megabytes that it holds, roughly. None of them reads anything from outside.

/** A tick's line on the console. */
export const WORK_LINE = /^T n=(\d+)/u;

/** The first program of every guest; `$WORK` is what it runs, `$SCALE` how much. */
export const initScript = (request: { readonly work: string; readonly scale: number }): string =>
  `#!/bin/sh
export PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/tmp PYTHONHASHSEED=1 SCALE=${request.scale}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs -o size=60% tmpfs /tmp
exec </dev/null >/dev/console 2>&1
ifconfig lo 127.0.0.1 up
${request.work}
echo "the workload ended with $?"
sleep 100000
`;

export const DATABASE = `redis-server --save '' --appendonly no --daemonize yes --logfile /tmp/redis.log
python3 /work.py`;

/** Documents in Redis, orders in SQLite, a cache in Python, all of them changing all the time. */
export const DATABASE_PROGRAM = `import os, random, socket, sqlite3, time
random.seed(7)
pick = random.randrange
SCALE = int(os.environ['SCALE'])
DOCUMENTS = 700 * SCALE
ORDERS = 1500 * SCALE
WORDS = [''.join(random.choice('abcdefghijklmnopqrstuvwxyz') for _ in range(3 + pick(8))) for _ in range(2000)]

def text(count):
    return ' '.join(random.choices(WORDS, k=count))

def document(number):
    return ('{"id":%d,"customer":"customer-%d","at":%d,"token":"%032x","tags":["%s","%s"],"body":"%s"}' % (
        number, pick(5000), 1700000000 + number * 7, random.getrandbits(128),
        random.choice(WORDS), random.choice(WORDS), text(10 + pick(50)))).encode()

class Redis:
    def __init__(self):
        for attempt in range(200):
            try:
                self.socket = socket.create_connection(('127.0.0.1', 6379))
                break
            except OSError:
                time.sleep(0.1)
        self.answers = self.socket.makefile('rb')

    def send(self, commands):
        parts = []
        for command in commands:
            parts.append(b'*%d\\r\\n' % len(command))
            for word in command:
                parts.append(b'$%d\\r\\n%s\\r\\n' % (len(word), word))
        self.socket.sendall(b''.join(parts))
        for _ in commands:
            answer = self.answers.readline()
            assert answer[:1] in b'+:', answer

redis = Redis()
for first in range(0, DOCUMENTS, 100):
    redis.send([(b'SET', b'document:%d' % (first + i), document(first + i)) for i in range(100)])
shop = sqlite3.connect('/tmp/shop.db')
shop.execute('pragma journal_mode=wal')
shop.execute('create table orders(id integer primary key, customer text, item text, note text, amount real, at integer)')
shop.execute('create index by_customer on orders(customer)')
INSERT = 'insert into orders(customer, item, note, amount, at) values (?, ?, ?, ?, ?)'

def order(at):
    return ('customer-%d' % pick(3000), random.choice(WORDS), text(12), pick(10000) / 100, at)

shop.executemany(INSERT, (order(0) for _ in range(ORDERS)))
shop.commit()
cache = {}
tick = 0
while True:
    tick += 1
    redis.send([(b'SET', b'document:%d' % pick(DOCUMENTS), document(tick)) for _ in range(25)])
    redis.send([(b'INCR', b'hits:%d' % pick(4000)) for _ in range(100)])
    redis.send([(b'LPUSH', b'queue:%d' % pick(20), document(tick)[:200]) for _ in range(10)])
    shop.executemany('update orders set amount = amount + 1, at = ? where id = ?', [(tick, pick(ORDERS)) for _ in range(30)])
    shop.executemany(INSERT, [order(tick) for _ in range(20)])
    shop.commit()
    for _ in range(60):
        key = pick(20000)
        cache[key] = {'key': key, 'text': text(5), 'tick': tick}
    if tick % 5 == 0:
        like = 'customer-%d%%' % pick(100)
        shop.execute('select customer, sum(amount) from orders where customer like ? group by customer', (like,)).fetchall()
    print('T n=%d' % tick, flush=True)
    time.sleep(0.1)
`;

/** Units of C that differ from each other, compiled one after the other; the results are kept. */
export const COMPILER = `compiler=$(ls /usr/lib/gcc/x86_64-linux-gnu/*/cc1)
n=0
while :; do
  n=$((n + 1))
  unit=/tmp/unit$((n % SCALE))
  awk -v seed=$n -f /unit.awk > $unit.c
  $compiler -quiet -fpreprocessed -O2 -g $unit.c -o $unit.s || break
  echo "T n=$n"
done`;

export const COMPILER_PROGRAM = `BEGIN {
  srand(seed)
  for (f = 0; f < 12; f++) {
    printf "struct part%d { struct part%d *next; long weight[%d]; char name[%d]; };\\n", f, f, 2 + int(rand() * 6), 8 + int(rand() * 40)
    printf "long visit%d(struct part%d *part, long limit)\\n{\\n  long sum = %d;\\n", f, f, int(rand() * 1000)
    print "  for (; part; part = part->next) {"
    printf "    if (part->weight[0] > limit) sum += part->weight[1] * %d;\\n", 1 + int(rand() * 50)
    printf "    else for (long i = 0; i < %d; i++) sum ^= part->name[i] << (i & 7);\\n", 4 + int(rand() * 8)
    printf "    switch (sum & 7) { case 0: sum -= %d; break; case 3: sum *= %d; break; default: sum++; }\\n", int(rand() * 90), 3 + int(rand() * 9)
    if (f > 0) printf "    if (sum < 0) return visit%d((struct part%d *)part, limit - 1);\\n", f - 1, f - 1
    print "  }\\n  return sum;\\n}"
  }
}
`;

export const SCRIPT = 'perl /work.pl';

/** Reads Perl's own library, counts its words, sorts lines of it, and keeps most of both. */
export const SCRIPT_PROGRAM = `use strict;
$| = 1;
srand(11);
my @files = split /\\n/, \`find /usr -name '*.p[lm]' | sort\`;
my (%count, %where, @kept);
my $most = $ENV{SCALE} * 1000;
for (my $tick = 1; ; $tick++) {
  my $path = $files[int rand @files];
  open my $file, '<', $path or next;
  my @lines = <$file>;
  close $file;
  for my $line (@lines) {
    for my $word ($line =~ /(\\w{3,})/g) {
      $count{$word}++;
      $where{$word} = "$path:$tick" if keys %where < $most;
    }
  }
  push @kept, join '', sort @lines;
  shift @kept if @kept > $most / 20;
  open my $out, '>', '/tmp/sorted' . ($tick % $ENV{SCALE}) or die;
  print $out $kept[-1], scalar reverse $kept[-1];
  close $out;
  select undef, undef, undef, 0.02;
  print "T n=$tick\\n" if $tick % 10 == 0;
}
`;

/** Redis alone, fed by busybox: a guest of few packages. */
export const QUEUE = `redis-server --save '' --appendonly no --daemonize yes --logfile /tmp/redis.log
sleep 1
n=0
while :; do
  n=$((n + 1))
  awk -v seed=$n -v count=$((SCALE * 200)) -f /work.awk | nc 127.0.0.1 6379 > /dev/null || break
  echo "T n=$n"
done`;

export const QUEUE_PROGRAM = `BEGIN {
  srand(seed)
  for (i = 0; i < count; i++) {
    key = int(rand() * count * 4)
    printf "SET document:%d {id:%d,at:%d,token:%08x%08x,price:%d}\\r\\n", key, key, seed, rand() * 2147483647, rand() * 2147483647, rand() * 10000
    if (i % 4 == 0) printf "INCR hits:%d\\r\\n", rand() * 1000
  }
  printf "QUIT\\r\\n"
}
`;

/** SQLite's own shell on a table that grows and changes. */
export const TABLES = `n=0
while :; do
  n=$((n + 1))
  sed "s/TICK/$n/g; s/ROWS/$((SCALE * 250))/g" /work.sql | sqlite3 /tmp/shop.db > /dev/null || break
  echo "T n=$n"
done`;

export const TABLES_PROGRAM = `create table if not exists orders(id integer primary key, customer text, note text, amount real, at integer);
create index if not exists by_customer on orders(customer);
with recursive number(i) as (select 1 union all select i + 1 from number where i < ROWS)
insert into orders(customer, note, amount, at)
select 'customer-' || (i * 7919 + TICK) % 3000, 'order ' || i || ' of ' || hex(randomblob(8)), i * TICK % 10000 / 100.0, TICK from number;
update orders set amount = amount + 1, at = TICK where id % 97 = TICK % 97;
select customer, sum(amount) from orders where customer like 'customer-1%' group by customer;
`;

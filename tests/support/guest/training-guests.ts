// Guests whose memory the codec's tables are trained on (tests/bench/train-tables.ts): other programs
// than those of the guests that benches measure, on the other kernel. Free software of Debian's alone.

import type { GuestTools } from '../../../adapters/guests/demo-guest/tools.ts';
import { buildUserland, type BuiltGuest, type FoundGuests, type Userland } from './mixed-guests.ts';

export type TrainingKind = 'java' | 'ruby' | 'php' | 'shell';

const JAVA_WORK = `mkdir -p /etc/java-17-openjdk/security
echo '-server KNOWN' > /etc/java-17-openjdk/jvm-amd64.cfg
echo 'security.provider.1=SUN' > /etc/java-17-openjdk/security/java.security
/usr/lib/jvm/java-17-openjdk-amd64/bin/java -Xmx160m /Work.java`;

const JAVA_PROGRAM = `import java.util.*;
public class Work {
  record Entry(long id, String name, double price, List<String> tags) {}
  public static void main(String[] words) throws Exception {
    Random random = new Random(5);
    int most = Integer.parseInt(System.getenv("SCALE")) * 2000;
    Map<Long, Entry> entries = new HashMap<>();
    TreeMap<String, int[]> sorted = new TreeMap<>();
    for (int tick = 1; ; tick++) {
      for (int i = 0; i < 2000; i++) {
        long id = random.nextInt(most);
        String name = "entry " + Long.toString(id, 36) + " of tick " + tick;
        entries.put(id, new Entry(id, name, random.nextGaussian() * 100, List.of("tag" + id % 7, "kind" + id % 31)));
        int[] counts = sorted.computeIfAbsent("key/" + id % (most / 4), key -> new int[8]);
        counts[i & 7] += tick;
      }
      System.out.println("T n=" + tick);
      Thread.sleep(50);
    }
  }
}
`;

const RUBY_PROGRAM = `$stdout.sync = true
random = Random.new(3)
most = ENV['SCALE'].to_i * 700
Item = Struct.new(:id, :title, :weight, :links)
items = {}
lines = []
tick = 0
loop do
  tick += 1
  500.times do
    id = random.rand(most)
    items[id] = Item.new(id, "item-#{id} seen at #{tick}", random.rand * 50, [id / 2, id / 3, id + 1])
    lines << "<li id=#{id} class=row>#{items[id].title.upcase.reverse}</li>"
  end
  lines = lines.last(most)
  File.write("/tmp/page#{tick % 40}.html", lines.last(400).join("\n"))
  puts "T n=#{tick}"
  sleep 0.05
end
`;

const PHP_PROGRAM = `<?php
mt_srand(9);
$most = (int) getenv('SCALE') * 600;
$rows = [];
$index = [];
for ($tick = 1; ; $tick++) {
  for ($i = 0; $i < 400; $i++) {
    $id = mt_rand(0, $most);
    $rows[$id] = ['id' => $id, 'hash' => md5((string) $id), 'at' => 1.7e9 + $tick, 'words' => explode(' ', "row $id was changed in tick $tick")];
    $index[substr(md5((string) $id), 0, 3)][] = $id;
  }
  foreach ($index as $key => $ids) if (count($ids) > 60) $index[$key] = array_slice($ids, -30);
  file_put_contents('/tmp/rows' . $tick % 30, serialize(array_slice($rows, 0, 300)));
  echo "T n=$tick\n";
  usleep(50000);
}
`;

const SHELL_WORK = `n=0
while :; do
  n=$((n + 1))
  find /sys /proc -maxdepth 5 -type f 2>/dev/null | sed "s/^/$n /" > /tmp/names$((n % 9))
  awk -v seed=$n -v count=$((SCALE * 300)) -f /work.awk | sort > /tmp/numbers$((n % 9))
  cat /tmp/names* /tmp/numbers* | sort -k 2 > /tmp/all
  cat /proc/kallsyms > /tmp/symbols
  echo "T n=$n"
done`;

const SHELL_PROGRAM = `BEGIN {
  srand(seed)
  for (i = 0; i < count; i++) printf "%d,%s,%.3f,%c%c\n", rand() * 1000000, strftime("%Y-%m-%d %H:%M:%S", i * 977), rand() * 99, 65 + i % 26, 97 + i % 23
}
`;

const USERLANDS: Readonly<Record<TrainingKind, Userland>> = {
  java: {
    packages: {
      name: 'java',
      roots: ['openjdk-17-jre-headless'],
      follows: /^(?:libc6|libgcc-s1|libstdc|zlib1g)/u,
    },
    isLeftOut: (path) => path.startsWith('usr/bin/') || path.endsWith('/ct.sym'),
    work: JAVA_WORK,
    program: ['Work.java', JAVA_PROGRAM],
    hasOtherKernel: true,
    told: 'a Java virtual machine, compiling and filling maps',
  },
  ruby: {
    packages: {
      name: 'ruby',
      roots: ['ruby3.1'],
      follows: /^(?:lib(?:ruby|c6|crypt1|gmp|gcc)|zlib1g)/u,
    },
    work: 'ruby3.1 --disable-gems /work.rb',
    program: ['work.rb', RUBY_PROGRAM],
    hasOtherKernel: true,
    told: 'Ruby, making pages of a site',
  },
  php: {
    packages: {
      name: 'php',
      roots: ['php8.2-cli'],
      follows: /^(?:lib(?!jpeg)|php8\.2-common|zlib1g)/u,
    },
    work: 'php8.2 -n /work.php',
    program: ['work.php', PHP_PROGRAM],
    hasOtherKernel: true,
    told: 'PHP, serializing rows',
  },
  shell: {
    packages: { name: 'shell', roots: ['libc6'], follows: /^libgcc-s1$/u },
    work: SHELL_WORK,
    program: ['work.awk', SHELL_PROGRAM],
    hasOtherKernel: true,
    told: 'busybox, sorting names and numbers',
  },
};

export const TRAINING: readonly TrainingKind[] = ['java', 'ruby', 'php', 'shell'];

/** Builds a guest of each of these kinds; `scale` is about the megabytes that its workload holds. */
export async function buildTrainingGuests(
  tools: GuestTools,
  request: { readonly kinds: readonly TrainingKind[]; readonly scale: number },
): Promise<FoundGuests<readonly BuiltGuest<TrainingKind>[]>> {
  const guests: BuiltGuest<TrainingKind>[] = [];
  for (const kind of request.kinds) {
    const { scale } = request;
    const built = await buildUserland(tools, { kind, scale, userland: USERLANDS[kind] });
    if (built.guests === null) return built;
    guests.push(built.guests);
  }
  return { guests, reason: null };
}

// Items by a key, in lists.

/** Puts an item behind those of its key. */
export function addTo<K, A>(groups: Map<K, A[]>, key: K, item: A): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, [item]);
  else group.push(item);
}

/** Items by a key, in their order. */
export function groupedBy<K, A>(items: Iterable<A>, keyOf: (item: A) => K): Map<K, A[]> {
  const groups = new Map<K, A[]>();
  for (const item of items) addTo(groups, keyOf(item), item);
  return groups;
}

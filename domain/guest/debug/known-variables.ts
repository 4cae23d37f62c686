// Variables that debuggers of Linux begin with. BTF has the types of each CPU's own variables and hardly of
// others; what these are declared as, the sources of kernels have said for many versions. `*` before a name
// makes it a pointer to the type, `[]` after it an array of a length that is not told.

/** Names by their types, as BTF calls them. A kernel that has no such type, or variable, goes without. */
const DECLARED: Readonly<Record<string, string>> = {
  'struct task_struct': 'init_task',
  'struct mm_struct': 'init_mm',
  'struct pid_namespace': 'init_pid_ns',
  'struct uts_namespace': 'init_uts_ns',
  'struct user_namespace': 'init_user_ns',
  'struct nsproxy': 'init_nsproxy',
  'struct net': 'init_net',
  'struct cred': 'init_cred',
  'struct fs_struct': 'init_fs',
  'struct files_struct': 'init_files',
  'struct css_set': 'init_css_set',
  'struct cgroup_root': 'cgrp_dfl_root',
  'struct resource': 'iomem_resource ioport_resource',
  'struct list_head':
    'modules super_blocks slab_caches net_namespace_list vmap_area_list workqueues cgroup_roots',
  'struct file_system_type': '*file_systems',
  'struct mem_section': '**mem_section',
  'struct pglist_data': '*node_data[]',
  'struct printk_ringbuffer': '*prb',
  'struct cpumask': '__cpu_online_mask __cpu_possible_mask __cpu_present_mask',
  'struct cpuinfo_x86': 'boot_cpu_data',
  'long unsigned int':
    'jiffies page_offset_base vmalloc_base vmemmap_base max_pfn max_low_pfn min_low_pfn __per_cpu_offset[]',
  'unsigned int': 'nr_cpu_ids __pgtable_l5_enabled',
  int: 'nr_threads panic_timeout',
  u64: 'jiffies_64',
  char: 'linux_banner[] linux_proc_banner[] boot_command_line[] *saved_command_line',
};

/** A variable: its name, and its type as BTF calls it, with so many pointers to it. */
export interface KnownVariable {
  readonly name: string;
  readonly type: string;
  readonly pointers: number;
  readonly isArray: boolean;
}

/** All of them. */
export const KNOWN_VARIABLES: readonly KnownVariable[] = Object.entries(DECLARED).flatMap(
  ([type, variables]) =>
    variables.split(' ').map((declared) => ({
      name: declared.replaceAll(/[*[\]]/gu, ''),
      type,
      pointers: declared.lastIndexOf('*') + 1,
      isArray: declared.endsWith('[]'),
    })),
);

// Package bpf will hold the kernel's view of the instances: eBPF programs that
// count connections and bytes per instance, their loader, and the memory-mapped
// rows that the scheduler reads without a system call.
//
// Nothing of it exists yet: the router runs on the lowest rung of the ladder,
// user-space counts (penstock_kernel_source{mode="off"} is 1), and a
// configuration that forces another rung is refused.
package bpf

// Package bpf is the kernel's view of the instances: connections, bytes,
// round-trip times and failures of each, read without a system call, and the
// events that user space cannot see by itself, such as the death of an idle
// pooled connection.
//
// It owns the eBPF programs and their maps, the child cgroup that this process
// moves into, and what is pinned. Open takes the best rung that works:
//
//	sockops      sockops.go      this process's sockets, by callbacks of TCP
//	tracepoints  tracepoints.go  the network namespace's sockets, on state changes
//	tcp_info     tcpinfo.go      the pools' connections, sampled
//	off          off.go          nothing: user space counts by itself
//
// A Source may be used from any goroutine; events come on the one that calls
// Run. Counters are written by the kernel at any time, word by word: a copy is
// never of one instant. On the upper two rungs BytesIn stands still while an
// answer streams in (TCP has no callback for it), so whoever wants live bytes
// counts them where they pass; LiveBytesIn tells.
//
// It decides nothing: what a refused connection means is the scheduler's to say,
// and which pool a cookie belongs to is the data plane's.
package bpf

package bpf

// The directories are those where Debian keeps asm/types.h; one that is not
// there does no harm.
//
//go:generate go tool bpf2go -target bpfel -no-global-types backend backend.bpf.c -- -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -target bpfel -no-global-types tracing tracepoints.bpf.c -- -Wall -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu

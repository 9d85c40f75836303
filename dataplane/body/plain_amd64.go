package body

import "golang.org/x/sys/cpu"

// fast says that plain32 can run here: AVX2 is ten years old, but not in every
// virtual machine.
var fast = cpu.X86.HasAVX2

// plain32 is plain for the whole multiples of 32 bytes of p, 32 at a time: the
// index of the first special byte there, or where they end.
//
//go:noescape
func plain32(p []byte) int

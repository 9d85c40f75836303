package bpf

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// view is a BPF_F_MMAPABLE array map seen through this process's own memory:
// what a program adds to a row is what the next load here reads.
type view struct {
	rows []Row
}

const rowSize = int(unsafe.Sizeof(Row{}))

// newView maps the whole of m, read-only.
func newView(m *ebpf.Map) (*view, error) {
	if m.ValueSize() != uint32(rowSize) {
		return nil, fmt.Errorf("mapping %v: its values have %d bytes, a row has %d", m, m.ValueSize(), rowSize)
	}
	n := int(m.MaxEntries())
	mem, err := unix.Mmap(m.FD(), 0, n*rowSize, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mapping %v: %w", m, err)
	}
	v := &view{rows: unsafe.Slice((*Row)(unsafe.Pointer(&mem[0])), n)}
	// Not before the last reader is done: a load from memory that is gone is a
	// SIGSEGV, and a dashboard may still read while the source is closed.
	runtime.AddCleanup(v, func(mem []byte) { unix.Munmap(mem) }, mem)
	return v, nil
}

// read copies row i; a row that is not there reads as zero.
func (v *view) active(i int) (n uint64) {
	if uint(i) < uint(len(v.rows)) {
		n = atomic.LoadUint64(&v.rows[i].active)
	}
	runtime.KeepAlive(v)
	return n
}

func (v *view) read(i int, into *Counters) {
	if uint(i) >= uint(len(v.rows)) {
		*into = Counters{}
		return
	}
	v.rows[i].copyTo(into)
	runtime.KeepAlive(v)
}

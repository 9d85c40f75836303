package bpf

import "net/netip"

// Mode is a rung of the ladder, by the name that operators know it by.
type Mode string

const (
	Auto        Mode = "auto"
	Sockops     Mode = "sockops"
	Tracepoints Mode = "tracepoints"
	TCPInfo     Mode = "tcp_info"
	Off         Mode = "off"
)

// Modes are the rungs, best first.
var Modes = []Mode{Sockops, Tracepoints, TCPInfo, Off}

// Source is the kernel's view of the instances, from whatever rung works. All
// methods may be called from any goroutine.
type Source interface {
	Mode() Mode

	// Track gives addr a row, the same one however often it is tracked; IPv4
	// and IPv4-mapped addresses are one. Connections made before are not counted.
	// An error means that there is no row; it is not one of the rung.
	Track(addr netip.AddrPort) (row int, err error)

	// Untrack undoes one Track. After the last one new connections are not
	// counted, and once none is left the row may go to another address.
	Untrack(row int)

	// Read copies the counters of a row; all zero where the rung knows none.
	// From the upper two rungs: no system call, no allocation, no lock.
	Read(row int, into *Counters)

	// Active is Counters.Active of a row, for decisions.
	Active(row int) uint64

	// Listen makes clients of this port of ours give ClientLeft.
	Listen(port uint16) error

	// Run hears events and calls on for each, on its own goroutine's behalf,
	// until stop is closed or the source is. Called once. on must not block.
	Run(stop <-chan struct{}, on func(Event))

	// LiveBytesIn tells whether BytesIn advances while an answer streams in.
	// The kernel gives the upper rungs no callback for that: count in user space.
	LiveBytesIn() bool

	// Lost is how many events found no room.
	Lost() uint64

	// Close undoes everything: programs, child cgroup, the process moved back.
	// Close the connections first: those that are left are not counted out.
	Close() error
}

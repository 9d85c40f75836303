package bpf

import (
	"net/netip"
)

// off is the rung that hears nothing: rows are given away, all their counters
// stay zero, and what is known is what user space counts by itself.
type off struct {
	addresses *addresses
}

func newOff(o *Options) *off {
	return &off{addresses: newAddresses(o.Rows, noStore{})}
}

func (s *off) Mode() Mode                               { return Off }
func (s *off) Track(addr netip.AddrPort) (int, error)   { return s.addresses.track(addr) }
func (s *off) Untrack(row int)                          { s.addresses.untrack(row) }
func (s *off) Read(row int, into *Counters)             { *into = Counters{} }
func (s *off) Active(int) uint64                        { return 0 }
func (s *off) Listen(uint16) error                      { return nil }
func (s *off) LiveBytesIn() bool                        { return false }
func (s *off) Lost() uint64                             { return 0 }
func (s *off) Run(stop <-chan struct{}, on func(Event)) { <-stop }
func (s *off) Close() error                             { return nil }

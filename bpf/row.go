package bpf

import (
	"structs"
	"sync/atomic"
)

// Row is what the kernel counts of one instance: the twin of struct row in
// penstock.h, 128 bytes, two cache lines. BPF programs add to it at any time, so
// each word is read atomically and a row as a whole never is.
type Row struct {
	_ structs.HostLayout

	generation uint64
	sockets    uint64
	active     uint64
	total      uint64
	bytesIn    uint64
	bytesOut   uint64
	srttUS     uint64
	rttMinUS   uint64

	retransmits uint64
	timeouts    uint64
	unanswered  uint64
	refused     uint64
	resets      uint64
	peerClosed  uint64
	lastEventNS uint64
	lastByteNS  uint64
}

// Counters is a plain copy of a row. Counts grow for as long as the address has
// the row; times are on CLOCK_MONOTONIC (Now), 0 for never.
type Counters struct {
	Active       uint64 // connections established and closed by neither side
	Total        uint64 // connections established so far
	BytesIn      uint64 // acknowledged by us; the FIN counts as one byte
	BytesOut     uint64 // acknowledged by the instance; the FIN counts as one byte
	SRTTMicros   uint64 // smoothed, of the connection heard last; 0: unknown
	RTTMinMicros uint64 // the least seen; 0: unknown
	Retransmits  uint64 // segments sent again, SYNs included
	Timeouts     uint64 // retransmission time-outs of established connections
	Unanswered   uint64 // SYNs that nobody answered in time
	Refused      uint64 // connections refused, by RST or ICMP
	Resets       uint64 // established connections that the instance reset
	PeerClosed   uint64 // connections that the instance closed first
	LastEventNS  int64
	LastByteNS   int64
}

// copyTo takes a copy: 14 loads, no call.
func (r *Row) copyTo(c *Counters) {
	c.Active = atomic.LoadUint64(&r.active)
	c.Total = atomic.LoadUint64(&r.total)
	c.BytesIn = atomic.LoadUint64(&r.bytesIn)
	c.BytesOut = atomic.LoadUint64(&r.bytesOut)
	c.SRTTMicros = atomic.LoadUint64(&r.srttUS)
	c.RTTMinMicros = atomic.LoadUint64(&r.rttMinUS)
	c.Retransmits = atomic.LoadUint64(&r.retransmits)
	c.Timeouts = atomic.LoadUint64(&r.timeouts)
	c.Unanswered = atomic.LoadUint64(&r.unanswered)
	c.Refused = atomic.LoadUint64(&r.refused)
	c.Resets = atomic.LoadUint64(&r.resets)
	c.PeerClosed = atomic.LoadUint64(&r.peerClosed)
	c.LastEventNS = int64(atomic.LoadUint64(&r.lastEventNS))
	c.LastByteNS = int64(atomic.LoadUint64(&r.lastByteNS))
}

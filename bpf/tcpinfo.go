package bpf

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// sampleEvery is how often each pooled connection costs a getsockopt.
const sampleEvery = 100 * time.Millisecond

// States of a TCP connection, as in tcpi_state (net/tcp_states.h).
const (
	stateEstablished = 1
	stateSynSent     = 2
	stateClose       = 7
	stateCloseWait   = 8
)

// tcpInfo knows what TCP_INFO tells of the connections that their owner lets it
// sample. It needs no privilege. Between two samples it is blind: what opens and
// closes there is not counted, nor are the last bytes of a connection, nor one
// that is refused; clients are not heard at all. Run samples, and nobody else.
type tcpInfo struct {
	noStore
	addresses *addresses
	sample    func(yield func(row int, cookie uint64, info *unix.TCPInfo))
	closed    chan struct{}
	closeOnce sync.Once

	mu   sync.Mutex
	rows []Counters

	conns map[uint64]*sampled // Run's own, as is what follows
	round uint64
}

// sampled is what the last sample has seen of a connection.
type sampled struct {
	row             int
	round           uint64
	acked, received uint64
	retransmits     uint32
	timeouts        uint8
	gone            bool // its peer, and that has been told
}

func openTCPInfo(o *Options) (Source, error) {
	if o.Sample == nil {
		return nil, errNoSample
	}
	s := &tcpInfo{
		sample: o.Sample,
		closed: make(chan struct{}),
		rows:   make([]Counters, o.Rows),
		conns:  make(map[uint64]*sampled),
	}
	s.addresses = newAddresses(o.Rows, s)
	return s, nil
}

// reset is the store's: the row is another address's now.
func (s *tcpInfo) reset(p *place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[p.row] = Counters{}
	return nil
}

func (s *tcpInfo) Mode() Mode                          { return TCPInfo }
func (s *tcpInfo) Untrack(row int)                     { s.addresses.untrack(row) }
func (s *tcpInfo) Listen(uint16) error                 { return nil }
func (s *tcpInfo) LiveBytesIn() bool                   { return true }
func (s *tcpInfo) Lost() uint64                        { return 0 }
func (s *tcpInfo) Track(a netip.AddrPort) (int, error) { return s.addresses.track(a) }
func (s *tcpInfo) Close() error                        { s.closeOnce.Do(func() { close(s.closed) }); return nil }

func (s *tcpInfo) Read(row int, into *Counters) {
	*into = Counters{}
	if uint(row) >= uint(len(s.rows)) {
		return
	}
	s.mu.Lock()
	*into = s.rows[row]
	s.mu.Unlock()
}

func (s *tcpInfo) Active(row int) uint64 {
	if uint(row) >= uint(len(s.rows)) {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[row].Active
}

func (s *tcpInfo) Run(stop <-chan struct{}, on func(Event)) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-s.closed:
			return
		case <-tick.C:
			s.take(on)
		}
	}
}

// take is one round over all connections.
func (s *tcpInfo) take(on func(Event)) {
	now := Now()
	s.round++
	active := make(map[int]uint64)
	s.sample(func(row int, cookie uint64, info *unix.TCPInfo) {
		if uint(row) >= uint(len(s.rows)) {
			return
		}
		if info.State == stateEstablished {
			active[row]++
		}
		s.see(row, cookie, info, now, on)
	})
	for cookie, c := range s.conns {
		if c.round != s.round {
			delete(s.conns, cookie)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for row := range s.rows {
		s.rows[row].Active = active[row]
	}
}

// see counts what has changed about a connection and tells what has happened to it.
func (s *tcpInfo) see(row int, cookie uint64, info *unix.TCPInfo, now int64, on func(Event)) {
	c, known := s.conns[cookie]
	if !known || c.row != row {
		c = &sampled{row: row}
		s.conns[cookie] = c
	}
	c.round = s.round
	kind, count := Kind(0), uint32(1)
	s.mu.Lock()
	r := &s.rows[row]
	if !known {
		r.Total++
	}
	if info.Bytes_acked > c.acked || info.Bytes_received > c.received {
		r.BytesOut += info.Bytes_acked - c.acked
		r.BytesIn += info.Bytes_received - c.received
		r.LastByteNS = now
	}
	if info.Rtt > 0 && info.State != stateSynSent {
		r.SRTTMicros = uint64(info.Rtt)
		if least := uint64(info.Min_rtt); least > 0 && (r.RTTMinMicros == 0 || least < r.RTTMinMicros) {
			r.RTTMinMicros = least
		}
	}
	r.Retransmits += uint64(info.Total_retrans - c.retransmits)
	switch {
	case info.State == stateCloseWait && !c.gone:
		c.gone, kind = true, PeerClosed
		r.PeerClosed++
	case info.State == stateClose && !c.gone:
		c.gone, kind = true, Reset
		r.Resets++
	case info.Retransmits > c.timeouts && info.State == stateSynSent:
		kind, count = TimedOut, uint32(info.Retransmits)
		r.Unanswered++
	case info.Retransmits > c.timeouts && info.State == stateEstablished:
		kind, count = Timeout, uint32(info.Retransmits)
		r.Timeouts++
	}
	if kind != 0 {
		r.LastEventNS = now
	}
	s.mu.Unlock()
	c.acked, c.received = info.Bytes_acked, info.Bytes_received
	c.retransmits, c.timeouts = info.Total_retrans, info.Retransmits
	if kind != 0 {
		on(Event{Kind: kind, Row: uint32(row), Count: count, Cookie: cookie, At: now})
	}
}

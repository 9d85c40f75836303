package bpf

import (
	"encoding/binary"
	"fmt"
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kind says what happened to a connection.
type Kind uint8

// The numbers are those of enum kind in penstock.h.
const (
	Refused     Kind = iota + 1 // a connection was refused, by RST or ICMP
	TimedOut                    // nobody answered a SYN in time; Count is how many so far
	Reset                       // the instance reset an established connection
	PeerClosed                  // the instance sent FIN
	Timeout                     // nothing sent was acknowledged in time; Count is how often in a row
	Retransmits                 // many segments had to be sent again; Count is how many
	ClientLeft                  // a client of a port of ours sent FIN or RST
)

var kinds = [...]string{
	Refused: "refused", TimedOut: "timed out", Reset: "reset", PeerClosed: "peer closed",
	Timeout: "timeout", Retransmits: "retransmits", ClientLeft: "client left",
}

func (k Kind) String() string {
	if k >= Refused && int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// NoRow is the row of an event that is about no instance.
const NoRow = ^uint32(0)

// Event is one thing that happened. Refused, Reset, PeerClosed and ClientLeft
// come for each connection, the others for a row at most every 10 ms.
type Event struct {
	Kind   Kind
	Row    uint32 // NoRow for ClientLeft
	Count  uint32
	Cookie uint64 // the socket's SO_COOKIE
	At     int64  // CLOCK_MONOTONIC, ns
}

// wireEvent is the twin of struct event in penstock.h.
type wireEvent struct {
	_          structs.HostLayout
	cookie     uint64
	at         uint64
	row        uint32
	generation uint32
	count      uint32
	kind       uint32
}

const eventSize = int(unsafe.Sizeof(wireEvent{}))

// decodeEvent reads what a program put into the ring.
func decodeEvent(b []byte) (e Event, generation uint32, err error) {
	if len(b) != eventSize {
		return e, 0, fmt.Errorf("an event of %d bytes, not %d", len(b), eventSize)
	}
	le := binary.NativeEndian
	e = Event{
		Cookie: le.Uint64(b[unsafe.Offsetof(wireEvent{}.cookie):]),
		At:     int64(le.Uint64(b[unsafe.Offsetof(wireEvent{}.at):])),
		Row:    le.Uint32(b[unsafe.Offsetof(wireEvent{}.row):]),
		Count:  le.Uint32(b[unsafe.Offsetof(wireEvent{}.count):]),
	}
	kind := le.Uint32(b[unsafe.Offsetof(wireEvent{}.kind):])
	if kind < uint32(Refused) || kind > uint32(ClientLeft) {
		return e, 0, fmt.Errorf("an event of the unknown kind %d", kind)
	}
	e.Kind = Kind(kind)
	return e, le.Uint32(b[unsafe.Offsetof(wireEvent{}.generation):]), nil
}

// Now is the clock of events and counters, CLOCK_MONOTONIC in ns. Go's own
// monotonic clock begins elsewhere.
func Now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// SocketCookie returns the number by which events name the socket fd.
func SocketCookie(fd int) (uint64, error) {
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("reading a socket's cookie: %w", err)
	}
	return cookie, nil
}

// Package loopback finds room for the processes that a measurement starts.
package loopback

import (
	"fmt"
	"net"
	"net/netip"
)

// tries bounds how often a run of ports is looked for: the next one of a free
// port may be taken.
const tries = 100

// Free is so many addresses in a row on which nobody listens. Somebody may by
// the time that they are used.
func Free(count int) (addresses []netip.AddrPort, err error) {
	for range tries {
		if addresses, err = try(count); err == nil {
			return addresses, nil
		}
	}
	return nil, fmt.Errorf("looking for %d free ports in a row: %w", count, err)
}

func try(count int) (addresses []netip.AddrPort, err error) {
	next := netip.MustParseAddrPort("127.0.0.1:0")
	for range count {
		l, err := net.Listen("tcp4", next.String())
		if err != nil {
			return nil, err
		}
		defer l.Close()
		at := l.Addr().(*net.TCPAddr).AddrPort()
		addresses = append(addresses, at)
		next = netip.AddrPortFrom(at.Addr(), at.Port()+1)
	}
	return addresses, nil
}

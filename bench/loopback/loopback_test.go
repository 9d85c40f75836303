package loopback

import (
	"net"
	"testing"
)

func TestPortsAreFreeAndInARow(t *testing.T) {
	all, err := Free(5)
	if err != nil {
		t.Fatal(err)
	}
	for n, at := range all {
		if at.Port() != all[0].Port()+uint16(n) {
			t.Errorf("%v is no run", all)
		}
		l, err := net.Listen("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	if _, err := Free(1 << 17); err == nil {
		t.Error("there are more ports than there can be")
	}
}

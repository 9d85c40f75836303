package bpf

import (
	"errors"
	"net/netip"
	"testing"
)

// slowStore is one whose rows are idle when the test says so.
type slowStore struct {
	noStore
	busy map[uint32]bool
	in   map[netip.AddrPort]uint32
	fail error
}

func (s *slowStore) idle(row uint32) bool { return !s.busy[row] }
func (s *slowStore) put(p *place) error {
	if s.fail != nil {
		return s.fail
	}
	s.in[p.addr] = p.row
	return nil
}
func (s *slowStore) drop(p *place) error { delete(s.in, p.addr); return nil }

func newTable(rows int) (*addresses, *slowStore) {
	s := &slowStore{busy: make(map[uint32]bool), in: make(map[netip.AddrPort]uint32)}
	return newAddresses(rows, s), s
}

func TestTrackingIsCounted(t *testing.T) {
	table, kept := newTable(2)
	f := func(addr string, want int) {
		t.Helper()
		if row, err := table.track(netip.MustParseAddrPort(addr)); err != nil || row != want {
			t.Fatalf("%s: row %d, %v; want %d", addr, row, err, want)
		}
	}
	f("10.0.0.1:80", 0)
	f("[::ffff:10.0.0.1]:80", 0)
	f("[fe80::1%eth0]:80", 1)
	f("[fe80::1%eth1]:80", 1)
	for range 2 {
		if err := table.untrack(0); err != nil {
			t.Fatal(err)
		}
		if _, there := kept.in[netip.MustParseAddrPort("10.0.0.1:80")]; there != (table.byRow[0].refs > 0) {
			t.Errorf("tracked %d times, in the kernel: %v", table.byRow[0].refs, there)
		}
	}
	if table.untrack(0) == nil || table.untrack(-1) == nil || table.untrack(7) == nil {
		t.Error("untracked what is not tracked")
	}
	f("10.0.0.1:80", 0) // still has its row
	if _, err := table.track(netip.MustParseAddrPort("10.0.0.2:80")); !errors.Is(err, errFull) {
		t.Errorf("a third address in two rows: %v", err)
	}
	for _, bad := range []netip.AddrPort{{}, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), 0)} {
		if _, err := table.track(bad); err == nil {
			t.Errorf("tracked %v", bad)
		}
	}
}

func TestParkedLongestGoesFirst(t *testing.T) {
	table, kept := newTable(3)
	addr := func(n byte) netip.AddrPort { return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 80) }
	for n := range byte(3) {
		if _, err := table.track(addr(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range []int{1, 0, 2} {
		if err := table.untrack(row); err != nil {
			t.Fatal(err)
		}
	}
	kept.busy[1] = true
	row, err := table.track(addr(9))
	if err != nil || row != 0 {
		t.Fatalf("row %d, %v; want 0: 1 is parked longer, and busy", row, err)
	}
	if !table.current(0, 2) || table.current(0, 1) {
		t.Error("the row's generation did not change")
	}
	if len(table.byAddr) != 3 || len(table.parked) != 2 {
		t.Errorf("%d addresses and %d parked, want 3 and 2", len(table.byAddr), len(table.parked))
	}
	kept.fail = errors.New("no")
	if _, err := table.track(addr(8)); !errors.Is(err, kept.fail) {
		t.Errorf("the kernel's refusal is lost: %v", err)
	}
	kept.fail = nil
	if row, err := table.track(addr(8)); err != nil || row != 2 {
		t.Errorf("after a refusal: row %d, %v; want 2", row, err)
	}
}

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"structs"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// kernelMaps are the maps of penstock.h; both programs have them.
type kernelMaps struct {
	Rows      *ebpf.Map      `ebpf:"rows"`
	Addresses *ebpf.Map      `ebpf:"addresses"`
	Listening *ebpf.Map      `ebpf:"listening"`
	Conns     *ebpf.Map      `ebpf:"conns"`
	Events    *ebpf.Map      `ebpf:"events"`
	Lost      *ebpf.Variable `ebpf:"lost"`
}

// kernel is what the two rungs with programs in the kernel have in common.
type kernel struct {
	maps      kernelMaps
	shares    *pins // nil: the maps are this process's own
	view      *view
	addresses *addresses
	ring      *ringbuf.Reader
	closing   atomic.Bool
	log       *slog.Logger
}

// start makes the Go side of maps that are loaded.
func (k *kernel) start(o *Options) error {
	k.log = o.Log
	v, err := newView(k.maps.Rows)
	if err != nil {
		return err
	}
	k.view = v
	k.addresses = newAddresses(len(v.rows), k)
	if k.ring, err = ringbuf.NewReader(k.maps.Events); err != nil {
		return fmt.Errorf("opening the ring of events: %w", err)
	}
	return nil
}

func (k *kernel) Track(addr netip.AddrPort) (int, error) { return k.addresses.track(addr) }

func (k *kernel) Untrack(row int) {
	if err := k.addresses.untrack(row); err != nil {
		k.log.Warn("kernel: cannot end the counting of an instance's connections", "err", err)
	}
}

func (k *kernel) Read(row int, into *Counters) { k.view.read(row, into) }

func (k *kernel) Active(row int) uint64 { return k.view.active(row) }

func (k *kernel) LiveBytesIn() bool { return false }

func (k *kernel) Listen(port uint16) error {
	if err := k.maps.Listening.Put(uint32(port), uint32(1)); err != nil {
		return fmt.Errorf("listening for the clients of port %d: %w", port, err)
	}
	return nil
}

func (k *kernel) Lost() uint64 {
	var n uint64
	if err := k.maps.Lost.Get(&n); err != nil {
		return 0
	}
	return n
}

func (k *kernel) Run(stop <-chan struct{}, on func(Event)) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-stop:
			k.ring.Flush() // wakes the reader
		case <-done:
		}
	}()
	var record ringbuf.Record
	for {
		if err := k.ring.ReadInto(&record); err != nil {
			if !errors.Is(err, ringbuf.ErrFlushed) && !errors.Is(err, ringbuf.ErrClosed) {
				k.log.Error("kernel: no more events", "err", err)
			}
			return
		}
		e, generation, err := decodeEvent(record.RawSample)
		if err != nil {
			k.log.Error("kernel: an event that cannot be read", "err", err)
			continue
		}
		if e.Row == NoRow || k.addresses.current(e.Row, generation) {
			on(e)
		}
	}
}

// stop ends Run and gives the maps back.
func (k *kernel) stop() error {
	var errs []error
	if k.ring != nil {
		errs = append(errs, k.ring.Close())
	}
	for _, m := range []*ebpf.Map{k.maps.Rows, k.maps.Addresses, k.maps.Listening, k.maps.Conns, k.maps.Events} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// wireAddress and wirePlace are the twins of struct address and struct place.
type wireAddress struct {
	_    structs.HostLayout
	IP   [16]byte
	Port uint32
}

type wirePlace struct {
	_          structs.HostLayout
	Row        uint32
	Generation uint32
}

func (p *place) key() wireAddress {
	return wireAddress{IP: p.addr.Addr().As16(), Port: uint32(p.addr.Port())}
}

func (k *kernel) put(p *place) error {
	if err := k.maps.Addresses.Put(p.key(), wirePlace{Row: p.row, Generation: p.generation}); err != nil {
		return fmt.Errorf("entering the address: %w", err)
	}
	return nil
}

func (k *kernel) drop(p *place) error {
	if err := k.maps.Addresses.Delete(p.key()); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("dropping %v: %w", p.addr, err)
	}
	return nil
}

func (k *kernel) reset(p *place) error {
	var row [rowSize]byte
	binary.NativeEndian.PutUint64(row[:], uint64(p.generation))
	if err := k.maps.Rows.Put(p.row, row[:]); err != nil {
		return fmt.Errorf("clearing row %d: %w", p.row, err)
	}
	return nil
}

func (k *kernel) idle(row uint32) bool {
	return atomic.LoadUint64(&k.view.rows[row].sockets) == 0
}

func (k *kernel) heard(row uint32) int64 {
	r := &k.view.rows[row]
	return int64(max(atomic.LoadUint64(&r.lastByteNS), atomic.LoadUint64(&r.lastEventNS)))
}

func (k *kernel) shared() bool { return k.shares != nil }

func (k *kernel) borrow(each func(place)) (func(), error) {
	if k.shares == nil {
		return func() {}, nil
	}
	unlock, err := k.shares.lock()
	if err != nil {
		return nil, err
	}
	var a wireAddress
	var p wirePlace
	it := k.maps.Addresses.Iterate()
	for it.Next(&a, &p) {
		each(place{
			addr:       canonical(netip.AddrPortFrom(netip.AddrFrom16(a.IP), uint16(a.Port))),
			row:        p.Row,
			generation: p.Generation,
		})
	}
	if err := it.Err(); err != nil {
		unlock()
		return nil, fmt.Errorf("reading the shared addresses: %w", err)
	}
	return unlock, nil
}

package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
)

// load gives the kernel the programs and maps of spec: into holds them then,
// and maps, a part of it, the maps.
func (k *kernel) load(spec *ebpf.CollectionSpec, into any, maps *kernelMaps, o *Options) error {
	// Since 5.11 memory is accounted otherwise; before, this may fail, and so may loading.
	rlimit.RemoveMemlock()
	for _, name := range []string{backendMapRows, backendMapAddresses} {
		spec.Maps[name].MaxEntries = uint32(o.Rows)
	}
	opts, done := k.share(spec, o)
	defer done()
	if err := spec.LoadAndAssign(into, opts); err != nil {
		return fmt.Errorf("loading: %w", err)
	}
	k.maps = *maps
	return k.start(o)
}

// share makes the pinned maps those that spec is loaded with. A directory that
// cannot be used is said, and everything is this process's own.
func (k *kernel) share(spec *ebpf.CollectionSpec, o *Options) (*ebpf.CollectionOptions, func()) {
	opts := &ebpf.CollectionOptions{}
	if o.Pin == "" || o.probing {
		return opts, func() {}
	}
	p, replaced, err := shared(spec, o)
	if err != nil {
		o.Log.Warn("kernel: counters will not outlive this process", "cause", err)
		return opts, func() {}
	}
	opts.MapReplacements = replaced
	k.shares = p
	return opts, func() { closeAll(replaced) }
}

func closeAll(maps map[string]*ebpf.Map) {
	for _, m := range maps {
		m.Close()
	}
}

// shared opens what is pinned in place of maps of spec.
func shared(spec *ebpf.CollectionSpec, o *Options) (*pins, map[string]*ebpf.Map, error) {
	p, err := openPins(o.Pin, o.Log)
	if err != nil {
		return nil, nil, err
	}
	unlock, err := p.lock()
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	maps := make(map[string]*ebpf.Map)
	for _, name := range []string{backendMapRows, backendMapAddresses} {
		if maps[name], err = p.share(spec.Maps[name], name); err != nil {
			delete(maps, name)
			closeAll(maps)
			return nil, nil, err
		}
	}
	return p, maps, nil
}

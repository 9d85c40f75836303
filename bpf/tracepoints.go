package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

var errNoBTF = errors.New("the kernel has no BTF of itself")

// tracepoints counts all sockets of this network namespace, other processes'
// too, from tracepoints of TCP: where there is no cgroup to attach to. It hears
// of state changes and retransmissions alone, so bytes and round-trip times
// advance when a connection changes state, and a SYN's time-out is the kernel's own.
type tracepoints struct {
	kernel
	objects tracepointsLoaded
	links   []link.Link
}

type tracepointsLoaded struct {
	kernelMaps
	Changing       *ebpf.Program `ebpf:"changing"`
	Retransmitting *ebpf.Program `ebpf:"retransmitting"`
}

func openTracepoints(o *Options) (Source, error) {
	t := &tracepoints{}
	if err := t.open(o); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

func (t *tracepoints) open(o *Options) error {
	if _, err := btf.LoadKernelSpec(); err != nil {
		return fmt.Errorf("%w: %w", errNoBTF, err)
	}
	spec, err := loadTracing()
	if err != nil {
		return fmt.Errorf("reading the tracepoint programs: %w", err)
	}
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &ns); err != nil {
		return fmt.Errorf("finding this network namespace: %w", err)
	}
	if err := spec.Variables[tracingVarNetns].Set(uint32(ns.Ino)); err != nil {
		return fmt.Errorf("setting the network namespace: %w", err)
	}
	own := *o
	if own.Pin = ""; o.Pin != "" && !o.probing {
		// Two gateways that each count the whole host would count everything twice.
		o.Log.Warn("kernel: counters will not outlive this process", "cause", "the rung tracepoints shares none")
	}
	if err := t.load(spec, &t.objects, &t.objects.kernelMaps, &own); err != nil {
		return err
	}
	for _, p := range []*ebpf.Program{t.objects.Retransmitting, t.objects.Changing} {
		l, err := link.AttachTracing(link.TracingOptions{Program: p})
		if err != nil {
			return fmt.Errorf("attaching to a tracepoint: %w", err)
		}
		t.links = append(t.links, l)
	}
	return nil
}

func (t *tracepoints) Mode() Mode { return Tracepoints }

func (t *tracepoints) Close() error {
	if t.closing.Swap(true) {
		return nil
	}
	var errs []error
	for _, l := range t.links {
		errs = append(errs, l.Close())
	}
	for _, p := range []*ebpf.Program{t.objects.Changing, t.objects.Retransmitting} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	errs = append(errs, t.stop())
	return errors.Join(errs...)
}

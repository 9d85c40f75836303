package bpf

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// synTimeout is how long a SYN to an instance may be unanswered before it is
// sent again and TimedOut is told; the kernel's own is a second. Instances are
// near: 200 ms is also the least that the kernel waits on established connections.
const synTimeout = 200 * time.Millisecond

// sockops counts the sockets of its own cgroup, from callbacks of TCP.
type sockops struct {
	kernel
	objects sockopsLoaded
	cgroup  *cgroup
	links   []link.Link
}

type sockopsLoaded struct {
	kernelMaps
	Backend *ebpf.Program `ebpf:"backend"`
	Closing *ebpf.Program `ebpf:"closing"`
}

func openSockops(o *Options) (Source, error) {
	s := &sockops{}
	if err := s.open(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *sockops) open(o *Options) error {
	spec, err := loadBackend()
	if err != nil {
		return fmt.Errorf("reading the sockops program: %w", err)
	}
	if err := spec.Variables[backendVarSynTicks].Set(synTicks()); err != nil {
		return fmt.Errorf("setting the time-out of SYNs: %w", err)
	}
	if err := s.load(spec, &s.objects, &s.objects.kernelMaps, o); err != nil {
		return err
	}
	if s.cgroup, err = enterCgroup(o.Cgroup, !o.probing, o.Log); err != nil {
		return err
	}
	// closing first: a connection whose end is not known to be ours is a reset.
	if err := s.attach("release", ebpf.AttachCgroupInetSockRelease, s.objects.Closing); err != nil {
		return err
	}
	return s.attach("sockops", ebpf.AttachCGroupSockOps, s.objects.Backend)
}

func (s *sockops) attach(name string, how ebpf.AttachType, p *ebpf.Program) error {
	l, err := link.AttachCgroup(link.CgroupOptions{Path: s.cgroup.path, Attach: how, Program: p})
	if err != nil {
		return fmt.Errorf("attaching the %s program to the cgroup %s: %w", name, s.cgroup.path, err)
	}
	s.links = append(s.links, l)
	return s.shares.pinLink(name, l)
}

// synTicks is synTimeout in the kernel's ticks: TCP takes this one as jiffies
// (tcp_timeout_init), whose length the coarse clock's resolution gives away.
func synTicks() uint32 {
	var tick unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &tick); err != nil || tick.Nano() <= 0 {
		return 0
	}
	return uint32(synTimeout.Nanoseconds() / tick.Nano())
}

func (s *sockops) Mode() Mode { return Sockops }

func (s *sockops) Close() error {
	if s.closing.Swap(true) {
		return nil
	}
	var errs []error
	for _, l := range s.links {
		errs = append(errs, s.shares.unpinLink(l), l.Close())
	}
	for _, p := range []*ebpf.Program{s.objects.Backend, s.objects.Closing} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	errs = append(errs, s.stop())
	if s.cgroup != nil {
		errs = append(errs, s.cgroup.leave())
	}
	return errors.Join(errs...)
}

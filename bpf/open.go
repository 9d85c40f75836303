package bpf

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Options of Open. The zero value takes the best rung that works.
type Options struct {
	Mode   Mode   // the rung to begin with; "" is Auto
	Cgroup string // path of the cgroup v2 to count; "" makes a child of this process's
	Pin    string // directory on a bpffs for what outlives the process; "" pins nothing
	Rows   int    // addresses at most; 0 is 4096, and pinned maps keep what they have
	Log    *slog.Logger

	// Sample is how the owner of the pools lets the rung tcp_info read its
	// connections, every 100 ms: it yields each with its row and a number that
	// no other connection has (SO_COOKIE). nil: there is no such rung.
	Sample func(yield func(row int, cookie uint64, info *unix.TCPInfo))

	probing bool // attach, but leave this process where it is and pin nothing
}

const defaultRows = 4096

func (o *Options) defaults() {
	if o.Mode == "" {
		o.Mode = Auto
	}
	if o.Rows <= 0 {
		o.Rows = defaultRows
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

var errNoSample = errors.New("nobody offers connections to sample")

type rung struct {
	mode Mode
	open func(*Options) (Source, error)
}

// rungs are tried from the top, or from the one that is asked for.
var rungs = []rung{
	{Sockops, openSockops},
	{Tracepoints, openTracepoints},
	{TCPInfo, openTCPInfo},
	{Off, func(o *Options) (Source, error) { return newOff(o), nil }},
}

// Open takes the highest rung that works, and says of each that does not, in
// one line, why not and what would help. It never fails: the last rung always
// works. Call it before the first listener or connection is made.
func Open(o Options) Source {
	o.defaults()
	first := max(0, slices.IndexFunc(rungs, func(r rung) bool { return r.mode == o.Mode }))
	for _, r := range rungs[first:] {
		s, err := r.open(&o)
		if err == nil {
			o.Log.Info("kernel: where counters come from", "mode", r.mode)
			return s
		}
		if r.mode == o.Mode || !errors.Is(err, errNoSample) { // nobody waits for samples who has not asked
			o.Log.Warn("kernel: one rung down", "mode", r.mode, "cause", oneLine(err), "cure", cure(r.mode, err))
		}
	}
	return newOff(&o) // not reached: off does not fail
}

// Probe tells which rung Open would take, and why none above it. It loads and
// attaches as Open does, and leaves nothing behind.
func Probe() (Mode, string) {
	var why []string
	o := Options{probing: true, Sample: func(func(int, uint64, *unix.TCPInfo)) {}}
	o.defaults()
	for _, r := range rungs {
		s, err := r.open(&o)
		if err == nil {
			err = s.Close()
		}
		if err == nil {
			return r.mode, strings.Join(why, "; ")
		}
		if !errors.Is(err, errNoSample) {
			why = append(why, fmt.Sprintf("%s: %s (%s)", r.mode, oneLine(err), cure(r.mode, err)))
		}
	}
	return Off, strings.Join(why, "; ")
}

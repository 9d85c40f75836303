package workload

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Stream gives a run's requests in the order of arrival, nil after the last.
// Those of Request.Then come besides.
type Stream func() *Request

// Workload is one load, and the fleet that it was made for.
type Workload struct {
	Name, About string

	Profiles  []string  // of the instances, in turn
	Instances int       //
	Unit      string    // of a rate
	Rates     []float64 // a sweep to saturation of that fleet
	Closed    bool      // a rate is how many clients there are: it does not grow with the fleet's answers

	Keys int // clients who are told apart, and compared; 0: none are

	// span is how long requests come at a rate, total about how many, where that
	// is not the rate times the span.
	span  time.Duration
	total func(rate float64) int
	open  func(Params) Stream
}

// Params say which run of a workload is wanted.
type Params struct {
	Rate     float64       // in the workload's unit
	Seed     uint64        //
	Duration time.Duration // of an open loop; 0: the workload's own
}

// Units of a rate.
const (
	perSecond = "requests/s"
	speed     = "times as fast"
	clients   = "clients"
)

// Open begins a run.
func (w *Workload) Open(p Params) Stream {
	p.Duration = w.lasts(p)
	return w.open(p)
}

func (w *Workload) lasts(p Params) time.Duration {
	if p.Duration > 0 {
		return p.Duration
	}
	return w.span
}

// Total is about how many requests a run has.
func (w *Workload) Total(p Params) int {
	if w.total != nil {
		return w.total(p.Rate)
	}
	return int(p.Rate * w.lasts(p).Seconds())
}

// Check says what is wrong with a run's parameters.
func (p *Params) Check() error {
	if err := CheckRate(p.Rate); err != nil {
		return fmt.Errorf("rate: %w", err)
	}
	if p.Duration < 0 || p.Duration > 24*time.Hour {
		return fmt.Errorf("duration: %v is out of range, need 0s to 24h", p.Duration)
	}
	return nil
}

// Bounds of a rate. At the least, the longest trace still ends within the time
// that a Duration can hold.
const (
	LeastRate = 0.001
	MostRate  = 1_000_000
)

// CheckRate says what is wrong with a rate.
func CheckRate(rate float64) error {
	if !(rate >= LeastRate && rate <= MostRate) {
		return fmt.Errorf("%v is out of range, need %v to %d", rate, LeastRate, MostRate)
	}
	return nil
}

// All are the workloads that have a name.
func All() []*Workload {
	return slices.Concat(published, traced, fair, adversaries)
}

// Names lists them.
func Names() []string {
	var names []string
	for _, w := range All() {
		names = append(names, w.Name)
	}
	return names
}

// Named finds one, upper case or lower.
func Named(name string) (*Workload, error) {
	all := All()
	i := slices.IndexFunc(all, func(w *Workload) bool { return strings.EqualFold(w.Name, name) })
	if i < 0 {
		return nil, fmt.Errorf("workload: %q is none of %s", name, strings.Join(Names(), ", "))
	}
	return all[i], nil
}

// merge gives the requests of several streams in order of arrival.
func merge(streams ...Stream) Stream {
	heads := make([]*Request, len(streams))
	for i, s := range streams {
		heads[i] = s()
	}
	return func() *Request {
		first := -1
		for i, h := range heads {
			if h != nil && (first < 0 || h.At < heads[first].At) {
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		r := heads[first]
		heads[first] = streams[first]()
		return r
	}
}

// chain gives the requests of one stream after those of the other.
func chain(streams ...Stream) Stream {
	return func() *Request {
		for len(streams) > 0 {
			if r := streams[0](); r != nil {
				return r
			}
			streams = streams[1:]
		}
		return nil
	}
}

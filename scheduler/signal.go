package scheduler

import (
	"strings"
	"sync/atomic"
	"time"

	"penstock/scheduler/engine"
)

// The signals of an instance, INTERFACE.md's closed list as far as their
// sources exist: the KV events' come with these.
const (
	sigRunning = iota
	sigWaiting
	sigKVUsage
	sigTokens
	sigPrefix
	sigProgress // the first that is not the engine's
	sigKernel
	signalCount
)

// signalSources says what each is called, and which of the engine's words it
// is: progress is our own account of bytes.
var signalSources = [signalCount]struct {
	name string
	has  engine.Signals
}{
	{"running", engine.HasRunning}, {"waiting", engine.HasWaiting}, {"kv_usage", engine.HasKVUsage},
	{"tokens", engine.HasTokens}, {"prefix", engine.HasPrefix}, {"progress", 0}, {"kernel", 0},
}

// signal is one thing that is known of an instance. Its keeper writes it, each
// word for itself.
type signal struct {
	value   atomic.Int64 // in the unit of said
	at      atomic.Int64 // when it was said, ns since 1970; 0: never
	since   atomic.Int64 // when it took its value
	changed atomic.Bool  // it had another value once
	death   atomic.Uint32
	told    atomic.Bool // that it is not believed
}

// Why a signal is not believed.
const (
	alive  = iota
	unread // not heard yet, or not lately: what it died of before that stays the reason
	absent // the engine does not say it
	frozen // it stays as it is while our own account proves that the engine works
	untrue // it contradicts our own account
)

var deaths = [...]string{"", "too old", "absent", "frozen", "untrue"}

// said notes the signal's value of one report.
func (s *signal) said(value, at int64) {
	if s.value.Swap(value) != value {
		s.changed.Store(s.at.Load() != 0)
		s.since.Store(at)
	} else if s.at.Load() == 0 {
		s.since.Store(at)
	}
	s.at.Store(at)
}

// doubt believes nothing of what the engine said so far.
func (i *Instance) doubt() {
	i.said.live.Store(0)
	for n := range i.signals {
		if signalSources[n].has != 0 {
			i.signals[n].death.Store(unread)
		}
	}
}

// live is the set of the engine's signals that are believed.
func (i *Instance) live() engine.Signals { return engine.Signals(i.said.live.Load()) }

// missingNames are the names of a set of signals, joined with commas: made once
// for every set, as decisions need them.
var missingNames = func() (names [1 << sigProgress]string) {
	for set := range names {
		var missing []string
		for n, s := range signalSources[:sigProgress] {
			if set&(1<<n) != 0 {
				missing = append(missing, s.name)
			}
		}
		names[set] = strings.Join(missing, ",")
	}
	return names
}()

// missing is the set of the wanted signals that are not believed, a bit for
// each.
func (i *Instance) missing(wanted []int) (set int) {
	live := i.live()
	for _, n := range wanted {
		if !live.Has(signalSources[n].has) {
			set |= 1 << n
		}
	}
	return set
}

// age is how old a signal is; negative: never heard.
func (s *signal) age(now time.Time) time.Duration {
	at := s.at.Load()
	if at == 0 {
		return -1
	}
	return max(now.Sub(time.Unix(0, at)), 0)
}

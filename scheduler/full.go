package scheduler

import "penstock/scheduler/engine"

const (
	// kvFull is the KV usage, in millionths, from which an engine would have to
	// preempt to take more.
	kvFull = 980_000
	// leastKnown is how many requests any engine is believed to run at once.
	leastKnown = 8
)

// full says whether the instance takes no more: by its configuration, or by its
// own words carried forward, of which l is what it has to do now.
func (i *Instance) full(l load) bool {
	if most := i.options.maxInFlight; most > 0 {
		return l.ours() >= most
	}
	live := i.live()
	switch {
	case l.waiting > 0:
		return true
	case live.Has(engine.HasKVUsage) && i.said.kvUsage.Load() >= kvFull:
		return true
	case !live.Has(engine.HasRunning): // it does not say how many it runs: there is nothing to go by
		return false
	}
	return l.requests > i.known()
}

// crowded says whether it runs as many as it can: another would wait inside.
func (i *Instance) crowded(l load) bool {
	limit := i.said.limit.Load()
	return limit > 0 && l.requests >= limit
}

// known is how many requests the instance is known to run at once: its limit
// where it says one; else what it has room for, the most it was seen to run with none waiting, or what streams to us
// this moment. The most seen counts a quarter more, else it could never rise
// by more than one a report.
func (i *Instance) known() int64 {
	if limit := i.said.limit.Load(); limit > 0 {
		return limit
	}
	seen := max(i.said.known.Load(), i.row.streams.Load())
	return max(seen+min(seen, mostRequests)/4, leastKnown)
}

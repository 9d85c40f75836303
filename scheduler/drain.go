package scheduler

// Why an instance gets nothing new, bits of Instance.draining.
const (
	drainAsked   = 1 << iota // the operator wants it
	drainRemoved             // no source names it any more
)

// drain sets or lifts one reason. What is in flight goes on.
func (i *Instance) drain(why uint32, on bool) {
	h := &i.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if on == (i.draining.Load()&why != 0) {
		return
	}
	was := i.State()
	if on {
		i.draining.Or(why)
	} else {
		i.draining.And(^why)
	}
	if now := i.State(); now != was {
		h.record(was, now, i.drainReason())
		i.log.Info("instance is "+now.String(), "was", was, "reason", i.drainReason())
	}
	i.wake()
	i.free()
}

// Leaving says whether the instance goes once it has nothing of ours.
func (i *Instance) Leaving() bool { return i.draining.Load()&drainRemoved != 0 }

func (i *Instance) drainReason() string {
	switch why := i.draining.Load(); {
	case why&drainRemoved != 0:
		return "removed"
	case why&drainAsked != 0:
		return "asked for"
	}
	return ""
}

// leave takes the instance out of the fleet's numbers, for good.
func (i *Instance) leave() {
	h := &i.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	if State(h.state.Load()) == Ejected {
		i.fleet.out.Add(-1)
	}
}

package scheduler

import (
	"time"

	"penstock/scheduler/engine"
)

// trust decides anew which signals are believed, and says what changed: one
// line for each signal, when it dies and when it is back.
func (k *keeper) trust(now time.Time) {
	i := k.inst
	oldest := k.oldest()
	var live engine.Signals
	for n := range signalCount {
		s := &i.signals[n]
		death := k.judge.death(i, n, k.has, oldest, now)
		if death == alive {
			live |= signalSources[n].has
		}
		if was := s.death.Swap(death); was != death {
			k.changed(n, was, death, now)
		}
	}
	// Capacity and concurrency are options of the engine, not signals: they
	// are as true as the report that they came with.
	live |= k.has & (engine.HasCapacity | engine.HasConcurrency)
	if i.said.live.Swap(uint32(live)) != uint32(live) {
		i.free()
	}
}

// oldest is how old a signal may be.
func (k *keeper) oldest() time.Duration {
	return oldAfter*k.pace.interval() + k.sched.cfg.Scrape.Timeout
}

func (k *keeper) changed(n int, was, death uint32, now time.Time) {
	name := signalSources[n].name
	s := &k.inst.signals[n]
	switch {
	case death == alive && was != unread:
		k.inst.log.Info("signal is believed again", "signal", name, "was", deaths[was])
	case death == alive, s.age(now) < 0: // the first report, or none yet
	case was != alive && was != unread, death == absent && !k.sched.policy.wants(n): // said already, or of no weight
		k.inst.log.Debug("signal is not believed", "signal", name, "reason", deaths[death])
	default:
		k.inst.log.Warn("signal is not believed; decisions do without it", "signal", name, "reason", deaths[death],
			"value", s.value.Load(), "age", s.age(now).Round(time.Millisecond))
	}
}

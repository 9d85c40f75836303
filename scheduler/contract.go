package scheduler

import (
	"math/bits"
	"time"

	"penstock/scheduler/engine"
)

// trust decides anew which signals are believed, and says what changed: one
// line for all that die of the same, and one when they are back.
func (k *keeper) trust(now time.Time) {
	i := k.inst
	oldest := k.oldest()
	var live engine.Signals
	var changed [len(deaths)]int // sets of signals, by what they are now
	for n := range signalCount {
		s := &i.signals[n]
		death := k.judge.death(i, n, k.has, oldest, now)
		if death == alive {
			live |= signalSources[n].has
		}
		if was := s.death.Swap(death); was != death && k.matters(n, was, death, now) {
			changed[death] |= 1 << n
		}
	}
	k.say(&changed, now)
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

// matters says whether a signal's change is worth a line: not its first report,
// nor a second reason, nor the absence of what no decision reads.
func (k *keeper) matters(n int, was, death uint32, now time.Time) bool {
	if death == alive {
		return was != unread && (was != absent || k.sched.policy.wants(n))
	}
	return k.inst.signals[n].age(now) >= 0 && (was == alive || was == unread) && (death != absent || k.sched.policy.wants(n))
}

// say tells which signals are what, a set for each death.
func (k *keeper) say(changed *[len(deaths)]int, now time.Time) {
	for death, set := range changed {
		switch {
		case set == 0:
		case death == alive:
			k.inst.log.Info("signals are believed again", "signals", missingNames[set])
		default:
			first := &k.inst.signals[bits.TrailingZeros(uint(set))]
			k.inst.log.Warn("signals are not believed; decisions do without them", "signals", missingNames[set],
				"reason", deaths[death], "age", first.age(now).Round(time.Millisecond))
		}
	}
}

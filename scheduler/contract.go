package scheduler

import (
	"math/bits"
	"time"

	"penstock/scheduler/engine"
)

// trust decides anew which signals are believed, and says what changed: one
// line for all that die of the same, and one when they are back, whatever became
// of the instance meanwhile. Of one that is out, or not ready, nobody asks them.
func (k *keeper) trust(now time.Time) {
	i, j := k.inst, &k.judge
	attended, gone, oldest := i.attended(), k.gone(), k.oldest()
	if !attended {
		j.rest()
	}
	var live engine.Signals
	var news [len(deaths)]int // sets of signals, by what they are now
	for n := range signalCount {
		s := &i.signals[n]
		death := j.death(i, n, k.has, gone, oldest, now)
		if attended && death == unread {
			death = max(death, s.death.Load()) // what it died of is older than that
		}
		if death == alive {
			live |= signalSources[n].has
		}
		s.death.Store(death)
		if attended && s.told.Load() == (death == alive) && (death == alive || k.matters(n, death, gone)) {
			s.told.Store(death != alive)
			news[death] |= 1 << n
		}
	}
	if attended {
		k.say(&news, now)
	}
	i.tellEvidence(j.evidence(gone))
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

// gone says that there is no page to read: the engine has answered without one,
// time and again, or never answered.
func (k *keeper) gone() bool {
	return k.badScrapes >= badScrapes && (engine.Answered(k.judge.err) || k.inst.heardAt.Load() == 0)
}

// matters says whether somebody has to hear of a signal's death: it was there,
// or the operator mapped it, or decisions want it and it does not come.
func (k *keeper) matters(n int, death uint32, gone bool) bool {
	j, bit := &k.judge, signalSources[n].has
	switch {
	case bit == 0:
		return false
	case death == unread:
		return k.inst.signals[n].at.Load() != 0
	case death == absent && !j.heardOf.Has(bit) && !j.mapped.Has(bit):
		return k.sched.policy.wants(n) && (gone || j.reports >= absentAfter)
	}
	return true
}

// say tells which signals are what, a set for each death. What a page lacks of
// what is mapped is told with the names on it.
func (k *keeper) say(news *[len(deaths)]int, now time.Time) {
	j, log := &k.judge, k.inst.log
	if j.lacks != "" && j.lacks != j.toldLacks {
		j.toldLacks = j.lacks
		log.Warn("the page lacks what is mapped; decisions do without it", "reason", j.lacks)
		for n := range sigProgress {
			if j.mapped.Has(signalSources[n].has) {
				news[absent] &^= 1 << n
			}
		}
	}
	for death, set := range news {
		switch {
		case set == 0:
		case death == alive:
			log.Info("signals are believed again", "signals", missingNames[set])
		default:
			told := []any{"signals", missingNames[set], "reason", deaths[death]}
			if age := k.inst.signals[bits.TrailingZeros(uint(set))].age(now); age >= 0 {
				told = append(told, "age", age.Round(time.Millisecond))
			}
			switch {
			case death == absent && j.missing(k.gone()) != "":
				told = append(told, "evidence", j.missing(k.gone()))
			case death == untrue && set&(1<<sigKVUsage) != 0 && j.impossible != "":
				told = append(told, "evidence", j.impossible)
			}
			log.Warn("signals are not believed; decisions do without them", told...)
		}
	}
}

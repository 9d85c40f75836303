package sim

import (
	"time"

	"penstock/bench/model"
)

// clock tells the model's time: real time since the start, times the scale.
type clock struct {
	begin time.Time
	scale float64
}

func (c *clock) now() time.Duration { return c.model(time.Since(c.begin)) }

// model converts a real duration, real a model's.
func (c *clock) model(d time.Duration) time.Duration { return time.Duration(float64(d) * c.scale) }
func (c *clock) real(d time.Duration) time.Duration  { return time.Duration(float64(d) / c.scale) }

// behind is how late, in real time, the driver may be and still catch up. Timers
// come up to a millisecond late, and more on a busy machine; without this every
// token would.
const behind = 20 * time.Millisecond

// drive runs the model's steps until the instance is closed. Steps follow each
// other on the model's clock, not on when the timer woke the driver.
func (i *Instance) drive() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	at := i.clock.now()
	for i.moving() {
		if now := i.clock.now(); now-at > i.clock.model(behind) {
			at = now
		}
		i.mu.Lock()
		step, busy := i.engine.Begin(at)
		next, some := i.engine.Next()
		i.mu.Unlock()
		switch {
		case busy:
			at += i.fault.slowed(step.Duration)
			if !i.sleep(timer, at) || !i.moving() {
				return
			}
			i.mu.Lock()
			i.deliver(at, i.engine.End(at))
			i.mu.Unlock()
		case some:
			if !i.sleep(timer, next) {
				return
			}
			at = max(at, next)
		default:
			select {
			case <-i.wake:
			case <-i.stop:
				return
			}
		}
	}
}

// sleep waits until the model's clock shows at; false: the instance is closed.
func (i *Instance) sleep(timer *time.Timer, at time.Duration) bool {
	d := i.clock.real(at - i.clock.now())
	if d <= 0 {
		select {
		case <-i.stop:
			return false
		default:
			return true
		}
	}
	timer.Reset(d)
	select {
	case <-timer.C:
		return true
	case <-i.stop:
		return false
	}
}

// moving waits while a fault holds the engine; false: the instance is closed.
func (i *Instance) moving() bool {
	for {
		f, changed := i.fault.get()
		if !f.stops() {
			return true
		}
		select {
		case <-changed:
		case <-i.stop:
			return false
		}
	}
}

// deliver tells the calls of a step's tokens. A stream is woken for each, any
// other call when it has all. The caller holds mu.
func (i *Instance) deliver(at time.Duration, sequences []*model.Sequence) {
	for _, s := range sequences {
		c := s.Owner().(*choice)
		i.meter.token(&i.clock, at, c, s)
		c.ready.Store(int32(s.Generated()))
		left := c.call.open.Load()
		if s.Finished() {
			i.meter.finished(&i.clock, c, s)
			left = c.call.open.Add(-1)
		}
		if c.call.stream || left == 0 {
			c.call.notify()
		}
	}
}

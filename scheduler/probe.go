package scheduler

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"penstock/scheduler/engine"
)

// hungFor is how long an instance that hung and cannot be proven to live stays
// out: then one request may try. It doubles with each time.
const hungFor = 5 * time.Second

// probe asks /health. An engine that has none is alive too if anything else
// shows that it is one.
func (k *keeper) probe(ctx context.Context) {
	err := k.engine.Health(ctx)
	if ctx.Err() != nil {
		return
	}
	k.probeAt = time.Now().Add(jitter(k.sched.cfg.Health.ProbeEvery))
	if engine.Ours(err) {
		return
	}
	moved := k.inst.row.moved.Load()
	switch {
	case errors.Is(err, engine.ErrScaling):
		k.notReady("scaling")
		return
	case errors.Is(err, engine.ErrLoading):
		k.notReady("loading")
		return
	case statusOf(err) > 0 && statusOf(err) < 500:
		if err = k.recognize(ctx, err); ctx.Err() != nil {
			return
		}
	case errors.Is(err, engine.ErrTimeout) && moved != k.moved && k.inst.attended():
		err = nil // too busy to answer us, but not its clients
	}
	k.moved = moved
	if err == nil {
		k.badProbes = 0
		k.welcome(ctx)
		return
	}
	k.unwell(err)
}

// unwell deals with a probe that failed.
func (k *keeper) unwell(err error) {
	k.badProbes++
	enough := badProbes
	if k.sched.fleet.panicking() {
		enough *= panicFactor
	}
	refused := errors.Is(err, syscall.ECONNREFUSED)
	state := State(k.inst.health.state.Load())
	switch {
	case state == Starting:
		k.notReady(err.Error())
		return
	case state == Ejected:
	case refused:
		k.inst.Failed(Refused, "")
	case k.badProbes >= enough:
		k.inst.fault(Probe, "probe: "+err.Error())
	}
	if refused || state == Suspect {
		k.knock()
	}
}

// notReady keeps the instance among those that start.
func (k *keeper) notReady(reason string) {
	k.badProbes = 0
	k.inst.rest(reason)
	k.knock()
}

// knock sets the next probe soon: the sooner, the less it has been waited for,
// and the fewer others are waited for.
func (k *keeper) knock() {
	k.absent(!k.inst.attended())
	wait := max(knockEvery, time.Duration(k.sched.fleet.absent.Load())*knockEach)
	if !k.since.IsZero() {
		wait = max(wait, time.Since(k.since)/knockShare)
	}
	k.probeAt = time.Now().Add(jitter(min(wait, k.sched.cfg.Health.ProbeEvery)))
}

// absent notes whether the instance is out, or not ready.
func (k *keeper) absent(is bool) {
	switch {
	case is == !k.since.IsZero():
	case is:
		k.since = time.Now()
		k.sched.fleet.absent.Add(1)
	default:
		k.since = time.Time{}
		k.sched.fleet.absent.Add(-1)
	}
}

// recognize says whether what answers /health with such a status is an engine:
// one that has told its models or its metrics, or does now. A wrong port is
// often somebody's web server, which answers everything with 404.
func (k *keeper) recognize(ctx context.Context, health error) error {
	if k.inst.models.Load() == nil {
		k.ask(ctx)
	}
	if k.inst.models.Load() != nil || k.inst.heardAt.Load() != 0 {
		return nil
	}
	if k.scrape(ctx); k.inst.heardAt.Load() != 0 {
		return nil
	}
	return fmt.Errorf("it does not answer like an engine, is the port right? %w; /metrics and /v1/models tell nothing either", health)
}

// welcome lets an instance in whose probe went well. It is asked for its models
// and its load before it gets a request.
func (k *keeper) welcome(ctx context.Context) {
	state := State(k.inst.health.state.Load())
	if state == Healthy {
		return
	}
	if state == Ejected && !k.mayReturn(ctx) {
		return
	}
	if state != Suspect {
		k.ask(ctx)
		k.scrape(ctx)
	}
	if State(k.inst.health.state.Load()) != state || ctx.Err() != nil {
		return // it failed meanwhile
	}
	if why := k.lacks(); why != "" && state != Suspect {
		k.notReady(why)
		return
	}
	if state == Ejected {
		k.back = time.Now()
	}
	k.progress.at = time.Time{}
	k.inst.recovered()
}

// mayReturn asks more of an instance that failed its requests than a /health
// that was good all the time: that it has been out for a while, the longer the
// oftener it came back in vain, and that it answers a request of ours.
func (k *keeper) mayReturn(ctx context.Context) bool {
	switch Failure(k.inst.health.why.Load()) {
	case Hung:
		return k.lives(ctx)
	case Closed, Timeout, BadStatus, Protocol:
	default:
		return true
	}
	_, _, flaps := k.inst.standing()
	hold := k.sched.cfg.Health.ProbeEvery << min(max(flaps-1, 0), mostFlaps)
	if left := hold - time.Since(k.since); left > 0 {
		k.probeAt = earliest(k.probeAt, time.Now().Add(left))
		return false
	}
	err := k.engine.Generate(ctx, k.anyModel())
	return err == nil || ctx.Err() == nil && statusOf(err) > 0 && statusOf(err) < 500
}

// anyModel is one that the instance serves; "" where it has not said.
func (k *keeper) anyModel() string {
	if m := k.inst.models.Load(); m != nil && len(*m) > 0 {
		return (*m)[0].ID
	}
	return ""
}

// lacks says what an instance that answers still wants before it can serve.
func (k *keeper) lacks() string {
	if k.reading.Asleep && k.has.Has(engine.HasSleep) {
		return "asleep"
	}
	if m := k.inst.models.Load(); m != nil && len(*m) == 0 {
		return "it serves no model yet"
	}
	return ""
}

// lives says whether an instance that hung works again: something moves in it,
// or it answers a request of ours. Its /health has said so all the time, and
// means nothing.
func (k *keeper) lives(ctx context.Context) bool {
	tokens := k.reading.PromptTokens + k.reading.GenerationTokens
	if k.progress.moves != k.still {
		return true
	}
	if k.scrape(ctx); k.has.Has(engine.HasTokens) && k.reading.PromptTokens+k.reading.GenerationTokens > tokens {
		return true
	}
	err := k.engine.Generate(ctx, k.anyModel())
	if err == nil || ctx.Err() != nil {
		return err == nil
	}
	if statusOf(err) == 0 {
		return false
	}
	// It refuses our request, which proves neither.
	_, _, flaps := k.inst.standing()
	return time.Since(k.since) >= hungFor<<min(max(flaps-1, 0), mostFlaps)
}

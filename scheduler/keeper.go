package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"penstock/scheduler/engine"
)

const (
	// modelsEvery is how often an instance is asked what it serves.
	modelsEvery = 30 * time.Second
	// knockEvery is how often an instance that refuses is looked at: a refused
	// connection costs microseconds, and an engine that starts is wanted soon.
	knockEvery = 150 * time.Millisecond
	// rampEvery is how often a share that grows is set anew.
	rampEvery = 250 * time.Millisecond
	// mostFlaps bounds how far the probes of a flapping instance go apart: by
	// doubling, to 32 times.
	mostFlaps = 5
	// badProbes in a row take an instance out.
	badProbes = 2
	// badScrapes in a row make its last report worthless.
	badScrapes = 3
)

// reader is how a keeper reads its engine: engine.Client, or a test's.
type reader interface {
	Scrape(ctx context.Context, r *engine.Reading) error
	Health(ctx context.Context) error
	Models(ctx context.Context) ([]engine.Model, error)
	Close()
}

// keeper keeps one instance's report and health up to date. One goroutine runs
// it; it asks the engine one thing at a time over one connection.
type keeper struct {
	sched  *Scheduler
	inst   *Instance
	engine reader
	log    *slog.Logger

	reading engine.Reading
	pace    pace
	flaps   int    // ejections seen
	moved   uint64 // row.moved at the last probe

	scrapeAt, probeAt, modelsAt time.Time
	back                        time.Time // when it came back; zero: its share is whole
	badProbes, badScrapes       int
	locked                      bool // it wants a key that we do not have
}

func newKeeper(s *Scheduler, i *Instance) (*keeper, error) {
	c, err := engine.NewClient(engine.Options{URL: i.URL, APIKey: i.APIKey, Kind: *i.kind.Load(), Timeout: s.cfg.Scrape.Timeout})
	if err != nil {
		return nil, err
	}
	return &keeper{sched: s, inst: i, engine: c, log: i.log, pace: pace{fixed: s.cfg.Scrape.Every}}, nil
}

func (k *keeper) run(ctx context.Context) {
	defer k.engine.Close()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-alarm.C:
		case <-k.inst.kick:
			k.kicked(time.Now())
		}
		k.visit(ctx)
		if ctx.Err() != nil {
			return
		}
		alarm.Reset(time.Until(k.next()))
	}
}

// kicked says that a request failed: at the first ejection the engine is looked
// at at once, if it keeps failing after each return more and more slowly.
func (k *keeper) kicked(now time.Time) {
	_, _, flaps := k.inst.standing()
	switch {
	case flaps > 1 && flaps != k.flaps:
		k.probeAt = now.Add(k.sched.cfg.Health.ProbeEvery << min(flaps-2, mostFlaps))
	case flaps <= 1:
		k.probeAt = now
	}
	k.flaps = flaps
}

// visit does what is due.
func (k *keeper) visit(ctx context.Context) {
	if now := time.Now(); !now.Before(k.probeAt) {
		k.probe(ctx)
	}
	if !k.inst.State().routable() || ctx.Err() != nil {
		return
	}
	if now := time.Now(); !now.Before(k.scrapeAt) {
		k.scrape(ctx)
	}
	if now := time.Now(); !now.Before(k.modelsAt) {
		k.ask(ctx)
	}
	if !k.back.IsZero() {
		k.inst.ramp.advance(time.Since(k.back))
		if k.inst.ramp.over() {
			k.back = time.Time{}
		}
	}
}

// next is when something is due.
func (k *keeper) next() time.Time {
	next := k.probeAt
	if k.inst.State().routable() {
		next = earliest(next, k.scrapeAt, k.modelsAt)
		if !k.back.IsZero() {
			next = earliest(next, time.Now().Add(rampEvery))
		}
	}
	return next
}

func earliest(times ...time.Time) time.Time {
	return slices.MinFunc(times, time.Time.Compare)
}

// probe asks /health. An engine that has none is alive too if anything else
// shows that it is one.
func (k *keeper) probe(ctx context.Context) {
	err := k.engine.Health(ctx)
	if ctx.Err() != nil {
		return
	}
	if engine.Ours(err) {
		k.probeAt = time.Now().Add(jitter(k.sched.cfg.Health.ProbeEvery))
		return
	}
	moved := k.inst.row.moved.Load()
	switch {
	case statusOf(err) > 0 && statusOf(err) < 500:
		if err = k.recognize(ctx, err); ctx.Err() != nil {
			return
		}
	case errors.Is(err, engine.ErrTimeout) && moved != k.moved && k.inst.State().routable():
		err = nil // too busy to answer us, but not its clients
	}
	k.moved = moved
	k.probeAt = time.Now().Add(jitter(k.sched.cfg.Health.ProbeEvery))
	if err == nil {
		k.badProbes = 0
		k.welcome(ctx)
		return
	}
	k.badProbes++
	refused := errors.Is(err, syscall.ECONNREFUSED)
	switch {
	case !k.inst.State().routable():
	case refused:
		k.inst.Failed(Refused)
	case k.badProbes >= badProbes, k.inst.State() == Starting:
		k.log.Warn("probe failed", "err", err)
		k.inst.Failed(Probe)
	}
	if refused {
		k.probeAt = time.Now().Add(jitter(min(knockEvery, k.sched.cfg.Health.ProbeEvery)))
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

// statusOf is the status that the engine answered with, 0 if err is something
// else.
func statusOf(err error) int {
	var status *engine.StatusError
	if errors.As(err, &status) {
		return status.Code
	}
	return 0
}

// welcome lets an instance in whose probe went well. It is asked for its models
// and its load before it gets a request.
func (k *keeper) welcome(ctx context.Context) {
	state := k.inst.State()
	if state == Healthy || state == Draining {
		return
	}
	if state != Suspect {
		k.ask(ctx)
		k.scrape(ctx)
	}
	if k.inst.State() != state || ctx.Err() != nil {
		return // it failed meanwhile
	}
	if state == Ejected {
		k.back = time.Now()
	}
	k.inst.recovered()
}

// scrape reads the engine's report, and publishes it.
func (k *keeper) scrape(ctx context.Context) {
	before, ended := k.inst.row.inFlight.Load(), k.inst.row.ended.Load()
	tokens := k.reading.GenerationTokens
	err := k.engine.Scrape(ctx, &k.reading)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		k.unread(err)
		return
	}
	if k.badScrapes >= badScrapes {
		k.log.Info("metrics are read again")
	}
	k.badScrapes = 0
	k.pace.took(k.reading.Took)
	k.inst.scrapes.Observe(k.reading.Took)
	k.scrapeAt = time.Now().Add(jitter(k.pace.interval()))
	if k.reading.GenerationTokens < tokens { // it was restarted
		k.inst.said.known.Store(0)
		k.modelsAt = time.Now()
	}
	k.inst.report(&k.reading, before, ended)
}

// unread deals with a scrape that failed. Metrics are no condition for getting
// requests: after a few misses the last report is dropped, and our own account
// has to do.
func (k *keeper) unread(err error) {
	k.inst.scrapeErrors.Inc()
	k.badScrapes++
	if k.badScrapes == badScrapes {
		k.log.Warn("metrics cannot be read; the router's own account has to do", "err", err)
	}
	if k.badScrapes >= badScrapes {
		k.inst.said.live.Store(0)
		k.inst.free()
	}
	k.scrapeAt = time.Now().Add(jitter(k.pace.after(k.badScrapes)))
	if errors.Is(err, syscall.ECONNREFUSED) && k.inst.State().routable() {
		k.inst.Failed(Refused)
	}
}

// ask reads which models the engine serves. One that does not say may serve
// anything.
func (k *keeper) ask(ctx context.Context) {
	k.modelsAt = time.Now().Add(jitter(modelsEvery))
	models, err := k.engine.Models(ctx)
	if locked := statusOf(err) == 401 || statusOf(err) == 403; locked != k.locked && ctx.Err() == nil {
		if k.locked = locked; locked {
			k.log.Warn("the engine wants a key for /v1/models: give the instance an api_key_file, or it may refuse every request", "err", err)
		}
	}
	if err != nil {
		return
	}
	old := k.inst.models.Swap(&models)
	if old == nil || !slices.Equal(*old, models) {
		k.sched.republish()
	}
}

// report publishes what the engine said. before and ended are our account's
// words of when it was asked.
func (i *Instance) report(r *engine.Reading, before int64, ended uint64) {
	running, waiting := int64(r.Running), int64(r.Waiting)
	mine := max(before, i.row.inFlight.Load())
	i.said.running.Store(running)
	i.said.waiting.Store(waiting)
	i.said.kvUsage.Store(int64(r.KVUsage * 1e6))
	i.said.kvSize.Store(r.KVCapacityTokens)
	i.said.foreign.Store(max(running+waiting-mine, 0))
	i.said.ended.Store(ended)
	if waiting == 0 {
		i.said.known.Store(max(i.said.known.Load(), running, i.stated(r)))
	}
	if kind := i.kind.Load(); *kind != r.Kind {
		read := r.Kind
		i.kind.Store(&read)
	}
	i.heardAt.Store(r.At.UnixNano())
	i.said.live.Store(uint32(r.Has))
	i.free()
}

// stated is how many requests of full length the engine has room for: as it
// says, or as its KV cache and its context do.
func (i *Instance) stated(r *engine.Reading) int64 {
	longest := i.Context()
	if r.MaxConcurrency > 0 || longest == 0 {
		return int64(r.MaxConcurrency)
	}
	return r.KVCapacityTokens / int64(longest)
}

// jitter keeps many keepers from asking in step: a tenth more or less.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

package scheduler

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"penstock/scheduler/engine"
)

const (
	// modelsEvery is how often an instance is asked what it serves, and
	// modelsAgain how soon again when an answer contradicts it.
	modelsEvery = 30 * time.Second
	modelsAgain = time.Second
	// knockEvery is how often an instance that refuses, or says that it is not
	// ready, is looked at: an engine that starts is wanted soon. Of many, each is
	// looked at less often, for a thousand looks a second cost 4 % of a core; and
	// one that has been waited for for an hour may wait a little.
	knockEvery = 100 * time.Millisecond
	knockEach  = time.Millisecond
	knockShare = 18_000 // of the time that it has been waited for
	// rampEvery is how often a share that grows is set anew.
	rampEvery = 250 * time.Millisecond
	// mostFlaps bounds how far the probes of a flapping instance go apart: by
	// doubling, to 32 times.
	mostFlaps = 5
	// badProbes in a row take an instance out.
	badProbes = 2
	// badScrapes in a row make its last report worthless.
	badScrapes = 3
	// looks is how many times an instance at work is looked at within the time
	// that makes a hang.
	looks = 8
)

// reader is how a keeper reads its engine: engine.Client, or a test's.
type reader interface {
	Scrape(ctx context.Context, r *engine.Reading) error
	Health(ctx context.Context) error
	Models(ctx context.Context) ([]engine.Model, error)
	Generate(ctx context.Context, model string) error
	HangUp()
	Close()
}

// keeper keeps one instance's report and health up to date. One goroutine runs
// it; it asks the engine one thing at a time over one connection.
type keeper struct {
	sched  *Scheduler
	inst   *Instance
	engine reader

	reading  engine.Reading
	has      engine.Signals // of the last report
	pace     pace
	judge    judge
	progress progress
	flaps    int    // ejections seen
	moved    uint64 // row.moved at the last probe
	still    uint64 // progress.moves when it hung
	dialed   string // the address that the engine's connection leads to

	scrapeAt, probeAt, modelsAt time.Time
	readAt                      time.Time // when the last scrape began
	asked                       time.Time // when it was last asked for its models
	back                        time.Time // when it came back; zero: its share is whole
	since                       time.Time // when it began not to be routable; zero: it is
	badProbes, badScrapes       int
	locked                      bool // it wants a key that we do not have
}

func newKeeper(s *Scheduler, i *Instance) *keeper {
	c, err := engine.NewClient(engine.Options{
		URL: i.URL, APIKey: i.APIKey, Kind: i.options.engine, Custom: s.cfg.Engines, Timeout: s.cfg.Scrape.Timeout, Addr: i.Addr,
	})
	if err != nil {
		panic(fmt.Sprintf("instance %s was checked: %v", i.Name, err))
	}
	return keeperOf(s, i, c)
}

func keeperOf(s *Scheduler, i *Instance, r reader) *keeper {
	return &keeper{sched: s, inst: i, engine: r, pace: pace{fixed: s.cfg.Scrape.Every}, dialed: i.Addr()}
}

// run ends with ctx, or when the instance has left.
func (k *keeper) run(ctx context.Context) {
	defer k.engine.Close()
	defer k.absent(false)
	k.sched.wire.attach(k.inst)
	defer k.sched.wire.detach(k.inst)
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
		if k.inst.Leaving() && k.sched.departed(k.inst) {
			return
		}
		k.visit(ctx)
		if ctx.Err() != nil {
			return
		}
		alarm.Reset(time.Until(k.next()))
	}
}

// kicked says that something happened: at the first ejection the engine is
// looked at at once, if it keeps failing after each return more and more slowly.
func (k *keeper) kicked(now time.Time) {
	_, _, flaps := k.inst.standing()
	switch {
	case flaps > 1 && flaps != k.flaps:
		k.probeAt = now.Add(k.sched.cfg.Health.ProbeEvery << min(flaps-2, mostFlaps))
	case flaps <= 1:
		k.probeAt = now
	}
	k.flaps = flaps
	if k.inst.outdated.Swap(false) {
		k.modelsAt = k.asked.Add(modelsAgain)
	}
	if to := k.inst.Addr(); to != k.dialed {
		k.dialed = to
		k.sched.wire.attach(k.inst)
		k.engine.HangUp()
	}
}

// visit does what is due.
func (k *keeper) visit(ctx context.Context) {
	k.absent(!k.inst.attended())
	if !k.inst.attended() {
		k.has, k.back = 0, time.Time{}
	}
	calls, done := k.untilHung(ctx, time.Now())
	defer done()
	if now := time.Now(); !now.Before(k.probeAt) {
		k.probe(calls)
	}
	if k.inst.attended() && calls.Err() == nil && !time.Now().Before(k.scrapeAt) {
		k.scrape(calls)
	}
	if k.inst.attended() && calls.Err() == nil && !time.Now().Before(k.modelsAt) {
		k.ask(calls)
	}
	if ctx.Err() != nil {
		return
	}
	k.watch(time.Now())
	k.sched.wire.attach(k.inst)
	if !k.back.IsZero() {
		k.inst.ramp.advance(time.Since(k.back))
		if k.inst.ramp.over() {
			k.back = time.Time{}
			k.inst.settled()
		}
	}
}

// untilHung bounds what the keeper asks by when silence becomes a hang: an
// engine that does not answer must not keep it from noticing.
func (k *keeper) untilHung(ctx context.Context, now time.Time) (context.Context, context.CancelFunc) {
	if still := k.progress.quiet(now); k.inst.row.inFlight.Load() > 0 && still > k.stall()/4 {
		if left := k.progress.patience(k.inst, k.stall()) - still; left > 0 {
			return context.WithTimeout(ctx, left)
		}
	}
	return ctx, func() {}
}

// stall is the least that counts as a hang.
func (k *keeper) stall() time.Duration {
	if k.inst.attended() && k.sched.fleet.panicking() {
		return panicFactor * k.sched.cfg.Health.Stall
	}
	return k.sched.cfg.Health.Stall
}

// next is when something is due.
func (k *keeper) next() time.Time {
	next := k.probeAt
	if k.inst.attended() {
		next = earliest(next, k.scrapeAt, k.modelsAt)
	}
	if !k.back.IsZero() {
		next = earliest(next, time.Now().Add(rampEvery))
	}
	if k.inst.row.inFlight.Load() > 0 {
		next = earliest(next, time.Now().Add(k.sched.cfg.Health.Stall/looks))
	}
	return next
}

func earliest(times ...time.Time) time.Time {
	return slices.MinFunc(times, time.Time.Compare)
}

// watch looks at what moves, and at what is to be believed.
func (k *keeper) watch(now time.Time) {
	k.trust(now)
	k.progress.look(k.inst, now)
	stall := k.stall()
	if k.progress.quiet(now) > stall/4 && k.badScrapes == 0 { // its counters may know more, and a late reading would look like progress
		k.scrapeAt = earliest(k.scrapeAt, k.readAt.Add(stall/2))
	}
	still := k.progress.hung(k.inst, now, stall)
	if still > 0 && k.inst.attended() {
		r := &k.inst.row
		k.still = k.progress.moves
		k.inst.fault(Hung, fmt.Sprintf("hung: nothing moved for %v, with %d requests in flight, %d of them without a byte",
			still.Round(10*time.Millisecond), r.inFlight.Load(), r.prompts.underWay.Load()))
	}
	k.inst.health.stuck.Store(still > 0)
}

// scrape reads the engine's report, and publishes it.
func (k *keeper) scrape(ctx context.Context) {
	i := k.inst
	before, ended, streams := i.row.inFlight.Load(), i.row.ended.Load(), i.row.streams.Load()
	given := k.sched.given.Load()
	tokens := k.reading.GenerationTokens
	k.readAt = time.Now()
	err := k.engine.Scrape(ctx, &k.reading)
	if ctx.Err() != nil {
		return
	}
	now := time.Now()
	if err != nil {
		k.unread(err)
		return
	}
	if k.badScrapes >= badScrapes {
		i.log.Info("metrics are read again")
	}
	k.badScrapes = 0
	k.pace.took(k.reading.Took)
	i.scrapes.Observe(k.reading.Took)
	k.scrapeAt = now.Add(jitter(k.pace.interval()))
	if k.reading.GenerationTokens < tokens { // it was restarted
		i.said.known.Store(0)
		i.ceiling = ceiling{}
		k.sched.cached.Clear(i.slot)
		k.modelsAt = now
	}
	k.sched.sizeCache(i, &k.reading)
	i.compare(&k.reading)
	k.has = k.reading.Has
	k.judge.heard(i, &k.reading, min(streams, i.row.streams.Load()), now)
	i.report(&k.reading, before, ended)
	i.said.given.Store(given)
	k.trust(now)
	if k.reading.Asleep && k.inst.attended() {
		i.rest("asleep")
	}
}

// unread deals with a scrape that failed. Metrics are no condition for getting
// requests: after a few misses our own account has to do.
func (k *keeper) unread(err error) {
	k.inst.scrapeErrors.Add(1)
	k.judge.missed(err)
	k.badScrapes++
	if k.badScrapes == badScrapes {
		k.inst.log.Warn("metrics cannot be read; the router's own account has to do", "err", err)
	}
	if k.badScrapes >= badScrapes {
		k.has = 0
		k.trust(time.Now())
	}
	k.scrapeAt = time.Now().Add(jitter(k.pace.after(k.badScrapes)))
	if errors.Is(err, syscall.ECONNREFUSED) && k.inst.attended() {
		k.inst.Failed(Refused, "its metrics port refuses connections")
	}
}

// ask reads which models the engine serves. One that does not say may serve
// anything.
func (k *keeper) ask(ctx context.Context) {
	k.asked = time.Now()
	k.modelsAt = k.asked.Add(jitter(modelsEvery))
	models, err := k.engine.Models(ctx)
	if locked := statusOf(err) == 401 || statusOf(err) == 403; locked != k.locked && ctx.Err() == nil {
		if k.locked = locked; locked {
			k.inst.log.Warn("the engine wants a key for /v1/models: give the instance an api_key_file, or it may refuse every request", "err", err)
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

// statusOf is the status that the engine answered with, 0 if err is something
// else.
func statusOf(err error) int {
	var status *engine.StatusError
	if errors.As(err, &status) {
		return status.Code
	}
	return 0
}

// jitter keeps many keepers from asking in step: a tenth more or less.
func jitter(d time.Duration) time.Duration {
	return d + time.Duration((rand.Float64()-0.5)*0.2*float64(d))
}

package scheduler

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"penstock/scheduler/predict"
	"penstock/scheduler/prefix"
	"penstock/scheduler/record"
	"penstock/scheduler/telemetry"
)

// Scheduler knows the instances and decides. New makes it, Run keeps it
// informed; it decides, less well informed, without Run too.
type Scheduler struct {
	cfg    Config
	policy policy
	log    *slog.Logger

	fleet    fleet
	wire     wire
	snapshot atomic.Pointer[snapshot]
	turn     atomic.Uint64
	given    atomic.Uint64 // requests ever, to any instance
	onFree   atomic.Pointer[func()]

	output  predict.Output // tokens of an answer
	prompt  *mean          // tokens of a prompt
	pool    predict.Speed  // of all instances together
	typical atomic.Pointer[predict.Rates]

	cached  *prefix.Index // what the instances have in their KV caches, as we believe
	nowhere prefix.Slot   // of it: nobody's
	oracle  func(*Instance, *Query) int

	firsts     atomic.Uint64 // tokens learned from
	ttftErrors predict.Errors
	sharing    sync.Mutex // of the comparison of instances
	patience   float64    // how many gaps between tokens are as bad as one as long before the first
	service    service

	records   *record.Ring // nil: nobody looks back
	decisions *telemetry.Histogram
	degraded  [signalCount]telemetry.Counter
	misled    telemetry.Counter // decisions without predictions, for these are bad
}

// What requests are taken for before any was seen: chats.
const (
	firstOutput = 256
	firstPrompt = 512
)

// New makes a scheduler of a configuration.
func New(cfg Config, log *slog.Logger) (*Scheduler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Scheduler{
		cfg: cfg, log: log, prompt: newMean(firstPrompt), patience: cfg.SLO.patience(), cached: prefix.New(mostBlocks, rand.Uint64()),
		decisions: telemetry.NewHistogram(telemetry.MicroBounds),
	}
	s.wire.at = make(map[int][]*Instance)
	s.typical.Store(&predict.Typical)
	s.pool.Begin(predict.Typical)
	s.nowhere, _ = s.cached.Open(0) // the first that is opened
	s.policy, _ = policyNamed(cfg.Policy)
	if err := s.Set(firstSource, cfg.Instances); err != nil {
		return nil, err
	}
	return s, nil
}

// Run scrapes and probes every instance until ctx ends. It returns when all of
// its goroutines have.
func (s *Scheduler) Run(ctx context.Context) error {
	names := resolver{net.DefaultResolver.LookupHost}
	s.fleet.keepers.Go(func() { names.run(ctx, s) })
	s.fleet.mu.Lock()
	s.fleet.running = ctx
	for _, i := range s.fleet.all {
		s.keep(i)
	}
	s.fleet.mu.Unlock()
	if s.wire.source != nil {
		s.fleet.keepers.Go(func() { s.wire.hear(ctx.Done()) })
	}
	<-ctx.Done()
	s.fleet.stop()
	return nil
}

// stop lets no keeper begin any more, and waits for those that run.
func (f *fleet) stop() {
	f.mu.Lock()
	f.running = nil
	f.mu.Unlock()
	f.keepers.Wait()
}

// Instances are the fleet of this moment, in order of arrival. The slice never
// changes.
func (s *Scheduler) Instances() []*Instance { return s.snapshot.Load().all }

// Routable says whether any instance could be given a request.
func (s *Scheduler) Routable() bool {
	for _, i := range s.Instances() {
		if i.routable() || i.lastResort() {
			return true
		}
	}
	return false
}

// AllDrain says that there are instances, and that all of them drain.
func (s *Scheduler) AllDrain() bool {
	all := s.Instances()
	return len(all) > 0 && !slices.ContainsFunc(all, func(i *Instance) bool { return i.State() != Draining })
}

// Models are all that the instances serve, sorted.
func (s *Scheduler) Models() []Model { return s.snapshot.Load().models }

// Policy is the name of the one in force.
func (s *Scheduler) Policy() string { return s.policy.name }

// OnFree sets what is called, from any goroutine and often, when an instance
// may have got room. It must not block.
func (s *Scheduler) OnFree(f func()) { s.onFree.Store(&f) }

func (s *Scheduler) free() {
	if f := s.onFree.Load(); f != nil {
		(*f)()
	}
}

// ObserveDecision notes how long a decision took.
func (s *Scheduler) ObserveDecision(ns int64) { s.decisions.Observe(time.Duration(ns)) }

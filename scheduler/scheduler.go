package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"penstock/scheduler/telemetry"
)

// Scheduler knows the instances and decides. New makes it, Run keeps it
// informed; it decides, less well informed, without Run too.
type Scheduler struct {
	cfg    Config
	policy policy
	log    *slog.Logger

	publishing sync.Mutex // over making a new snapshot of the old
	snapshot   atomic.Pointer[snapshot]
	turn       atomic.Uint64
	onFree     atomic.Pointer[func()]

	output *mean // tokens of an answer
	prompt *mean // tokens of a prompt

	decisions *telemetry.Histogram
	degraded  telemetry.Counter
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
		cfg: cfg, log: log, output: newMean(firstOutput), prompt: newMean(firstPrompt),
		decisions: telemetry.NewHistogram(telemetry.MicroBounds),
	}
	s.policy, _ = policyNamed(cfg.Policy)
	var all []*Instance
	for id, c := range cfg.Instances {
		if c.Engine == "" {
			c.Engine = cfg.Engine
		}
		i, err := newInstance(id, c, log, s.free)
		if err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	s.snapshot.Store(newSnapshot(all))
	return s, nil
}

// Run scrapes and probes every instance until ctx ends. It returns when all of
// its goroutines have.
func (s *Scheduler) Run(ctx context.Context) error {
	var keepers sync.WaitGroup
	defer keepers.Wait()
	for _, i := range s.Instances() {
		k, err := newKeeper(s, i)
		if err != nil {
			return fmt.Errorf("instance %s: %w", i.Name, err)
		}
		keepers.Go(func() { k.run(ctx) })
	}
	return nil
}

// Instances are all there are; the index is the ID.
func (s *Scheduler) Instances() []*Instance { return s.snapshot.Load().all }

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

// republish makes a new snapshot, after an instance said that it serves
// something else.
func (s *Scheduler) republish() {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.snapshot.Store(newSnapshot(s.Instances()))
	s.free()
}

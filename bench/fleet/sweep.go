package fleet

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"penstock/bench/model"
	"penstock/bench/workload"
	"penstock/scheduler"
)

// Sweep is many runs: every policy at every rate of a workload, with the same
// arrivals.
type Sweep struct {
	Config            // of each; its Policy and Params.Rate are not read
	Policies []string // none: all that there are
	Rates    []float64
	Jobs     int // runs at once; 0: as many as there are cores
}

// Report is what a sweep measured; its JSON is INTERFACE.md's.
type Report struct {
	Workload  string   `json:"workload"`
	About     string   `json:"about"`
	Unit      string   `json:"unit"` // of the rates
	Instances int      `json:"instances"`
	Gateways  int      `json:"gateways"`
	Profile   string   `json:"profile"` // of the instances, in turn
	Seed      uint64   `json:"seed"`
	ScrapeMS  float64  `json:"scrape_ms"`
	SLO       Promises `json:"slo"`
	Rows      []Row    `json:"rows"` // by rate, then by policy, as asked for
}

// Promises is an SLO for people and programs.
type Promises struct {
	TTFTMS float64 `json:"ttft_ms"`
	ITLMS  float64 `json:"itl_ms"`
}

// Validate says what is wrong with the sweep, and fills it.
func (s *Sweep) Validate() error {
	if s.Workload == nil {
		return s.Config.Validate()
	}
	if len(s.Policies) == 0 {
		s.Policies = scheduler.Policies()
	}
	for _, name := range s.Policies {
		if !slices.Contains(scheduler.Policies(), name) {
			return fmt.Errorf("policies: %q is none of %s", name, strings.Join(scheduler.Policies(), ", "))
		}
	}
	filled, err := s.with(s.Policies[0], 1).filled()
	if err != nil {
		return err
	}
	if len(s.Rates) == 0 {
		s.Rates = s.defaultRates(filled.Instances)
	}
	for _, rate := range s.Rates {
		if err := workload.CheckRate(rate); err != nil {
			return fmt.Errorf("rates: %w", err)
		}
	}
	s.Instances, s.Profiles = filled.Instances, filled.Profiles
	return nil
}

// defaultRates are the workload's, as much as the fleet is larger than the one
// that they are for.
func (s *Sweep) defaultRates(instances int) []float64 {
	rates := slices.Clone(s.Workload.Rates)
	for i := range rates {
		if more := float64(instances) / float64(s.Workload.Instances); instances != s.Workload.Instances && s.Workload.Name != "one" {
			rates[i] = round(rates[i]*more, 3)
		}
	}
	return rates
}

func (s *Sweep) with(policy string, rate float64) Config {
	c := s.Config
	c.Policy, c.Params.Rate = policy, rate
	return c
}

// Run runs all. observe is told how far the whole is, 0..1, by one goroutine at
// a time; it may be nil.
func (s *Sweep) Run(ctx context.Context, observe func(done float64)) (*Report, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	var all []Config
	for _, rate := range s.Rates {
		for _, policy := range s.Policies {
			all = append(all, s.with(policy, rate))
		}
	}
	rows := make([]Row, len(all))
	far := newProgress(all, observe)
	jobs := s.Jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan int)
	var work sync.WaitGroup
	for range min(jobs, len(all)) {
		work.Go(func() {
			for n := range next {
				res, err := Run(ctx, all[n], func(ended int) { far.tell(n, ended) })
				if err != nil {
					stop(fmt.Errorf("%s at %v: %w", all[n].Policy, all[n].Params.Rate, err))
					continue
				}
				rows[n] = res.Row(&all[n])
				far.done(n)
			}
		})
	}
	for n := range all {
		next <- n
	}
	close(next)
	work.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return s.report(rows), nil
}

func (s *Sweep) report(rows []Row) *Report {
	return &Report{
		Workload: s.Workload.Name, About: s.Workload.About, Unit: s.Workload.Unit, Instances: s.Instances, Gateways: s.Gateways,
		Profile: profileNames(s.Profiles), Seed: s.Params.Seed, ScrapeMS: s.ScrapeEvery.Seconds() * 1000,
		SLO: Promises{Objective.TTFT.Seconds() * 1000, Objective.ITL.Seconds() * 1000}, Rows: rows,
	}
}

func profileNames(profiles []model.Profile) string {
	var names []string
	for _, p := range profiles {
		names = append(names, p.Name)
	}
	return strings.Join(names, ",")
}

// progress is how far a sweep is.
type progress struct {
	mu      sync.Mutex
	ended   []int
	total   []int
	sum     int
	all     int
	observe func(float64)
}

func newProgress(all []Config, observe func(float64)) *progress {
	p := &progress{ended: make([]int, len(all)), observe: observe}
	for _, c := range all {
		n := max(c.Workload.Total(c.Params), 1)
		p.total = append(p.total, n)
		p.all += n
	}
	return p
}

func (p *progress) done(n int) { p.tell(n, p.total[n]) }

func (p *progress) tell(n, ended int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ended = min(ended, p.total[n])
	p.sum += ended - p.ended[n]
	p.ended[n] = ended
	if p.observe != nil {
		p.observe(float64(p.sum) / float64(p.all))
	}
}

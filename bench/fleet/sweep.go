package fleet

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
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
	Settings  Settings `json:"settings"`
	Rows      []Row    `json:"rows"` // by rate, then by policy, as asked for
}

// Settings are what else was asked for, by the names of the flags.
type Settings struct {
	Rates        []float64 `json:"rates"`
	DurationS    float64   `json:"duration_s"` // 0: the workload's own
	ScrapeCostMS float64   `json:"scrape_cost_ms"`
	DelayMS      float64   `json:"delay_ms"`
	Queue        int       `json:"queue"`
	Fail         []string  `json:"fail"`
	OneKey       bool      `json:"one_key"`
	Early        bool      `json:"early"`
	Shed         bool      `json:"shed"`
	Oracle       bool      `json:"oracle"`
	TokenError   float64   `json:"token_error"`
}

// settings are the configuration's; a sweep adds its rates.
func (c *Config) settings() Settings {
	s := Settings{
		DurationS: c.Params.Duration.Seconds(), ScrapeCostMS: c.ScrapeCost.Seconds() * 1000, DelayMS: c.Delay.Seconds() * 1000,
		Queue: c.Queue, Fail: []string{}, OneKey: c.OneKey, Early: c.Early, Shed: c.Shed, Oracle: c.Oracle, TokenError: c.TokenError,
	}
	for _, f := range c.Failures {
		s.Fail = append(s.Fail, f.String())
	}
	return s
}

// option is a flag, and the value that it had.
type option struct {
	flag, value string
	usual       bool // as ever, or said in any case
}

// options are all flags that made the report.
func (r *Report) options() []option {
	s, c := r.Settings, DefaultConfig()
	usual := c.settings()
	var rates []string
	for _, rate := range s.Rates {
		rates = append(rates, rateText(rate))
	}
	lasts := "the workload's own"
	if s.DurationS > 0 {
		lasts = digits(s.DurationS) + "s"
	}
	return []option{
		{"workload", r.Workload, true},
		{"rates", strings.Join(rates, ","), true},
		{"instances", strconv.Itoa(r.Instances), true},
		{"profile", r.Profile, true},
		{"gateways", strconv.Itoa(r.Gateways), true},
		{"scrape", digits(r.ScrapeMS) + "ms", true},
		{"seed", strconv.FormatUint(r.Seed, 10), true},
		{"duration", lasts, s.DurationS == 0},
		{"scrape-cost", digits(s.ScrapeCostMS) + "ms", s.ScrapeCostMS == usual.ScrapeCostMS},
		{"delay", digits(s.DelayMS) + "ms", s.DelayMS == usual.DelayMS},
		{"queue", strconv.Itoa(s.Queue), s.Queue == usual.Queue},
		{"fail", cmp.Or(strings.Join(s.Fail, ","), "none"), len(s.Fail) == 0},
		{"token-error", digits(s.TokenError), s.TokenError == 0},
		{"shed", yesOrNo(s.Shed), !s.Shed},
		{"early", yesOrNo(s.Early), !s.Early},
		{"one-key", yesOrNo(s.OneKey), !s.OneKey},
		{"oracle", yesOrNo(s.Oracle), !s.Oracle},
	}
}

func yesOrNo(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}

// inForce says which flags made this run unlike others; nothing where none did.
func (r *Report) inForce() string {
	var said []string
	for _, o := range r.options() {
		if !o.usual {
			said = append(said, strings.TrimSuffix("--"+o.flag+" "+o.value, " yes"))
		}
	}
	if len(said) == 0 {
		return ""
	}
	return "In force: " + strings.Join(said, ", ") + "."
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
	if s.Params.Duration > 0 && !endsInTime(s.Workload) {
		return fmt.Errorf("duration: %s has a number of requests, or stages, of its own, and no time to end at: the flag is for %s", s.Workload.Name, strings.Join(timed(), ", "))
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

// endsInTime says whether a workload's duration can be chosen: a closed loop has
// a number of requests, and the ladder its own stages.
func endsInTime(w *workload.Workload) bool { return !w.Closed && w.Name != "w1-ladder" }

func timed() []string {
	var names []string
	for _, w := range workload.All() {
		if endsInTime(w) {
			names = append(names, w.Name)
		}
	}
	return names
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
	settings := s.settings()
	settings.Rates = s.Rates
	return &Report{
		Workload: s.Workload.Name, About: s.Workload.About, Unit: s.Workload.Unit, Instances: s.Instances, Gateways: s.Gateways,
		Profile: profileNames(s.Profiles), Seed: s.Params.Seed, ScrapeMS: s.ScrapeEvery.Seconds() * 1000,
		SLO: Promises{Objective.TTFT.Seconds() * 1000, Objective.ITL.Seconds() * 1000}, Settings: settings, Rows: rows,
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

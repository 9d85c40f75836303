package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"penstock/bench/fleet"
	"penstock/bench/model"
	"penstock/bench/workload"
	"penstock/cmd/penstock/config"
	"penstock/dataplane/admin"
)

type fleetCmd struct {
	Workload []string  `placeholder:"NAME,…" help:"Loads, of those above. (w12)"`
	Trace    string    `placeholder:"FILE" help:"A recorded load instead: Mooncake's JSON lines or Azure's CSV, plain or zstd."`
	Policies []string  `aliases:"policy" placeholder:"NAME,…" help:"Default: all that there are."`
	Rates    []float64 `aliases:"load" placeholder:"R,…" help:"Requests per second, a trace's speed-up or a closed loop's clients. Default: a sweep to the fleet's limit."`

	Instances int      `placeholder:"N" help:"Default: as many as the workload is made for."`
	Profile   []string `placeholder:"NAME,…" help:"Of the instances, in turn. Default: the workload's."`
	Gateways  int      `default:"1" placeholder:"N" help:"Each with a scheduler and a view of its own. (${default})"`

	Scrape     time.Duration `default:"100ms" placeholder:"TIME" help:"How often a gateway reads an instance's metrics. (${default})"`
	ScrapeCost time.Duration `default:"4ms" placeholder:"TIME" help:"What that takes of the engine's time. (${default})"`
	Delay      time.Duration `default:"100us" placeholder:"TIME" help:"Of the network to an instance, one way. (${default})"`
	Queue      int           `default:"100000" placeholder:"N" help:"Requests that a gateway holds at most. (${default})"`
	Fail       []string      `placeholder:"AT:N:FOR" help:"Instance N, from 0, dies at a time, and is back after another: 60s:2:30s."`
	OneKey     bool          `help:"Gateways do not tell clients apart: nobody is fair."`
	Early      bool          `help:"No late binding: hold only what every instance is full for."`
	Shed       bool          `help:"Refuse what cannot have its first token within the objective."`
	Oracle     bool          `help:"Gateways know what each engine has cached, rather than guess."`
	TokenError float64       `placeholder:"X" help:"Gateways guess a prompt's tokens wrong by up to this share. (0)"`
	Duration   time.Duration `placeholder:"TIME" help:"Virtual time in which requests come; not of a closed loop or w1-ladder. Default: the workload's."`
	Seed       uint64        `default:"1" placeholder:"N" help:"The same seed, the same run. (${default})"`
	Jobs       int           `placeholder:"N" help:"Runs at once. Default: one for each core."`

	JSON string `name:"json" placeholder:"FILE" help:"Write the report there; - for standard output instead of the table."`
	HTML string `name:"html" placeholder:"FILE" help:"Write a page with curves there."`
}

// helpWidth is that of a narrow terminal, less what the help begins such lines with.
const helpWidth = 76

// Help is more of fleet --help. The help takes indented lines as they are, and
// makes one paragraph of others.
func (fleetCmd) Help() string {
	var b strings.Builder
	b.WriteString("The same scheduler as behind real traffic, in virtual time; every policy meets the same arrivals.\n\nLoads:\n\n")
	for _, w := range workload.All() {
		defined(&b, w.Name, w.About)
	}
	b.WriteString("\nColumns of the table:\n\n")
	for _, m := range fleet.Meanings {
		defined(&b, m.Column, m.Text)
	}
	b.WriteString("\nExample: penstock fleet --workload w1,w12 --policies predictive,round-robin --html report.html")
	return b.String()
}

// defined writes a name, and beside it what it means.
func defined(b *strings.Builder, name, about string) {
	const room = 17 // of the longest name, and a space
	for _, line := range fleet.Fold(about, helpWidth-room) {
		fmt.Fprintf(b, "\t%-*s%s\n", room, name, line)
		name = ""
	}
}

// sweeps are what is asked for, one for each workload.
func (c *fleetCmd) sweeps() ([]*fleet.Sweep, error) {
	cfg := fleet.DefaultConfig()
	cfg.Instances, cfg.Gateways, cfg.Queue = c.Instances, c.Gateways, c.Queue
	cfg.ScrapeEvery, cfg.ScrapeCost, cfg.Delay = c.Scrape, c.ScrapeCost, c.Delay
	cfg.TokenError, cfg.Oracle, cfg.Early, cfg.Shed, cfg.OneKey = c.TokenError, c.Oracle, c.Early, c.Shed, c.OneKey
	cfg.Params = workload.Params{Seed: c.Seed, Duration: c.Duration}
	for _, name := range c.Profile {
		p, err := model.Named(name)
		if err != nil {
			return nil, fmt.Errorf("profile: %w", err)
		}
		cfg.Profiles = append(cfg.Profiles, p)
	}
	for _, text := range c.Fail {
		f, err := fleet.ParseFailure(text)
		if err != nil {
			return nil, fmt.Errorf("fail: %w", err)
		}
		cfg.Failures = append(cfg.Failures, f)
	}
	loads, err := c.workloads()
	if err != nil {
		return nil, err
	}
	if err := c.checkPolicies(); err != nil {
		return nil, err
	}
	var all []*fleet.Sweep
	for _, w := range loads {
		s := &fleet.Sweep{Config: cfg, Policies: c.Policies, Rates: c.Rates, Jobs: c.Jobs}
		s.Workload = w
		if err := s.Validate(); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// checkPolicies refuses an unknown policy as serve does, with the nearest name.
func (c *fleetCmd) checkPolicies() error {
	for _, name := range c.Policies {
		_, err := config.Load("", config.Flags{Policy: name})
		if wrong := (*config.Error)(nil); errors.As(err, &wrong) && wrong.Key == "--policy" {
			wrong.Key = "policies"
			return wrong
		}
	}
	return nil
}

func (c *fleetCmd) workloads() ([]*workload.Workload, error) {
	if c.Trace != "" && len(c.Workload) > 0 {
		return nil, errors.New("trace: give it or --workload, not both")
	}
	if c.Trace != "" {
		w, err := traced(c.Trace)
		return []*workload.Workload{w}, err
	}
	names := c.Workload
	if len(names) == 0 {
		names = []string{"w12"}
	}
	var all []*workload.Workload
	for _, name := range names {
		w, err := workload.Named(name)
		if err != nil {
			wrong := &config.Error{Message: err.Error(), Near: config.Nearest(name, workload.Names())}
			return nil, wrong // as of a policy
		}
		all = append(all, w)
	}
	return all, nil
}

func (c *fleetCmd) Run(out io.Writer) error {
	sweeps, err := c.sweeps()
	if err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	files, err := openReports(out, c.JSON, c.HTML)
	if err != nil {
		return err
	}
	defer files.close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	width := 0
	if size := terminalSize(out); size != nil {
		width, _ = size()
	}
	var reports []*fleet.Report
	for _, s := range sweeps {
		r, err := s.Run(ctx, sweepProgress(os.Stderr, s.Workload.Name))
		if err != nil {
			return err
		}
		reports = append(reports, r)
		if c.JSON != "-" {
			if err := r.WriteText(out, width); err != nil {
				return err
			}
		}
	}
	if c.JSON != "-" {
		fmt.Fprintln(out, "What the columns mean: penstock fleet --help")
	}
	var what any = reports
	if len(reports) == 1 { // one workload is an object, several are a list
		what = reports[0]
	}
	made := fmt.Sprintf("penstock %s, %s", admin.Build{Version: version, Commit: commit}, time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	return files.write(what, func() ([]byte, error) { return fleet.Page(reports, made) })
}

// sweepProgress draws a bar in a terminal, and nothing elsewhere.
func sweepProgress(to *os.File, name string) func(float64) {
	if !isatty.IsTerminal(to.Fd()) {
		return nil
	}
	const whole = 1000
	bar := progressbar.NewOptions(whole, progressbar.OptionSetWriter(to), progressbar.OptionSetWidth(24), progressbar.OptionSetDescription(name),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish())
	return func(done float64) { bar.Set(int(whole * done)) }
}

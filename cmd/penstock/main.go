// Command penstock is the edge router for fleets of LLM inference engines, with
// its simulator and its load generator. It holds no logic of its own: commands,
// flags, and the wiring of the packages below.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"penstock/bench/workload"
	"penstock/cmd/penstock/config"
	"penstock/scheduler"
)

// Set by the Makefile.
var (
	version = "dev"
	commit  = "unknown"
)

// commands are all there are; the order is that of the help.
type commands struct {
	Demo     demoCmd     `cmd:"" help:"The 60-second look: simulated engines, the router, a load and a live table, in one process on loopback."`
	Serve    serveCmd    `cmd:"" help:"Route requests to the engines: gateway and scheduler in one process."`
	Check    checkCmd    `cmd:"" help:"Validate a configuration and print what it means, with every default."`
	Sim      simCmd      `cmd:"" help:"Simulated engines that speak vLLM's HTTP, streams and metrics."`
	Bench    benchCmd    `cmd:"" help:"Load an OpenAI-compatible endpoint and measure it."`
	Fleet    fleetCmd    `cmd:"" help:"Compare policies in virtual time: whole fleets, published loads, one table."`
	Register registerCmd `cmd:"" help:"Runs beside an engine: registers it with a router, for as long as it runs."`
	Drain    drainCmd    `cmd:"" help:"Take an instance out gently, or let it have requests again."`
	Explain  explainCmd  `cmd:"" help:"Why a request went where it went."`
	Replay   replayCmd   `cmd:"" help:"What another policy would have done with the decisions that serve --record has."`
	Version  versionCmd  `cmd:"" help:"Version, commit, Go version, and the kernel's part."`

	Gateway   laterCmd `cmd:"" group:"Not there yet" help:"The data plane alone."`
	Scheduler laterCmd `cmd:"" group:"Not there yet" help:"The scheduler alone, for many gateways."`
	Top       laterCmd `cmd:"" group:"Not there yet" help:"A live table of a running router."`
	Doctor    laterCmd `cmd:"" group:"Not there yet" help:"Look over the machine."`
}

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		slackenTimers()
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the process: what it prints goes to out, a line for each error to errs.
func run(args []string, out, errs io.Writer) int {
	ended := -1
	parser, err := kong.New(new(commands),
		kong.Name("penstock"),
		kong.Description("An edge router for fleets of LLM inference engines.\n\nBegin with: penstock demo"),
		kong.Vars{"engines": engineNames(), "workloads": strings.Join(workload.Names(), ", "), "policies": strings.Join(scheduler.Policies(), ", ")},
		kong.Writers(out, errs),
		kong.Exit(func(status int) { ended = status }), // after --help
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.BindTo(out, (*io.Writer)(nil)),
	)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	if len(args) == 0 {
		return fail(errs, usage(errors.New("which command? penstock --help lists them; begin with: penstock demo")))
	}
	args = accustomed(args)
	if asksAboutLater(parser, args) {
		fmt.Fprintln(out, comesLater(args[0]))
		return exitDone
	}
	ctx, err := parser.Parse(args)
	switch {
	case ended >= 0:
		return ended
	case err != nil:
		return fail(errs, usage(plainly(err, args[0])))
	}
	return fail(errs, ctx.Run())
}

// failMost bounds what is said of a file that is wrong all over.
const failMost = 20

// fail prints err, each of what it is made of in a line, and returns the status
// that it means.
func fail(errs io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if said := (loggedError{}); !errors.As(err, &said) {
		all := config.Errors{err}
		errors.As(err, &all)
		for _, one := range all[:min(len(all), failMost)] {
			fmt.Fprintf(errs, "penstock: %v\n", one)
		}
		if more := len(all) - failMost; more > 0 {
			fmt.Fprintf(errs, "penstock: and %d more\n", more)
		}
	}
	var wrong usageError
	if errors.As(err, &wrong) || config.IsUsage(err) {
		return exitUsage
	}
	return exitFailed
}

package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// usageError is the user's to mend: exit status 2.
type usageError struct{ error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// accustomed takes what people type out of habit for what it is called here.
func accustomed(args []string) []string {
	switch args[0] {
	case "help":
		return append(slices.Clone(args[1:]), "--help")
	case "--version", "-v", "-V":
		return []string{"version"}
	}
	return args
}

// Sentences of kong's that say more of Go than of what would be right.
var (
	strayArgument = regexp.MustCompile(`^unexpected argument (\S+)`)
	missingFlag   = regexp.MustCompile(`^missing flags: --url`)
	noScheduler   = regexp.MustCompile(`^missing flags: --scheduler`)
	noRecording   = regexp.MustCompile(`^expected "<file>"`)
	noInstance    = regexp.MustCompile(`^expected "<name>"`)
	missingValue  = regexp.MustCompile(`^--([a-z-]+): (?:missing value|expected .*\(<EOL>\))`)
	noFile        = regexp.MustCompile(`^--config: expected`)
	noDuration    = regexp.MustCompile(`^--([a-z-]+): expected duration.* but got "([^"]*)"`)
	noNumber      = regexp.MustCompile(`^--([a-z-]+): expected a valid .*(int|float) but got "([^"]*)"`)
)

// plainly says what would be right in the place of kong's sentence.
func plainly(err error, command string) error {
	said := err.Error()
	part := func(r *regexp.Regexp) []string { return r.FindStringSubmatch(said) }
	switch {
	case missingFlag.MatchString(said):
		return errors.New("--url: need the endpoint, such as http://127.0.0.1:8080")
	case noScheduler.MatchString(said):
		return errors.New("--scheduler: need the router's admin port, such as http://10.0.0.2:8081")
	case noInstance.MatchString(said):
		return errors.New("which instance? http://127.0.0.1:8081/ lists them")
	case noRecording.MatchString(said):
		return errors.New("which recording? penstock serve --record FILE makes one")
	case noFile.MatchString(said):
		return errors.New("-c needs a file")
	case missingValue.MatchString(said):
		return fmt.Errorf("--%s needs a value", part(missingValue)[1])
	case noDuration.MatchString(said):
		return fmt.Errorf("--%s: %q is no duration: write one such as 10s", part(noDuration)[1], part(noDuration)[2])
	case noNumber.MatchString(said):
		return fmt.Errorf("--%s: %q is no number", part(noNumber)[1], part(noNumber)[3])
	case strayArgument.MatchString(said):
		if flag := meant(part(strayArgument)[1], command); flag != "" {
			return fmt.Errorf("%w: did you mean %s?", err, flag)
		}
	}
	return err
}

// meant is the flag that an argument without one was most likely for.
func meant(arg, command string) string {
	u, err := url.Parse(arg)
	isURL := err == nil && u.Scheme == "http" || err == nil && u.Scheme == "https"
	_, _, notHostPort := net.SplitHostPort(arg)
	routes := command == "serve" || command == "check"
	switch {
	case arg == "help":
		return "--help"
	case routes && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(arg)):
		return "-c " + arg
	case routes && isURL:
		return "--instance " + arg
	case routes && notHostPort == nil:
		return "--instance http://" + arg
	case command == "bench" && isURL:
		return "--url " + arg
	}
	return ""
}

// laterGroup is where the help lists the commands that are to come.
const laterGroup = "Not there yet"

// laterCmd stands for a command that a later version brings.
type laterCmd struct {
	Args []string `arg:"" optional:"" passthrough:"" hidden:""`
}

func (laterCmd) Run(ctx *kong.Context) error { return usage(comesLater(ctx.Selected().Name)) }

func comesLater(command string) error {
	return fmt.Errorf("%s: not there yet: a later version of Penstock brings it", command)
}

// asksAboutLater says whether args ask for the help of a command to come.
func asksAboutLater(parser *kong.Kong, args []string) bool {
	if !slices.Contains(args, "--help") && !slices.Contains(args, "-h") {
		return false
	}
	return slices.ContainsFunc(parser.Model.Children, func(n *kong.Node) bool {
		return n.Name == args[0] && n.Group != nil && strings.HasPrefix(n.Group.Key, laterGroup)
	})
}

package config

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"penstock/dataplane"
	"penstock/scheduler"
)

// Config is everything that one process is told: the packages' own
// configurations, and what concerns the process as a whole.
type Config struct {
	Gateway   dataplane.Config
	Scheduler scheduler.Config
	Discovery Discovery

	Admin     string // host:port of the admin port
	Kernel    Kernel
	Push      Push
	Log       Log
	Resources Resources
	Record    string // file that decisions are recorded in, by flag alone; "": none

	// Warnings are sentences to say once: what was read and has no meaning here.
	Warnings []string

	keysFile  string   // kept for Effective: the paths, never the secrets
	keyFiles  []string // one for each of Scheduler.Instances; "" where there is none
	engineKey string   // as written; "" leaves the choice to Load

	unusedKeys map[string][]string // by the reason, while a managed file is read
}

// Push sends the metrics to stores that take Prometheus text.
type Push struct {
	URLs   []string
	Every  time.Duration
	Labels map[string]string
}

// Kernel says where the kernel's counters come from.
type Kernel struct {
	Mode   string // the rung to begin with
	Cgroup string // of cgroup v2, to count in; "": one of our own below that of the process
	Pin    string // directory on a bpffs where counters outlive the process; "": they do not
}

// Log says what is logged, to standard error.
type Log struct {
	Level  slog.Level
	Format string // "text" or "json"
}

// Resources bound the process; the managed service's JSON states them.
type Resources struct {
	CPU    int   // GOMAXPROCS; 0: the runtime's own choice
	Memory int64 // GOMEMLIMIT in bytes; 0: none
}

// Default is the configuration where file and flags are silent.
func Default() *Config {
	return &Config{
		Gateway:   dataplane.DefaultConfig(),
		Scheduler: scheduler.DefaultConfig(),
		Discovery: defaultDiscovery(),
		Admin:     "127.0.0.1:8081",
		Kernel:    Kernel{Mode: "auto"},
		Push:      Push{Every: 10 * time.Second},
		Log:       Log{Level: slog.LevelInfo, Format: "text"},
	}
}

// Load reads the file at path ("" for none), lets the flags override it, and
// checks the whole. An error that is the reader's to mend is an *Error with
// file, line and key, or Errors of such.
func Load(path string, flags Flags) (*Config, error) {
	root := value{}
	if path != "" {
		var err error
		if root, err = readDocument(path); err != nil {
			return nil, err
		}
	}
	return load(root, flags)
}

func load(root value, flags Flags) (*Config, error) {
	c := Default()
	managed := isManaged(root)
	read := c.readNative
	if managed {
		read = c.readManaged
	}
	var wrong error
	if !root.isNull() {
		wrong = read(root)
	}
	places, err := c.readFlags(flags)
	wrong = join(wrong, err)
	if v, ok := root.find("auth", "keys_file"); ok && v.isNull() && !managed {
		wrong = join(wrong, v.errorf("names no file, and without keys everybody may use the router: name one, or take the key out"))
	}
	if err := needRegister(root); err != nil && !managed {
		wrong = join(wrong, err)
	}
	if err := notOurs(wrong, root.file); err != nil {
		return nil, err
	}
	c.settle()
	if managed && wrong != nil { // the packages know its keys by other names
		return nil, wrong
	}
	if managed {
		c.registerManaged(root)
	}
	if wrong == nil { // else one that is there may not have been understood
		wrong = c.needInstances(root)
	}
	if err := join(wrong, c.validate(root, places, wrong)); err != nil {
		return nil, err
	}
	return c, nil
}

// notOurs is the error about the file as a whole, if there is one: then nothing of
// it was meant to be read here.
func notOurs(wrong error, file string) error {
	for _, err := range Parts(wrong) {
		if e := (*Error)(nil); errors.As(err, &e) && file != "" && e.File == file && e.Line == 0 {
			return err
		}
	}
	return nil
}

// settle fills in what depends on more than one key.
func (c *Config) settle() {
	for i := range c.Scheduler.Instances {
		in := &c.Scheduler.Instances[i]
		in.Engine = cmp.Or(in.Engine, c.Scheduler.Engine)
	}
	c.Gateway.Auth.EngineKey = c.engineKey
	if c.engineKey == "" && c.keysFile != "" {
		c.Gateway.Auth.EngineKey = dataplane.EngineKeyDrop
	} else if c.engineKey == "" {
		c.Gateway.Auth.EngineKey = dataplane.EngineKeyPassthrough
	}
	c.Gateway.ConnectTimeout = c.Scheduler.Health.ConnectTimeout
	c.Gateway.Queue.Promised = c.Scheduler.SLO.TTFT
	c.Gateway.ResponseTimeout = c.Scheduler.Health.ResponseTimeout
}

func (c *Config) needInstances(root value) error {
	switch {
	case len(c.Scheduler.Instances) > 0, !c.Discovery.isEmpty():
		return c.checkRegister(root)
	}
	return &Error{File: root.file, Message: "no instance and no way to get one: name them under `instances`, with --instance URL, or turn `discovery` on"}
}

// validate asks the packages and gives their answers the place they belong to:
// a package names the key first, as in "queue.max_size: out of range". Of a key
// that could not be read there is no more to say.
func (c *Config) validate(root value, flags map[string]string, wrong error) error {
	said := map[string]bool{}
	for _, err := range Parts(wrong) {
		if e := (*Error)(nil); errors.As(err, &e) {
			base, _, _ := strings.Cut(e.Key, "[")
			said[e.Key], said[base] = true, true
		}
	}
	found := c.checkPorts(root, flags)
	if wrong == nil { // else the instances are fewer than were written
		found = append(found, c.checkInstances(root, flags)...)
	}
	for _, err := range slices.Concat(each(c.Gateway.Validate()), each(c.Scheduler.Validate())) {
		key, message, ok := strings.Cut(err.Error(), ": ")
		if !ok {
			key, message = "", err.Error()
		}
		base, _, _ := strings.Cut(key, "[")
		if e := place(root, flags, key, message); !said[key] && !said[base] && !said[e.Key] {
			said[key] = true
			found = append(found, e)
		}
	}
	return join(found...)
}

// each is what errors.Join was given.
func each(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	return Parts(err)
}

// checkPorts keeps the admin port, which has no authentication, off the data
// port's addresses.
func (c *Config) checkPorts(root value, flags map[string]string) (wrong []error) {
	for i, listen := range c.Gateway.Listen {
		switch {
		case strings.HasSuffix(listen, ":0"):
			continue // as many ports as are asked for
		case slices.Contains(c.Gateway.Listen[:i], listen):
			wrong = append(wrong, place(root, flags, "listen", listen+" stands twice"))
		case listen == c.Admin && isWritten(root, flags, "admin"):
			wrong = append(wrong, place(root, flags, "admin", listen+" is the data port's address: the admin port needs one of its own"))
		case listen == c.Admin:
			wrong = append(wrong, place(root, flags, "listen", listen+" is the admin port's address: choose another, or another with admin"))
		}
	}
	return wrong
}

// checkInstances refuses a router that would send requests to itself, round and
// round.
func (c *Config) checkInstances(root value, flags map[string]string) (wrong []error) {
	for n, in := range c.Scheduler.Instances {
		if port := c.ownPort(in.URL); port != "" {
			wrong = append(wrong, instancePlace(root, flags, n).errorf("%s is this router's own %s port", in.URL, port))
		}
	}
	return wrong
}

// meets says whether requests to an instance's URL arrive at listen.
func meets(url, listen string) bool {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	ownHost, ownPort, ownErr := net.SplitHostPort(listen)
	return err == nil && ownErr == nil && port == ownPort && sameHost(host, ownHost)
}

func isWritten(root value, flags map[string]string, key string) bool {
	_, byFlag := flags[key]
	_, inFile := root.find(key)
	return byFlag || inFile
}

// instancePlace is where the n-th instance's URL was written.
func instancePlace(root value, flags map[string]string, n int) value {
	if flag, ok := flags["instances"]; ok {
		return value{key: flag}
	}
	list, _ := root.find("instances")
	if items, ok := list.node.(*ast.SequenceNode); ok && n < len(items.Values) {
		return list.item(n, items.Values[n]).orMember("url")
	}
	return value{file: root.file, key: "instances"}
}

// place finds where the key was written: by a flag, in the file, or nowhere. A
// package counts a list's items, as in websocket.paths[1].
func place(root value, flags map[string]string, key, message string) *Error {
	if flag, ok := flags[key]; ok {
		return &Error{Key: flag, Message: message}
	}
	base, index, counted := strings.Cut(strings.TrimSuffix(key, "]"), "[")
	v, ok := root.find(strings.Split(base, ".")...)
	if !ok || v.line == 0 {
		return &Error{File: root.file, Key: key, Message: message}
	}
	items, isList := v.node.(*ast.SequenceNode)
	if n, err := strconv.Atoi(index); counted && err == nil && isList && n < len(items.Values) {
		v = v.item(n, items.Values[n])
	}
	return v.errorf("%s", message)
}

// IsUsage says whether err is a wrong configuration (exit status 2).
func IsUsage(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

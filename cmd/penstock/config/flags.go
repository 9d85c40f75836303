package config

import "github.com/goccy/go-yaml/ast"

// Flags are the command line's part of the configuration; each is stronger
// than the file. "" and nil mean that a flag was not given.
type Flags struct {
	Listen       []string
	Admin        string
	Instances    []string
	Engine       string
	Policy       string
	Kernel       string
	LogLevel     string
	LogFormat    string
	DrainTimeout string
}

// readFlags reads the flags by the readers of the file's keys. It returns which
// key each given flag took the place of.
func (c *Config) readFlags(f Flags) (map[string]string, error) {
	given := map[string]string{}
	var wrong []error
	for _, flag := range []struct {
		name, key, text string
		read            reader
	}{
		{"--admin", "admin", f.Admin, c.readAdmin},
		{"--engine", "engine", f.Engine, c.readEngine(&c.Scheduler.Engine)},
		{"--policy", "policy", f.Policy, c.readPolicy},
		{"--kernel", "kernel.mode", f.Kernel, c.readKernelMode},
		{"--log-level", "log.level", f.LogLevel, c.readLogLevel},
		{"--log-format", "log.format", f.LogFormat, c.readLogFormat},
		{"--drain-timeout", "drain_timeout", f.DrainTimeout, duration(&c.Gateway.DrainTimeout)},
	} {
		if flag.text == "" {
			continue
		}
		given[flag.key] = flag.name
		wrong = append(wrong, flag.read(flagValue(flag.name, flag.text)))
	}
	if len(f.Listen) > 0 {
		given["listen"] = "--listen"
		c.Gateway.Listen = f.Listen
	}
	for _, address := range f.Listen {
		wrong = append(wrong, isListenAddress(flagValue("--listen", address), address))
	}
	return given, join(append(wrong, c.readInstanceFlags(f.Instances, given))...)
}

// readInstanceFlags puts the flags' instances in the place of the file's.
func (c *Config) readInstanceFlags(urls []string, given map[string]string) error {
	if len(urls) == 0 {
		return nil
	}
	given["instances"] = "--instance"
	c.Scheduler.Instances, c.keyFiles = nil, nil
	var wrong []error
	for _, url := range urls {
		wrong = append(wrong, c.addInstance(flagValue("--instance", url), instance{url: url}))
	}
	return join(wrong...)
}

// flagValue is a flag's value in the form that readers take.
func flagValue(name, text string) value {
	return value{key: name, node: &ast.StringNode{BaseNode: &ast.BaseNode{}, Value: text}}
}

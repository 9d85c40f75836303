package config

import (
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"penstock/scheduler"
	"penstock/scheduler/engine"
)

// maxKeyFile bounds the file that holds one key.
const maxKeyFile = 4096

// instanceName is what can stand in a path of the API and in a label.
var instanceName = regexp.MustCompile(`^[A-Za-z0-9._:\[\]-]{1,128}$`)

// instance is one entry of `instances` as it was written.
type instance struct {
	url, name, keyFile string
	engine             engine.Kind
	maxInFlight        int
}

func (c *Config) readInstance(v value) error {
	var in instance
	if _, ok := v.node.(*ast.StringNode); ok {
		return v.errorf("need keys and values, not a string: write {url: http://10.0.0.11:8000}")
	}
	err := section{
		"url":           text(&in.url),
		"name":          text(&in.name),
		"engine":        c.readEngine(&in.engine),
		"api_key_file":  text(&in.keyFile),
		"max_in_flight": integer(&in.maxInFlight),
		"kv_events":     notYet,
	}.read(v)
	if err != nil {
		return err
	}
	return c.addInstance(v, in)
}

// addInstance checks in against those that are there already and appends it.
func (c *Config) addInstance(v value, in instance) error {
	url, hostPort, err := instanceURL(v.orMember("url"), in.url)
	if err != nil {
		return err
	}
	if in.name == "" {
		in.name = hostPort
	}
	if !instanceName.MatchString(in.name) {
		return v.orMember("name").errorf("%q: letters, digits and . _ : - can name an instance, 128 at most", in.name)
	}
	for _, other := range c.Scheduler.Instances {
		if other.URL == url {
			return v.orMember("url").errorf("%s stands twice", url)
		}
		if other.Name == in.name {
			return v.orMember("name").errorf("%s stands twice", in.name)
		}
	}
	key, err := readKeyFile(v.orMember("api_key_file"), in.keyFile)
	if err != nil {
		return err
	}
	c.keyFiles = append(c.keyFiles, in.keyFile)
	c.Scheduler.Instances = append(c.Scheduler.Instances, scheduler.InstanceConfig{
		URL: url, Name: in.name, APIKey: key, Engine: in.engine, MaxInFlight: in.maxInFlight,
	})
	return nil
}

// orMember is the member of v called key, or v itself where there is none: the
// place that an error about it should name.
func (v value) orMember(key string) value {
	if m, ok := v.find(key); ok {
		return m
	}
	return v
}

// readKeyFile returns the key that the file at path holds, without the line's
// end.
func readKeyFile(v value, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	data, err := readFile(beside(v.file, path), maxKeyFile)
	if err != nil {
		return "", v.because(err)
	}
	key := strings.TrimSpace(string(data))
	if !isKey(key) {
		return "", v.errorf("%s: need one line with a key, of printable characters without spaces", path)
	}
	return key, nil
}

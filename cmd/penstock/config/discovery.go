package config

import (
	"errors"
	"net"
	"path/filepath"
	"time"

	"penstock/scheduler"
	"penstock/scheduler/discovery"
	"penstock/scheduler/engine"
)

// Discovery says where instances come from, beside the list in the file.
type Discovery struct {
	File     string // whole path; "": none
	DNS      DNS
	Register Register

	written string // File as it stands in the file
	at      value  // where it does
}

// DNS is a name whose records are instances.
type DNS struct {
	Name    string // "": none
	Type    string // a, aaaa or srv
	Port    int    // of a and aaaa
	Refresh time.Duration
}

// Register lets instances register themselves.
type Register struct {
	On    bool
	Token string // "": anybody who reaches the admin port may
	TTL   time.Duration

	tokenFile string
}

func defaultDiscovery() Discovery {
	return Discovery{DNS: DNS{Type: "srv", Refresh: 10 * time.Second}, Register: Register{TTL: 15 * time.Second}}
}

// isEmpty says whether no instance can come by it.
func (d *Discovery) isEmpty() bool { return d.File == "" && d.DNS.Name == "" && !d.Register.On }

func (c *Config) discovery() section {
	d := &c.Discovery
	return section{
		"file": func(v value) error {
			d.at = v
			if err := text(&d.written)(v); err != nil || d.written == "" {
				return err
			}
			whole, err := filepath.Abs(beside(v.file, d.written))
			if d.File = whole; err != nil {
				return v.errorf("%s", err)
			}
			return nil
		},
		"dns":      c.readDNS,
		"register": c.readRegister,
	}
}

func (c *Config) readDNS(v value) error {
	d := &c.Discovery.DNS
	err := section{
		"name":    text(&d.Name),
		"type":    oneOf(&d.Type, []string{"a", "aaaa", "srv"}, nil),
		"port":    integer(&d.Port),
		"refresh": duration(&d.Refresh),
	}.read(v)
	switch {
	case err != nil:
		return err
	case d.Name == "":
		return v.orMember("name").errorf("is missing: name the record, such as _vllm._tcp.rack1.internal")
	case d.Type == "srv" && d.Port != 0:
		return v.orMember("port").errorf("has no place here: srv records have the port in them")
	case d.Type != "srv" && (d.Port < 1 || d.Port > 65535):
		return v.orMember("port").errorf("need the engines' port, 1 to 65535: %s records have none", d.Type)
	case d.Refresh < time.Second || d.Refresh > time.Hour:
		return v.orMember("refresh").errorf("%v is out of range: 1s to 1h", d.Refresh)
	}
	return nil
}

func (c *Config) readRegister(v value) error {
	r := &c.Discovery.Register
	r.On = true
	err := section{"token_file": text(&r.tokenFile), "ttl": duration(&r.TTL)}.read(v)
	if err != nil {
		return err
	}
	if r.TTL < time.Second || r.TTL > time.Hour {
		return v.orMember("ttl").errorf("%v is out of range: 1s to 1h", r.TTL)
	}
	r.Token, err = readKeyFile(v.orMember("token_file"), r.tokenFile)
	return err
}

// registerManaged turns registration on, by which instances come over there. The
// managed service's file has no place for a token: where one is needed, and the
// instances are named already, it stays off.
func (c *Config) registerManaged(root value) {
	if c.adminIsPrivate() || len(c.Scheduler.Instances) == 0 {
		c.Discovery.Register.On = true
		return
	}
	c.Warnings = append(c.Warnings, root.file+": registration stays off: the admin port "+c.Admin+" is not on loopback alone, and this file has no token")
}

// checkRegister wants a token where strangers could register.
func (c *Config) checkRegister(root value) error {
	if r := c.Discovery.Register; !r.On || r.Token != "" {
		return nil
	}
	if c.adminIsPrivate() {
		return nil
	}
	return place(root, nil, "discovery.register", "the admin port "+c.Admin+" is not on loopback alone: registration there needs a token_file")
}

// adminIsPrivate says whether only this machine reaches the admin port.
func (c *Config) adminIsPrivate() bool {
	host, _, err := net.SplitHostPort(c.Admin)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// WrongFile is what is wrong with discovery.file: err, which has a place of its
// own in there, or is about the file as a whole.
func (d *Discovery) WrongFile(err error) error {
	if at := (*Error)(nil); errors.As(err, &at) {
		return err
	}
	return d.at.errorf("%s", err)
}

// needRegister refuses a key that was meant to turn registration on, and does not:
// elsewhere a key without a value asks for nothing.
func needRegister(root value) error {
	if v, ok := root.find("discovery", "register"); ok && v.isNull() {
		return v.errorf("nothing is there: write {} to let instances register, or take the key out")
	}
	return nil
}

// ParseInstances reads a list of instances as discovery.file holds it:
// `instances:`, or the list alone. path is what errors name. A file with nothing
// in it is none: whoever writes it has just begun.
func (c *Config) ParseInstances(path string, content []byte) ([]discovery.Target, error) {
	root, err := parseDocument(path, content)
	if err != nil {
		return nil, err
	}
	own := Default()
	own.Scheduler.Engines = c.Scheduler.Engines
	switch {
	case root.isNull():
		err = root.errorf("the file is empty: write `instances: []` if there are none")
	case kindOf(root.node) == "a list":
		err = list(own.readInstance)(root)
	default:
		err = section{"instances": list(own.readInstance)}.read(root)
		if in, _ := root.find("instances"); err == nil && in.isNull() {
			err = root.orMember("instances").errorf("nothing is there: write `instances: []` if there are none")
		}
	}
	if err != nil {
		return nil, err
	}
	var targets []discovery.Target
	for n, in := range own.Scheduler.Instances {
		if port := c.ownPort(in.URL); port != "" {
			return nil, instancePlace(root, nil, n).errorf("%s is this router's own %s port", in.URL, port)
		}
		targets = append(targets, discovery.Target{URL: scheduler.CanonicalURL(in.URL), Name: in.Name, APIKey: in.APIKey, Engine: string(in.Engine), MaxInFlight: in.MaxInFlight})
	}
	return targets, nil
}

// Target checks an instance that registers itself: its URL, and a name that may
// be empty. Errors begin with the key.
func (c *Config) Target(t discovery.Target) (discovery.Target, error) {
	own := Default()
	own.Scheduler.Engines = c.Scheduler.Engines
	root := value{}
	in := instance{url: scheduler.CanonicalURL(t.URL), name: t.Name, maxInFlight: t.MaxInFlight}
	if t.Engine != "" {
		if err := own.readEngine(&in.engine)(flagValue("engine", t.Engine)); err != nil {
			return t, err
		}
	}
	if err := own.addInstance(root, in); err != nil {
		return t, err
	}
	made := own.Scheduler.Instances[0]
	if port := c.ownPort(made.URL); port != "" {
		return t, &Error{Key: "url", Message: made.URL + " is this router's own " + port + " port"}
	}
	t.URL, t.Name = made.URL, made.Name
	return t, nil
}

// Instance is a target as the scheduler takes it.
func Instance(t discovery.Target) scheduler.InstanceConfig {
	return scheduler.InstanceConfig{
		URL: t.URL, Name: t.Name, APIKey: t.APIKey, Engine: engine.Kind(t.Engine), MaxInFlight: t.MaxInFlight, Models: t.Models,
	}
}

// ownPort says which port of the router itself an instance's URL leads to; "":
// none.
func (c *Config) ownPort(url string) string {
	for _, listen := range c.Gateway.Listen {
		if meets(url, listen) {
			return "data"
		}
	}
	if meets(url, c.Admin) {
		return "admin"
	}
	return ""
}

func (c *Config) effectiveDiscovery() any {
	d := &c.Discovery
	var parts []any
	if d.File != "" {
		parts = append(parts, "file", d.written)
	}
	if d.DNS.Name != "" {
		dns := mapping("name", d.DNS.Name, "type", d.DNS.Type, "refresh", durationText(d.DNS.Refresh))
		if d.DNS.Type != "srv" {
			dns = mapping("name", d.DNS.Name, "type", d.DNS.Type, "port", d.DNS.Port, "refresh", durationText(d.DNS.Refresh))
		}
		parts = append(parts, "dns", dns)
	}
	if d.Register.On {
		parts = append(parts, "register", mapping("token_file", orNull(d.Register.tokenFile), "ttl", durationText(d.Register.TTL)))
	}
	return mapping(parts...)
}

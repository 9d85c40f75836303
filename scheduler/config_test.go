package scheduler

import (
	"strings"
	"testing"
)

func TestConfigSaysWhichKeyIsWrong(t *testing.T) {
	f := func(want string, change func(*Config)) {
		t.Helper()
		c := DefaultConfig()
		c.Instances = []InstanceConfig{{URL: "http://h:1", Name: "a"}}
		change(&c)
		err := c.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f("", func(*Config) {})
	f("policy: ", func(c *Config) { c.Policy = "best" })
	f("engine: ", func(c *Config) { c.Engine = "gpt" })
	f("health.connect_timeout: ", func(c *Config) { c.Health.ConnectTimeout = 0 })
	f("health.response_timeout: ", func(c *Config) { c.Health.ResponseTimeout = -1 })
	f("health.probe_every: ", func(c *Config) { c.Health.ProbeEvery = 1 })
	f("scrape.every: ", func(c *Config) { c.Scrape.Every = -1 })
	f("scrape.timeout: ", func(c *Config) { c.Scrape.Timeout = 0 })
	f("instances: a stands twice", func(c *Config) { c.Instances = append(c.Instances, c.Instances[0]) })
	f("instances: number 1 has no name", func(c *Config) { c.Instances[0].Name = "" })
	f("instances: a: max_in_flight", func(c *Config) { c.Instances[0].MaxInFlight = -1 })
}

func TestInstanceNeedsAnAddress(t *testing.T) {
	f := func(url, addr, host string) {
		t.Helper()
		c := DefaultConfig()
		c.Instances = []InstanceConfig{{URL: url, Name: "a"}}
		s, err := New(c, quiet)
		if addr == "" {
			if err == nil {
				t.Errorf("%s was taken", url)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if i := s.Instances()[0]; i.Addr() != addr || i.Host != host {
			t.Errorf("%s: addr %s host %s", url, i.Addr(), i.Host)
		}
	}
	f("http://10.0.0.1:8000", "10.0.0.1:8000", "10.0.0.1:8000")
	f("http://gpu-11", "gpu-11:80", "gpu-11")
	f("http://[fd00::1]:8000", "[fd00::1]:8000", "[fd00::1]:8000")
	f("https://gpu-11", "", "")
	f("gpu-11:8000", "", "")
}

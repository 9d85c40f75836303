package load

import (
	"math"
	"strings"
	"testing"
	"time"

	"penstock/bench/workload"
)

func TestConfigValidate(t *testing.T) {
	named := func(name string) *workload.Workload {
		w, err := workload.Named(name)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := DefaultConfig()
		cfg.URL = "http://127.0.0.1:8080"
		change(&cfg)
		err := cfg.Validate()
		if want == "" {
			if err != nil {
				t.Errorf("refused: %v", err)
			}
			return
		}
		if err == nil || !strings.HasPrefix(err.Error(), want+": ") {
			t.Errorf("got error %v, want one of %q", err, want)
		}
	}
	f(func(c *Config) {}, "")
	f(func(c *Config) { c.Rate = 20 }, "")
	f(func(c *Config) { c.Concurrency = 64 }, "")
	f(func(c *Config) { c.Rate, c.Concurrency = 20, 64 }, "rate")
	f(func(c *Config) { c.Rate = -1 }, "rate")
	f(func(c *Config) { c.Rate = math.NaN() }, "rate")
	f(func(c *Config) { c.Rate = math.Inf(1) }, "rate")
	f(func(c *Config) { c.Concurrency = -1 }, "concurrency")
	f(func(c *Config) { c.MaxInFlight = 0 }, "max-in-flight")
	f(func(c *Config) { c.Requests = -1 }, "requests")
	f(func(c *Config) { c.Duration = -time.Second }, "duration")
	f(func(c *Config) { c.Ramp = -1 }, "ramp")
	f(func(c *Config) { c.Ramp = defaultDuration + 1 }, "ramp")
	f(func(c *Config) { c.Ramp, c.Duration, c.Rate = 3*time.Second, 2*time.Second, 5 }, "ramp")
	f(func(c *Config) { c.Ramp, c.Duration = 2*time.Second, 2*time.Second }, "")
	f(func(c *Config) { c.Ramp, c.Requests = time.Minute, 5 }, "")
	f(func(c *Config) { c.Rate = 1e-12 }, "rate")
	f(func(c *Config) { c.Workload, c.Rate, c.Ramp = named("w12"), 4, time.Second }, "ramp")
	f(func(c *Config) { c.PromptTokens = 0 }, "prompt-tokens")
	f(func(c *Config) { c.OutputTokens = 1<<20 + 1 }, "output-tokens")
	f(func(c *Config) { c.SLOTTFT = -1 }, "slo-ttft")
	f(func(c *Config) { c.SLOITL = 2 * time.Hour }, "slo-itl")
	f(func(c *Config) { c.Timeout = 0 }, "timeout")
	f(func(c *Config) { c.Endpoint = "embeddings" }, "endpoint")
	f(func(c *Config) { c.APIKeys = []string{"a\r\nb"} }, "api-key")
	f(func(c *Config) { c.APIKeys = []string{"a", "b"} }, "api-key")
	f(func(c *Config) { c.TimeScale = 0 }, "time-scale")
	f(func(c *Config) { c.TimeScale = math.NaN() }, "time-scale")
	f(func(c *Config) { c.Workload, c.Rate = named("w12"), 4 }, "")
	f(func(c *Config) { c.Workload = named("w12") }, "rate")
	f(func(c *Config) { c.Workload = named("w7-overload") }, "")
	f(func(c *Config) { c.Workload, c.APIKeys = named("w7-proportional"), []string{"a", "b"} }, "api-key")
	f(func(c *Config) { c.Workload, c.Concurrency = named("w6"), 4 }, "concurrency")
	f(func(c *Config) { c.URL = "" }, "url")
	f(func(c *Config) { c.URL = "127.0.0.1:8080" }, "url")
	f(func(c *Config) { c.URL = "ftp://h" }, "url")
	f(func(c *Config) { c.URL = "http://user:key@h" }, "url")
	f(func(c *Config) { c.URL = "http://h/?x=1" }, "url")
}

func TestFilled(t *testing.T) {
	cfg := DefaultConfig()
	if got := cfg.filled(); got.Concurrency != defaultConcurrency || got.Duration != defaultDuration {
		t.Errorf("got %+v", got)
	}
	cfg.Rate, cfg.Requests = 5, 10
	if got := cfg.filled(); got.Concurrency != 0 || got.Duration != 0 {
		t.Errorf("got %+v, want what was asked for alone", got)
	}
}

func TestTarget(t *testing.T) {
	f := func(url, addr, models string) {
		t.Helper()
		to, err := targetOf(url, false)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			return
		}
		if got := to.url("/v1/models"); to.addr != addr || got != models {
			t.Errorf("%s: got %s at %s, want %s at %s", url, got, to.addr, models, addr)
		}
	}
	f("http://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080/v1/models")
	f("http://127.0.0.1:8080/v1/", "127.0.0.1:8080", "http://127.0.0.1:8080/v1/models")
	f("http://h/api/predict/g.n_llm_gateway/", "h:80", "http://h/api/predict/g.n_llm_gateway/v1/models")
	f("https://[::1]/v1", "[::1]:443", "https://[::1]/v1/models")
}

func TestURLsThatPeopleHaveAtHand(t *testing.T) {
	f := func(url string, sockets bool, want string) {
		t.Helper()
		c := DefaultConfig()
		c.URL, c.WebSocket = url, sockets
		err := c.Validate()
		if want != "" {
			if err == nil || err.Error() != "url: "+want {
				t.Errorf("%s: got %v, want %s", url, err, want)
			}
			return
		}
		to, _ := targetOf(url, sockets)
		if err != nil || to.base != "http://h:8080" {
			t.Errorf("%s: got %q, %v", url, to.base, err)
		}
	}
	f("ws://h:8080", true, "")
	f("WS://h:8080/v1", true, "")
	f("ws://h:8080", false, "write http://h:8080, or add --websocket")
	f("wss://h/v1/chat/completions", false, "write https://h, or add --websocket")
	f("ws://h:8080/v1/chat/completions", true, "write http://h:8080: --endpoint says the rest")
	f("http://h:8080/v1/completions", false, "write http://h:8080: --endpoint says the rest")
	f("http://h/prefix/v1/chat/completions", false, "write http://h/prefix: --endpoint says the rest")
}

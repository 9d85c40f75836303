package sim

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"penstock/scheduler/engine"
)

// TestScraped reads the pages with the scheduler's own client.
func TestScraped(t *testing.T) {
	f := func(name string, kind engine.Kind) {
		t.Helper()
		r := newRig(t, func(c *Config) {
			c.Engine, c.Profile, c.TimeScale, c.MaxNumSeqs, c.KVBlocks, c.MaxModelLen = name, "8b-h100", 10, 2, 1000, 8000
		})
		client, err := engine.NewClient(engine.Options{URL: r.URLs()[0], Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		scrape := func() (x engine.Reading) {
			t.Helper()
			if err := client.Scrape(context.Background(), &x); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return x
		}
		prompt := strings.Repeat("Water ", 100) // 150 tokens
		for range 2 {
			r.post("/v1/completions", `{"prompt":"`+prompt+`","max_tokens":5}`)
		}
		x := scrape()
		if x.Kind != kind || x.KVCapacityTokens != 16_000 || x.PromptTokens != 300 || x.GenerationTokens != 10 {
			t.Errorf("%s: got %+v", name, x)
		}
		if name != "vllm-old" && (x.PrefixHits != 144 || x.PrefixQueries != 300) { // V0 has a rate only
			t.Errorf("%s: %v of %v tokens hit, want 144 of 300", name, x.PrefixHits, x.PrefixQueries)
		}
		var streams []*stream
		for range 3 {
			streams = append(streams, r.open("/v1/completions", `{"prompt":"`+prompt+`","max_tokens":7000,"stream":true}`))
		}
		r.until("two run and one waits", func() bool {
			x = scrape()
			return x.Running == 2 && x.Waiting == 1
		})
		if x.KVUsage <= 0 || x.KVUsage > 0.5 {
			t.Errorf("%s: KV usage %v", name, x.KVUsage)
		}
		if !x.Lean {
			t.Errorf("%s: the lean page was not found", name)
		}
		for _, s := range streams {
			s.leave()
		}
		r.until("they are gone", func() bool {
			x = scrape()
			return x.Running+x.Waiting == 0 && x.KVUsage == 0
		})
		models, err := client.Models(context.Background())
		if err != nil || len(models) != 1 || models[0].ID != "llama2" || models[0].MaxLen != 8000 {
			t.Errorf("%s: models %+v, %v", name, models, err)
		}
		if err := client.Health(context.Background()); err != nil {
			t.Error(err)
		}
	}
	f("vllm", engine.VLLM)
	f("vllm-old", engine.VLLM)
	f("sglang", engine.SGLang)
}

func TestFilter(t *testing.T) {
	r := newRig(t, nil)
	families := func(path string) int { return strings.Count(r.get(path), "# TYPE ") }
	all := families("/metrics")
	f := func(path string, want int) {
		t.Helper()
		if got := families(path); got != want {
			t.Errorf("%s: %d families, want %d", path, got, want)
		}
	}
	f("/metrics/", all)
	f("/metrics?name[]=vllm:num_requests_running", all) // that path knows no filter
	f("/metrics/?name[]=vllm:num_requests_running", 1)
	f("/metrics/?name%5B%5D=vllm:num_requests_running&name%5B%5D=vllm:time_to_first_token_seconds_bucket&name[]=nope", 2)
	f("/metrics/?name[]=nope", 0)
}

func TestOldPathRedirects(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Engine = "vllm-old" })
	response, _ := r.do("GET", "/metrics", "")
	if response.StatusCode != 307 || response.Header.Get("Location") != "/metrics/" {
		t.Errorf("%s to %q, want 307 to /metrics/", response.Status, response.Header.Get("Location"))
	}
	if page := r.get("/metrics/"); !strings.Contains(page, "vllm:gpu_cache_usage_perc{model_name=\"llama2\"} 0\n") {
		t.Errorf("got %s", page)
	}
}

func TestReasons(t *testing.T) {
	r := newRig(t, nil)
	r.post("/v1/completions", `{"prompt":"a","max_tokens":1}`)
	r.post("/v1/chat/completions", `{"messages":[]}`)
	page := r.get("/metrics")
	for _, want := range []string{
		`vllm:request_success_total{engine="0",model_name="llama2",finished_reason="length"} 1`,
		`vllm:request_success_total{engine="0",model_name="llama2",finished_reason="stop"} 1`,
		`vllm:request_success_total{engine="0",model_name="llama2",finished_reason="abort"} 0`,
		`vllm:time_to_first_token_seconds_count{engine="0",model_name="llama2"} 2`,
		`vllm:request_prompt_tokens_sum{engine="0",model_name="llama2"} 2`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("not there: %s", want)
		}
	}
}

// promtool finds nothing that it does not find in the real page too: colons in
// names, for one.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	for name, d := range dialects {
		if d.families == nil {
			continue
		}
		r := newRig(t, func(c *Config) { c.Engine = name })
		r.post("/v1/completions", `{"prompt":"a","max_tokens":3}`)
		check := exec.Command(promtool, "check", "metrics")
		check.Stdin = strings.NewReader(r.get("/metrics/"))
		out, _ := check.CombinedOutput()
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "should not contain ':'") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}

package engine

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// mine is INTERFACE.md's sample.
var mine = Custom{Name: "my_engine", MetricsPath: "/stats", Fields: map[string][]Source{
	"running": {{Name: "my_running"}}, "waiting": {{Name: "my_queue"}}, "kv_usage": {{Name: "my_cache_pct", Scale: 0.01}},
}}

func TestCustomKind(t *testing.T) {
	f := func(c Custom, path, page string, want Reading) {
		t.Helper()
		e := newFakeEngine(t, "")
		e.bodies = map[string]string{path: page}
		client := newTestClient(t, Options{URL: e.URL, Kind: Kind(c.Name), Custom: []Custom{c}})
		var got Reading
		if err := client.Scrape(t.Context(), &got); err != nil {
			t.Errorf("%s: %v", page, err)
			return
		}
		want.At, want.Took, want.Kind = got.At, got.Took, Kind(c.Name)
		want.Mapped = client.profile.mapped
		if got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", page, got, want)
		}
	}
	loaded := Reading{Has: HasRunning | HasWaiting | HasKVUsage, Running: 3, Waiting: 2, KVUsage: 0.25}
	f(mine, "/stats", "my_running 3\nmy_queue 2\nmy_cache_pct 25\n", loaded)
	// The format is seen by the page, unless it is given.
	f(mine, "/stats", `{"my_running":3,"my_queue":2,"my_cache_pct":25}`, loaded)
	given := mine
	given.Format = FormatJSON
	f(given, "/stats", ` {"my_running":3,"my_queue":2,"my_cache_pct":25}`, loaded)

	paths := Custom{Name: "ranks", Fields: map[string][]Source{
		"running": {{Name: "loads.*.run"}, {Name: "loads.*.swapped"}}, "kv_usage": {{Name: "loads.*.kv"}},
		"kv_tokens": {{Name: "size", Scale: 1024}}, "concurrency": {{Name: "cfg.0"}},
		"generation_tokens": {{Name: "out"}}, "awake": {{Name: "awake"}},
	}}
	f(paths, "/metrics", `{"loads":[{"run":1,"swapped":1,"kv":0.5},{"run":4,"kv":0.75}],"size":64,"cfg":[7],"out":9,"awake":false}`,
		Reading{Has: HasRunning | HasKVUsage | HasTokens | HasCapacity | HasConcurrency | HasSleep,
			Running: 6, KVUsage: 0.75, KVCapacityTokens: 65536, MaxConcurrency: 7, GenerationTokens: 9, Asleep: true})

	// A built-in engine is read differently: the rest of it stays.
	renamed := Custom{Name: "vllm", Fields: map[string][]Source{"kv_usage": {{Name: "vllm:cache_use", Scale: 0.01}}}}
	f(renamed, "/metrics", "vllm:num_requests_running 3\nvllm:num_requests_waiting 2\nvllm:cache_use 25\nvllm:kv_cache_usage_perc 0.9\n", loaded)
	blade := Custom{Name: "bladellm", MetricsPath: "/m", Fields: map[string][]Source{"running": {{Name: "r"}}}}
	f(blade, "/m", `{"r":3,"num_running_requests":77,"num_waiting_requests":2,"num_used_gpu_blocks":1,"num_total_gpu_blocks":4}`, loaded)
}

// Auto knows the operator's engines too.
func TestCustomFoundByAuto(t *testing.T) {
	e := newFakeEngine(t, "my_running 3\n")
	c := newTestClient(t, Options{URL: e.URL, Custom: []Custom{mine}})
	var r Reading
	if err := c.Scrape(t.Context(), &r); err != nil || r.Kind != "my_engine" || r.Running != 3 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestCustomPaths(t *testing.T) {
	e := newFakeEngine(t, "")
	e.bodies = map[string]string{"/up": "", "/api/models": `{"data":[{"id":"m"}]}`}
	own := mine
	own.HealthPath, own.ModelsPath = "/up", "/api/models"
	c := newTestClient(t, Options{URL: e.URL, Kind: "my_engine", Custom: []Custom{own}})
	if err := c.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if models, err := c.Models(t.Context()); err != nil || len(models) != 1 {
		t.Errorf("got %v, %v", models, err)
	}
}

// A name that is mapped and is not on the page is told, and the rest is read.
func TestMappedSeriesThatIsNotThereIsTold(t *testing.T) {
	f := func(fields map[string][]Source, page string, has Signals, want string) {
		t.Helper()
		e := newFakeEngine(t, "")
		e.bodies = map[string]string{"/stats": page}
		c := newTestClient(t, Options{URL: e.URL, Kind: "my_engine", Custom: []Custom{{Name: "my_engine", MetricsPath: "/stats", Fields: fields}}})
		var r Reading
		for range 2 {
			if err := c.Scrape(t.Context(), &r); err != nil || r.Lacks != want || r.Has != has {
				t.Errorf("%s: lacks %q, has %s, %v; want %q and %s", page, r.Lacks, r.Has, err, want, has)
			}
		}
	}
	page := "my_running 3\nmy_queue{kind=\"a\"} 2\nsize_info{size=\"many\"} 1\n"
	f(map[string][]Source{"running": {{Name: "my_running"}}, "waiting": {{Name: "my_queue"}}}, page, HasRunning|HasWaiting, "")
	f(map[string][]Source{"running": {{Name: "my_runing"}}, "waiting": {{Name: "my_queue"}}}, page, HasWaiting,
		"mapped running=my_runing is not on /stats")
	f(map[string][]Source{"running": {{Name: "my_running"}}, "waiting": {{Name: `my_queue{kind="b"}`}}, "kv_tokens": {{Name: "size_info[size]"}}}, page, HasRunning,
		`mapped waiting=my_queue{kind="b"}, kv_tokens=size_info[size] are not on /stats`)
	// Several are added up: one that is not there makes the sum too small.
	f(map[string][]Source{"running": {{Name: "my_running"}, {Name: "mine_too"}}}, page, HasRunning, "mapped running=mine_too is not on /stats")
	doc := `{"ranks":[{"run":1},{"run":2}],"q":null}`
	f(map[string][]Source{"running": {{Name: "ranks.*.run"}}, "waiting": {{Name: "ranks.*.wait"}}}, doc, HasRunning, "mapped waiting=ranks.*.wait is not on /stats")
	f(map[string][]Source{"running": {{Name: "ranks.*.run"}}, "waiting": {{Name: "q"}}}, doc, HasRunning, "mapped waiting=q is not on /stats")
}

// What the table names is no promise of the operator's.
func TestOnlyWhatIsMappedIsMissed(t *testing.T) {
	e := newFakeEngine(t, vllmPage)
	c := newTestClient(t, Options{URL: e.URL, Custom: []Custom{{Name: "vllm", Fields: map[string][]Source{"kv_usage": {{Name: "vllm:cache_use"}}}}}})
	var r Reading
	for range 2 { // the second page is the lean one
		if err := c.Scrape(t.Context(), &r); err != nil || r.Mapped != HasKVUsage || r.Lacks != "mapped kv_usage=vllm:cache_use is not on /metrics" {
			t.Errorf("mapped %s, lacks %q, %v", r.Mapped, r.Lacks, err)
		}
	}
}

func TestPageOfTheWrongFormatIsToldInPlainWords(t *testing.T) {
	f := func(format, page, want string) {
		t.Helper()
		e := newFakeEngine(t, page)
		own := Custom{Name: "mine", Format: format, Fields: map[string][]Source{"running": {{Name: "my_running"}}}}
		err := newTestClient(t, Options{URL: e.URL, Kind: "mine", Custom: []Custom{own}}).Scrape(t.Context(), &Reading{})
		if !errors.Is(err, ErrNoSignals) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", format, err, want)
		}
	}
	f(FormatJSON, "# TYPE my_running gauge\nmy_running 3\n", `on the page of 37 bytes: it should be JSON (format: json), and begins with "# TYPE my_running gauge"`)
	f(FormatJSON, `{"my_running": 3`, `broken JSON, or nested too deep, at byte 16 of 16`)
	f("", `{"my_running": 3`, `broken JSON, or nested too deep, at byte 16 of 16`)
	f(FormatPrometheus, `{"my_running": 3}`, "it is JSON, and should not be (format: prometheus)")
	f(FormatPrometheus, "up 1\n", "looked for my_running")
}

func TestCustomRefused(t *testing.T) {
	f := func(change func(*Custom), want string) {
		t.Helper()
		c := mine
		c.Fields = maps.Clone(c.Fields)
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
		if err := CheckCustom([]Custom{c}); err == nil || !strings.HasPrefix(err.Error(), "engines: ") {
			t.Errorf("CheckCustom of %+v: got %v", c, err)
		}
		if _, err := NewClient(Options{URL: "http://h", Custom: []Custom{c}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewClient with %+v: got %v, want %q", c, err, want)
		}
	}
	f(func(c *Custom) { c.Name = "" }, "letters, digits")
	f(func(c *Custom) { c.Name = "a b" }, "letters, digits")
	f(func(c *Custom) { c.Name = strings.Repeat("a", 65) }, "up to 64")
	f(func(c *Custom) { c.Name = "auto" }, "found out")
	f(func(c *Custom) { c.MetricsPath = "stats" }, "metrics_path: ")
	f(func(c *Custom) { c.HealthPath = "/a\r\nb" }, "health_path: ")
	f(func(c *Custom) { c.ModelsPath = "/" + strings.Repeat("a", 256) }, "models_path: ")
	f(func(c *Custom) { c.Format = "xml" }, `format: "xml" is none of prometheus, json`)
	f(func(c *Custom) { c.Fields = nil }, "nothing is mapped")
	f(func(c *Custom) { c.Fields["speed"] = []Source{{Name: "a"}} }, "speed: unknown, want one of running, ")
	f(func(c *Custom) { c.Fields["running"] = nil }, "running: 0 sources")
	f(func(c *Custom) { c.Fields["running"] = make([]Source, 9) }, "running: 9 sources, want 1 to 8")
	f(func(c *Custom) { c.Fields["running"] = []Source{{Name: "a b"}} }, "running: ")
	f(func(c *Custom) { c.Fields["running"] = []Source{{Name: "a", Scale: -1}} }, "scale -1")

	twice := []Custom{mine, mine}
	if _, err := NewClient(Options{URL: "http://h", Custom: twice}); err == nil || !strings.Contains(err.Error(), "my_engine stands twice") {
		t.Errorf("got %v", err)
	}
	many := slices.Repeat([]Custom{mine}, 65)
	if _, err := NewClient(Options{URL: "http://h", Custom: many}); err == nil || !strings.Contains(err.Error(), "at most 64") {
		t.Errorf("got %v", err)
	}
	_, err := NewClient(Options{URL: "http://h", Kind: "other", Custom: []Custom{mine}})
	if want := `unknown engine kind "other": want one of [auto my_engine vllm `; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

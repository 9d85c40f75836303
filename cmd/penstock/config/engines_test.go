package config

import (
	"reflect"
	"strings"
	"testing"

	"penstock/scheduler/engine"
)

func TestEngines(t *testing.T) {
	f := func(text string, want ...engine.Custom) {
		t.Helper()
		c := mustRead(t, one+text, Flags{})
		if !reflect.DeepEqual(c.Scheduler.Engines, want) {
			t.Errorf("%s: got\n%+v, want\n%+v", text, c.Scheduler.Engines, want)
		}
	}
	source := func(name string, scale float64) []engine.Source { return []engine.Source{{Name: name, Scale: scale}} }
	f(`engines: {}`)
	f(`engines:`)
	f(`engines: {my_engine: {metrics_path: /stats, running: my_running, waiting: my_queue, kv_usage: my_cache_pct, kv_usage_scale: 0.01}}`,
		engine.Custom{Name: "my_engine", MetricsPath: "/stats", Fields: map[string][]engine.Source{
			"running": source("my_running", 0), "waiting": source("my_queue", 0), "kv_usage": source("my_cache_pct", 0.01)}})
	f(`engines: {a: {format: json, running: [x.0.y, "loads.*.z"], running_scale: 2, health_path: /up, models_path: /m}, vllm: {awake: "up{a=\"b\"}", kv_tokens: "info[size]"}}`,
		engine.Custom{Name: "a", Format: "json", HealthPath: "/up", ModelsPath: "/m",
			Fields: map[string][]engine.Source{"running": {{Name: "x.0.y", Scale: 2}, {Name: "loads.*.z", Scale: 2}}}},
		engine.Custom{Name: "vllm", Fields: map[string][]engine.Source{"awake": source(`up{a="b"}`, 0), "kv_tokens": source("info[size]", 0)}})
	f(`engines: {vllm: {metrics_path: /m}}`, engine.Custom{Name: "vllm", MetricsPath: "/m"})

	for _, key := range engine.Fields() {
		c := mustRead(t, one+"engines: {a: {"+key+": x, "+key+"_scale: 3}}", Flags{})
		if got := c.Scheduler.Engines[0].Fields[key]; !reflect.DeepEqual(got, source("x", 3)) {
			t.Errorf("%s: got %v", key, got)
		}
	}
}

func TestEnginesRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := read(one+"engines:\n  a:\n    "+text, Flags{})
		refused(t, err, want)
	}
	f("runing: x", `p.yaml:4: engines.a.runing: unknown key (did you mean "running"?)`)
	f("kv_usage_scal: 1", `p.yaml:4: engines.a.kv_usage_scal: unknown key (did you mean "kv_usage_scale"?)`)
	f("running: 3.5.", `p.yaml:4: engines.a.running: "3.5." is no name of a metric and no path such as a.b.0.c`)
	f("running: {a: b}", `p.yaml:4: engines.a.running: need a string, not keys and values`)
	f("running: a b", `p.yaml:4: engines.a.running: "a b" is no name of a metric and no path such as a.b.0.c`)
	f(`running: [x, "m{a=b}"]`, `p.yaml:4: engines.a.running[1]: "m{a=b}": want {label="value"} after the metric`)
	f("running: x\n    running_scale: 0", `p.yaml:5: engines.a.running_scale: 0 would make everything 0: write what the value is multiplied with, such as 0.01`)
	f("running: x\n    running_scale: x", `p.yaml:5: engines.a.running_scale: need a number such as 0.01, not a string`)
	f("running: x\n    running_scale: \"0.01\"", `p.yaml:5: engines.a.running_scale: need a number such as 0.01, not a string`)
	f("running: x\n    running_scale: -1", `p.yaml:5: engines.a.running_scale: -1 is negative`)
	f("running: x\n    running_scale: 10000000000000", `p.yaml:5: engines.a.running_scale: scale 1e+13: want more than 0 and at most 1e+12`)
	f("running: x\n    waiting_scale: 2", `p.yaml:5: engines.a.waiting_scale: scales nothing: name a source for waiting too`)
	f("metrics_path: stats", `p.yaml:4: engines.a.metrics_path: "stats": want a path that begins with /, of up to 256 printable ASCII characters`)
	f("format: yaml", `p.yaml:4: engines.a.format: "yaml" is none of: prometheus, json`)
	f("format: jsn", `p.yaml:4: engines.a.format: "jsn" is none of: prometheus, json (did you mean "json"?)`)
	f("metrics_path: /m", "p.yaml:3: engines.a: nothing is mapped: name at least one of "+strings.Join(engine.Fields(), ", "))
	f("running: x\n  a: {running: y}", "p.yaml:5: engines.a: stands twice (first in line 3)")
	f("running: x\n  auto: {running: y}", `p.yaml:5: engines.auto: name "auto": this word means that the engine is found out`)
	f("running: x\n  \"b c\": {running: y}", `p.yaml:5: engines.b c: name "b c": want up to 64 letters, digits, dots, - and _`)

	many := "engines:\n"
	for i := range engine.MaxCustom + 1 {
		many += "  e" + strings.Repeat("x", i%60) + string(rune('a'+i/60)) + ": {running: x}\n"
	}
	if _, err := read(one+many, Flags{}); err == nil || !strings.HasSuffix(err.Error(), ": is one too many: 64 engines at most") {
		t.Errorf("got %v", err)
	}
	_, err := read(one+"engines: [a]", Flags{})
	refused(t, err, "p.yaml:2: engines: need keys and values, not a list")
}

// Every kind of the table can be named, in the file and by flag.
func TestEveryKindCanBeNamed(t *testing.T) {
	for _, kind := range engine.Kinds() {
		if c := mustRead(t, one+"engine: "+string(kind), Flags{}); c.Scheduler.Engine != kind {
			t.Errorf("got %s, want %s", c.Scheduler.Engine, kind)
		}
		if c := mustRead(t, one, Flags{Engine: string(kind)}); c.Scheduler.Engine != kind {
			t.Errorf("flag: got %s, want %s", c.Scheduler.Engine, kind)
		}
	}
}

// An own engine can be named wherever the table's can, also before it is
// described.
func TestOwnEngineCanBeNamed(t *testing.T) {
	const own = "engines: {mine: {running: x}}\n"
	for _, text := range []string{"engine: mine\n" + own, own + "engine: mine\n"} {
		if c := mustRead(t, one+text, Flags{}); c.Scheduler.Instances[0].Engine != "mine" {
			t.Errorf("%s: got %+v", text, c.Scheduler.Instances)
		}
	}
	c := mustRead(t, `instances: [{url: "http://10.0.0.1:8000", engine: mine}, {url: "http://10.0.0.2:8000"}]`+"\n"+own, Flags{Engine: "vllm"})
	if in := c.Scheduler.Instances; in[0].Engine != "mine" || in[1].Engine != "vllm" {
		t.Errorf("got %+v", in)
	}
	if c := mustRead(t, one+own, Flags{Engine: "mine"}); c.Scheduler.Engine != "mine" {
		t.Errorf("got %s", c.Scheduler.Engine)
	}
	_, err := read(one+own+"engine: minee", Flags{})
	refused(t, err, `p.yaml:3: engine: "minee" is none of: auto, vllm, sglang, lmdeploy, tgi, trtllm, triton, llamacpp, bladellm, mine (did you mean "mine"?)`)
}

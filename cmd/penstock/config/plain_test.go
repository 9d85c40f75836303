package config

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestAddressesInFlowStyle(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		c := mustRead(t, text, oneFlag)
		if !reflect.DeepEqual(c.Push.URLs, want) {
			t.Errorf("%s: got %q, want %q", text, c.Push.URLs, want)
		}
	}
	const a, b = "http://127.0.0.1:8428/api/v1/import/prometheus", "http://[::1]:80/w?x=y:z"
	f("metrics: {push: ["+a+"]}", a)
	f("metrics: {push: [ "+a+" , \""+b+"\" ], every: 5s} # said", a, b)
	f("metrics: {push: [\n  "+a+",\n  http://h:1\n]}", a, "http://h:1")
	f("metrics: {push: "+a+"}", a)
	f("metrics:\n  push: ["+a+", \""+b+"\"]", a, b)
	f("metrics:\n  push:\n    - "+a+"\n    - "+b, a, b)
	f("{\"metrics\": {\"push\": [\""+a+"\"]}}", a)

	g := func(text string, want ...string) {
		t.Helper()
		c := mustRead(t, text, oneFlag)
		if !reflect.DeepEqual(c.Gateway.Listen, want) {
			t.Errorf("%s: got %q, want %q", text, c.Gateway.Listen, want)
		}
	}
	g("{listen: [127.0.0.1:8080, :81, \"[::1]:82\", unix:/run/p.sock, localhost:83]}", "127.0.0.1:8080", ":81", "[::1]:82", "unix:/run/p.sock", "localhost:83")
	g("{listen: \"[::1]:8080\"}", "[::1]:8080")
	g("listen: \"[::1]:8080\"", "[::1]:8080")

	// With a space after it a colon ends a key, in a list too.
	_, err := read("metrics: {push: [a: b]}", oneFlag)
	refused(t, err, "p.yaml:1: metrics.push[0]: need a string, not keys and values")
}

// The README's block, as it stands there.
func TestReadmesConfigurationIsRead(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "```yaml\n")
	block, _, found := strings.Cut(block, "```")
	if !found {
		t.Fatal("the README has no YAML")
	}
	keys := write(t, "keys.yaml", "keys: [{name: a, key: k}]")
	c := mustRead(t, strings.Replace(block, "/etc/penstock/keys.yaml", keys, 1), Flags{})
	if len(c.Scheduler.Instances) != 2 || c.Scheduler.Instances[1].MaxInFlight != 64 {
		t.Errorf("got %+v", c)
	}
}

// INTERFACE.md's sample, less what is not there yet: discovery, engines,
// kv_events, the policy predictive, and files that a test lacks.
func TestInterfacesSampleIsRead(t *testing.T) {
	keys := write(t, "keys.yaml", "keys: [{name: a, key: k}]")
	c := mustRead(t, `
group: llm_group                 # the seed's service group
name: llm_router                 # with the group, the prefix /api/predict/{group}.{name}_llm_gateway/
listen: 127.0.0.1:8080           # or a list; unix:/run/penstock.sock too
admin: 127.0.0.1:8081            # metrics, API, dashboard; never on the data port
engine: auto                     # auto vllm sglang bladellm lmdeploy tgi trtllm llamacpp, or a name under `+"`engines`"+`
instances:
  - url: http://10.0.0.11:8000
    name: gpu-11                 # default host:port
    max_in_flight: 0             # 0: learned
engines:                         # a custom engine: which metric says what
  my_engine: {metrics_path: /stats, running: my_running, waiting: my_queue, kv_usage: my_cache_pct, kv_usage_scale: 0.01}
queue: {max_size: 128, timeout: 0s}
retry: {count: 2}
health: {connect_timeout: 1s, response_timeout: 0s, probe_every: 1s}
scheduler: {url: "", try_period: 500ms, timeout: 5s}   # url: the scheduler's admin port, http://10.0.0.2:8081
scrape: {every: auto, timeout: 1s}       # auto: as often as costs the engine 2 % of its time (real-engines.md)
auth:
  keys_file: `+keys+`
  engine_key: drop               # or passthrough (the default where there is no keys_file)
tls: {cert: , key: , client_ca: }
limits: {header_bytes: 32KiB, body_bytes: 64MiB, header_timeout: 10s, body_timeout: 60s, idle_timeout: 120s, stall_timeout: 60s, connections: 0}
kernel: {mode: auto, cgroup: ""} # auto sockops tracepoints tcp_info off
metrics: {push: [http://127.0.0.1:8428/api/v1/import/prometheus], every: 10s, labels: {node: gw-1}}
cluster: {name: "", listen: "", peers: [], nats: ""}
log: {level: info, format: text}
`, Flags{})
	want := Push{URLs: []string{"http://127.0.0.1:8428/api/v1/import/prometheus"}, Every: Default().Push.Every, Labels: map[string]string{"node": "gw-1"}}
	if !reflect.DeepEqual(c.Push, want) {
		t.Errorf("got %+v, want %+v", c.Push, want)
	}
}

package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const everyDefault = `group: llm_group
name: llm_router
listen:
  - 127.0.0.1:8080
admin: 127.0.0.1:8081
engine: auto
instances:
  - url: http://10.0.0.1:8000
    name: 10.0.0.1:8000
    engine: auto
    api_key_file: null
    max_in_flight: 0
discovery: {}
engines: {}
policy: predictive
queue:
  max_size: 128
  timeout: 0s
  late_binding: true
slo:
  ttft: 0s
  itl: 0s
retry:
  count: 2
health:
  stall: 3s
  connect_timeout: 1s
  response_timeout: 0s
  probe_every: 1s
scrape:
  every: auto
  timeout: 1s
auth:
  engine_key: passthrough
routes:
  allow: []
limits:
  header_bytes: 32KiB
  body_bytes: 64MiB
  held_bytes: 1GiB
  header_timeout: 10s
  body_timeout: 1m
  idle_timeout: 2m
  stall_timeout: 1m
  connections: 0
websocket:
  origins: []
  connections_per_key: 0
  requests: 16
  idle_timeout: 1h
  paths: []
kernel:
  mode: auto
  cgroup: ""
  pin: ""
metrics:
  push: []
  every: 10s
  labels: {}
log:
  level: info
  format: text
drain_timeout: 30s
resources:
  cpu: 0
  memory: 0B
`

func TestEffectiveHasEachDefault(t *testing.T) {
	c := mustRead(t, "", oneFlag)
	if got := string(c.Effective()); got != everyDefault {
		t.Errorf("got\n%s, want\n%s", got, everyDefault)
	}
}

// full sets everything to something that is no default.
func full(t *testing.T) (path string) {
	keys := write(t, "keys.yaml", "keys: [{name: a, key: sk-client}]")
	engineKey := write(t, "engine.key", "sk-engine")
	return write(t, "full.yaml", `
group: g
name: n
listen: [":80", "unix:/run/p.sock"]
admin: ":9000"
engine: vllm
instances:
  - {url: "http://a:1", name: "12", engine: sglang, max_in_flight: 7, api_key_file: `+engineKey+`}
  - {url: "http://b:1", name: "true"}
engines:
  mine: {metrics_path: /s, health_path: /h, models_path: /m, format: json, running: [a.0, b], kv_usage: pct, kv_usage_scale: 0.01}
  vllm: {waiting: 'w{a="b"}'}
discovery:
  file: more.yaml
  dns: {name: rack1.internal, type: a, port: 8000, refresh: 20s}
  register: {token_file: `+engineKey+`, ttl: 30s}
policy: random
queue: {max_size: 1, timeout: 90s}
retry: {count: 1}
health: {stall: 2500ms, connect_timeout: 2s, response_timeout: 1h, probe_every: 500ms}
scrape: {every: 1500ms, timeout: 2s}
auth: {keys_file: `+keys+`, engine_key: passthrough}
routes: {allow: [/v1/x]}
limits: {header_bytes: 5000, body_bytes: 1MiB, held_bytes: 3MiB, header_timeout: 1s, body_timeout: 2s, idle_timeout: 3s, stall_timeout: 4s, connections: 9}
websocket: {origins: [https://chat.example], connections_per_key: 3, requests: 2, idle_timeout: 5m, paths: [/mine]}
kernel: {mode: "off"}
metrics: {push: ["http://u:sk-push@h/w?a=b"], every: 1m, labels: {node: "7", b: "x: #y\"\n"}}
log: {level: error, format: json}
drain_timeout: 1h30m
resources: {cpu: 3, memory: 100MiB}
`)
}

func TestEffectiveReadAgainIsTheSame(t *testing.T) {
	c, err := Load(full(t), Flags{})
	if err != nil {
		t.Fatal(err)
	}
	c.Push.URLs = []string{"http://h/w"} // a masked password would not come back
	for name, text := range map[string][]byte{"YAML": c.Effective(), "JSON": c.EffectiveJSON()} {
		again, err := read(string(text), Flags{})
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		again.engineKey = c.engineKey
		again.Discovery.File, again.Discovery.at = c.Discovery.File, c.Discovery.at // it lies in another folder
		if !reflect.DeepEqual(again, c) {
			t.Errorf("%s: got\n%+v, want\n%+v", name, again, c)
		}
	}
}

func TestEffectiveHasEveryKeyOfTheSchema(t *testing.T) {
	var doc map[string]any
	if err := yaml.Unmarshal(mustRead(t, one, Flags{}).Effective(), &doc); err != nil {
		t.Fatal(err)
	}
	later := map[string]bool{"scheduler": true, "tls": true, "cluster": true}
	for key := range Default().native() {
		if _, ok := doc[key]; ok == later[key] {
			t.Errorf("%s: in the effective configuration: %v, want %v", key, ok, !later[key])
		}
	}
}

func TestEffectiveHasNoSecret(t *testing.T) {
	c, err := Load(full(t), Flags{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{c.Effective(), c.EffectiveJSON()} {
		if strings.Contains(string(text), "sk-") {
			t.Errorf("a secret in\n%s", text)
		}
		if !strings.Contains(string(text), "u:xxxxx@h") || !strings.Contains(string(text), "keys.yaml") {
			t.Errorf("the URL and the path are not in\n%s", text)
		}
	}
	if !json.Valid(c.EffectiveJSON()) {
		t.Errorf("not JSON:\n%s", c.EffectiveJSON())
	}
}

func TestEffectiveOfTheManagedService(t *testing.T) {
	c, err := Load(filepath.Join(fixtures, "router-advanced.json"), oneFlag)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("engine: auto", "engine: vllm", "cpu: 0", "cpu: 2", "memory: 0B", "memory: 4000MiB",
		"discovery: {}", "discovery:\n  register:\n    token_file: null\n    ttl: 15s").Replace(everyDefault)
	if got := string(c.Effective()); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestPathsLeadBesideTheFile(t *testing.T) {
	path := write(t, "p.yaml", one+"auth: {keys_file: keys.yaml}")
	keys := filepath.Join(filepath.Dir(path), "keys.yaml")
	if err := os.WriteFile(keys, []byte("keys: [{name: a, key: k}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, Flags{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Gateway.Auth.Keys) != 1 || c.Gateway.Auth.EngineKey != "drop" {
		t.Errorf("got %+v, want one key, and the client's key not passed on", c.Gateway.Auth)
	}
}

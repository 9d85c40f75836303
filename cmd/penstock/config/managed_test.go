package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fixtures are the samples of the managed service, as the end-to-end tests
// have them.
const fixtures = "../../../scripts/e2e/fixtures"

func TestBasicRouter(t *testing.T) {
	path := filepath.Join(fixtures, "router-basic.json")
	c, err := Load(path, oneFlag)
	if err != nil {
		t.Fatal(err)
	}
	g := c.Gateway
	if g.Group != "llm_group" || g.Name != "llm_router" || c.Scheduler.Engine != "vllm" || g.Queue.MaxSize != 128 || g.Retry.Count != 2 {
		t.Errorf("got %+v, engine %s", g, c.Scheduler.Engine)
	}
	if c.Resources != (Resources{CPU: 4, Memory: 4000 << 20}) {
		t.Errorf("got %+v, want 4 cores and 4000 MiB", c.Resources)
	}
	want := []string{
		path + ": accepted, without effect: cloud, metadata.instance (no meaning on bare metal)",
	}
	if !reflect.DeepEqual(c.Warnings, want) {
		t.Errorf("got\n%s, want\n%s", strings.Join(c.Warnings, "\n"), strings.Join(want, "\n"))
	}
}

func TestAdvancedRouter(t *testing.T) {
	c, err := Load(filepath.Join(fixtures, "router-advanced.json"), oneFlag)
	if err != nil {
		t.Fatal(err)
	}
	if c.Resources != (Resources{CPU: 2, Memory: 4000 << 20}) {
		t.Errorf("got %+v, want the gateway's resources, not the scheduler's", c.Resources)
	}
	want := "accepted, without effect: llm_gateway.wait_schedule_timeout, llm_gateway.wait_schedule_try_period, llm_scheduler.cpu, llm_scheduler.memory " +
		"(gateway and scheduler are one process); cloud, metadata.instance (no meaning on bare metal)"
	if len(c.Warnings) != 1 || !strings.HasSuffix(c.Warnings[0], ": "+want) {
		t.Errorf("got %q, want one line: %s", c.Warnings, want)
	}
}

func TestAThousandUnknownKeysAreOneLine(t *testing.T) {
	var members strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&members, `, "%s%d": 1`, strings.Repeat("k", 100), i)
	}
	c := mustRead(t, `{"metadata": {"type": "LLMGatewayService"`+members.String()+`}}`, oneFlag)
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], " and 990 more (unknown to Penstock)") || len(c.Warnings[0]) > 1000 {
		t.Errorf("got %q", c.Warnings)
	}
}

func TestManagedKeys(t *testing.T) {
	c := mustRead(t, `{
	"metadata": {"type": "LLMGatewayService", "group": "g", "name": "n", "cpu": 0.5, "memory": 64, "rack": 3},
	"llm_gateway": {"infer_backend": "vllm", "max_queue_size": 0, "retry_count": 0},
	"networking": {"x": 1}
}`, oneFlag)
	g := c.Gateway
	if g.Group != "g" || g.Name != "n" || g.Queue.MaxSize != 0 || g.Retry.Count != 0 || c.Resources != (Resources{CPU: 1, Memory: 64 << 20}) {
		t.Errorf("got %+v %+v", g, c.Resources)
	}
	want := []string{
		"p.yaml: accepted, without effect: metadata.rack, networking (unknown to Penstock)",
	}
	if !reflect.DeepEqual(c.Warnings, want) {
		t.Errorf("got %q, want %q", c.Warnings, want)
	}
}

func TestWhatIsNoRouter(t *testing.T) {
	path := filepath.Join(fixtures, "llm-service.json")
	_, err := Load(path, oneFlag)
	refused(t, err, path+": metadata.type: is missing: this describes engine instances, not a router (LLMGatewayService): start the router without it and name the engines with --instance URL")

	f := func(text, want string) {
		t.Helper()
		_, err := read(text, oneFlag)
		refused(t, err, want)
	}
	f(`{"metadata": {"type": "LLMGatewayServices"}}`, `p.yaml:1: metadata.type: "LLMGatewayServices" is no router: need LLMGatewayService (did you mean "LLMGatewayService"?)`)
	f(`{"metadata": {"type": "x"}}`, `p.yaml:1: metadata.type: "x" is no router: need LLMGatewayService`)
	f(`{"metadata": {"type": 3}}`, `p.yaml:1: metadata.type: "" is no router: need LLMGatewayService`)
	f(`{"metadata": 3}`, `p.yaml: metadata.type: is missing: this describes engine instances, not a router (LLMGatewayService): start the router without it and name the engines with --instance URL`)
	f(`{"metadata": {"type": "Async"}}`, `p.yaml:1: metadata.type: a service queue (Async) is no router, and may not be in a router's group: two schedulers would feed one engine`)
	f(`{"metadata": {"type": "LLMGatewayService"}, "queue": {"source": {}, "sink": {}}}`, `p.yaml:1: queue: a service queue may not be in a router's group: two schedulers would feed one engine`)
	f("queue:\n  sink: {a: 1}", `p.yaml:1: queue: a service queue may not be in a router's group: two schedulers would feed one engine`)
}

func TestWhatTheManagedServiceRefuses(t *testing.T) {
	f := func(members, want string) {
		t.Helper()
		_, err := read(`{"metadata": {"type": "LLMGatewayService"},`+"\n"+members+"}", oneFlag)
		refused(t, err, want)
	}
	f(`"llm_gateway": {"infer_backend": "tgi"}`, `p.yaml:2: llm_gateway.infer_backend: "tgi" is none of: vllm, bladellm`)
	f(`"llm_gateway": {"infer_backend": "bladelm"}`, `p.yaml:2: llm_gateway.infer_backend: "bladelm" is none of: vllm, bladellm (did you mean "bladellm"?)`)
	f(`"llm_gateway": {"max_queue_size": -1}`, `p.yaml:2: llm_gateway.max_queue_size: -1 is negative`)
	f(`"llm_gateway": {"max_queue_size": "128"}`, `p.yaml:2: llm_gateway.max_queue_size: need a whole number, not a string: write 128 without quotes`)
	f(`"llm_gateway": {"wait_schedule_timeout": "5s"}`, `p.yaml:2: llm_gateway.wait_schedule_timeout: need a whole number, not a string`)
	f(`"llm_gateway": {"retry_counts": 2}`, `p.yaml:2: llm_gateway.retry_counts: unknown key (did you mean "retry_count"?)`)
	f(`"llm_scheduler": {"cpus": 2}`, `p.yaml:2: llm_scheduler.cpus: unknown key (did you mean "cpu"?)`)
	f(`"llm_scheduler": {"cpu": -1}`, `p.yaml:2: llm_scheduler.cpu: -1 is negative`)
	f(`"llm_scheduler": {"memory": -1.5}`, `p.yaml:2: llm_scheduler.memory: -1.5 is negative`)
	f(`"llm_gateway": {"retry_count": 99}`, `p.yaml: retry.count: 99 is out of range: 0 to 7`)

	g := func(member, want string) {
		t.Helper()
		_, err := read(`{"metadata": {"type": "LLMGatewayService", `+member+`}}`, oneFlag)
		refused(t, err, want)
	}
	g(`"cpu": -1`, `p.yaml:1: metadata.cpu: -1 is negative`)
	g(`"cpu": "2"`, `p.yaml:1: metadata.cpu: need a whole number, not a string: write 2 without quotes`)
	g(`"memory": 1`, `p.yaml:1: metadata.memory: 1 is out of range: need megabytes, 64 or more`)
	g(`"group": "a b"`, `p.yaml:1: metadata.group: "a b": need a value that can stand in a path`)

	_, err := read(`{"metadata": {"type": "LLMGatewayService"}}`, Flags{Admin: "0.0.0.0:8081"})
	refused(t, err, "p.yaml: discovery.register: the admin port 0.0.0.0:8081 is not on loopback alone: registration there needs a token_file")
	if c := mustRead(t, `{"metadata": {"type": "LLMGatewayService"}}`, Flags{}); !c.Discovery.Register.On {
		t.Error("instances cannot register")
	}
}

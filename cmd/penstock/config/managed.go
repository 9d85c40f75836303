package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// routerType marks a router among the managed service's configurations.
const routerType = "LLMGatewayService"

// isManaged tells the managed service's JSON from a native file: these keys
// stand at the top of the one and never of the other.
func isManaged(root value) bool {
	for _, key := range []string{"metadata", "llm_gateway", "llm_scheduler", "cloud", "containers"} {
		if _, ok := root.find(key); ok {
			return true
		}
	}
	return isServiceQueue(root)
}

func isServiceQueue(root value) bool {
	_, source := root.find("queue", "source")
	_, sink := root.find("queue", "sink")
	return source || sink
}

// readManaged reads the router JSON of the managed service. Its default is an
// engine of the kind vllm, not auto.
func (c *Config) readManaged(root value) error {
	if err := isRouter(root); err != nil {
		return err
	}
	c.Scheduler.Engine = "vllm"
	defer func() { c.warnUnused(root.file) }()
	return section{
		"metadata":      c.metadata().read,
		"llm_gateway":   c.managedGateway().read,
		"llm_scheduler": c.managedScheduler().read,
		"cloud":         c.meaningless,
		"*":             c.unknownManaged,
	}.read(root)
}

// isRouter refuses what belongs to another service of the group.
func isRouter(root value) error {
	kind, typed := root.find("metadata", "type")
	name := ""
	if s, ok := kind.node.(*ast.StringNode); ok {
		name = s.Value
	}
	queue, _ := root.find("queue")
	switch {
	case name == "Async":
		return kind.errorf("a service queue (%s) is no router, and may not be in a router's group: two schedulers would feed one engine", name)
	case isServiceQueue(root):
		return queue.errorf("a service queue may not be in a router's group: two schedulers would feed one engine")
	case name == routerType:
		return nil
	case typed:
		err := kind.errorf("%q is no router: need %s", name, routerType)
		err.Near = Nearest(strings.ToLower(name), []string{strings.ToLower(routerType)})
		if err.Near != "" {
			err.Near = routerType
		}
		return err
	}
	return &Error{File: root.file, Key: "metadata.type", Message: "is missing: this describes engine instances, not a router (" + routerType + "): " +
		"start the router without it and name the engines with --instance URL"}
}

func (c *Config) metadata() section {
	var kind string
	return section{
		"type":     text(&kind),
		"group":    pathPart(&c.Gateway.Group),
		"name":     pathPart(&c.Gateway.Name),
		"cpu":      c.readCPU,
		"memory":   c.managedMemory,
		"instance": c.meaningless,
		"*":        c.unknownManaged,
	}
}

func (c *Config) managedGateway() section {
	return section{
		"infer_backend":            oneOf(&c.Scheduler.Engine, []string{"vllm", "bladellm"}, nil),
		"max_queue_size":           integer(&c.Gateway.Queue.MaxSize),
		"retry_count":              integer(&c.Gateway.Retry.Count),
		"wait_schedule_timeout":    c.managedAway,
		"wait_schedule_try_period": c.managedAway,
	}
}

// managedScheduler are the resources of a scheduler that is a service of its
// own over there. Here it lives in the gateway's process.
func (c *Config) managedScheduler() section {
	resource := func(v value) error {
		var n float64
		if err := number(&n)(v); err != nil {
			return err
		}
		c.unused(v, oneProcess)
		return nil
	}
	return section{"cpu": resource, "memory": resource, "instance_type": c.meaningless}
}

func (c *Config) managedAway(v value) error {
	var n int64
	if err := integer(&n)(v); err != nil {
		return err
	}
	c.unused(v, oneProcess)
	return nil
}

// managedMemory takes megabytes, the managed service's unit.
func (c *Config) managedMemory(v value) error {
	var megabytes int64
	if err := integer(&megabytes)(v); err != nil {
		return err
	}
	if megabytes < leastMemory>>20 || megabytes > 1<<30 {
		return v.errorf("%d is out of range: need megabytes, %d or more", megabytes, leastMemory>>20)
	}
	c.Resources.Memory = megabytes << 20
	return nil
}

func (c *Config) meaningless(v value) error {
	c.unused(v, "no meaning on bare metal")
	return nil
}

func (c *Config) unknownManaged(v value) error {
	c.unused(v, "unknown to Penstock")
	return nil
}

// oneProcess is why much of a scheduler's settings has no effect.
const oneProcess = "gateway and scheduler are one process"

// unused takes note of a key that has no effect here, and why.
func (c *Config) unused(v value, why string) {
	if c.unusedKeys == nil {
		c.unusedKeys = map[string][]string{}
	}
	c.unusedKeys[why] = append(c.unusedKeys[why], v.key)
}

// warnUnused says in one line what was noted.
func (c *Config) warnUnused(file string) {
	const most = 10 // of one kind: a file may have thousands
	var parts []string
	for _, why := range slices.Sorted(maps.Keys(c.unusedKeys)) {
		keys := c.unusedKeys[why]
		shown := strings.Join(keys[:min(len(keys), most)], ", ")
		if more := len(keys) - most; more > 0 {
			shown += fmt.Sprintf(" and %d more", more)
		}
		parts = append(parts, shown+" ("+why+")")
	}
	if c.unusedKeys = nil; len(parts) > 0 {
		c.Warnings = append(c.Warnings, file+": accepted, without effect: "+strings.Join(parts, "; "))
	}
}

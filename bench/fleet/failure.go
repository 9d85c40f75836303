package fleet

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"penstock/bench/model"
	"penstock/scheduler"
)

// Failure is an engine that dies with all that it has, and comes back empty.
// Until then it refuses connections.
type Failure struct {
	At       time.Duration
	Instance int
	For      time.Duration
}

func (f Failure) String() string { return fmt.Sprintf("%v:%d:%v", f.At, f.Instance, f.For) }

// ParseFailure reads what String writes.
func ParseFailure(text string) (Failure, error) {
	wrong := fmt.Errorf("%q is not as 60s:2:30s", text)
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Failure{}, wrong
	}
	at, err := time.ParseDuration(parts[0])
	if err != nil {
		return Failure{}, wrong
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return Failure{}, wrong
	}
	lasts, err := time.ParseDuration(parts[2])
	if err != nil {
		return Failure{}, wrong
	}
	return Failure{At: at, Instance: n, For: lasts}, nil
}

func (r *run) planFailures() {
	for _, f := range r.Failures {
		r.plan(event{at: f.At, kind: crashes, n: int32(f.Instance)})
		r.plan(event{at: f.At + f.For, kind: returns, n: int32(f.Instance)})
	}
}

// crash ends an engine's life. Its connections break.
func (r *run) crash(i *instance) {
	if i.downs++; i.downs > 1 {
		return // it is dead already
	}
	i.dead = true
	i.life++
	if i.inStep {
		i.inStep = false
		r.idle++
	}
	for _, c := range i.calls {
		r.plan(event{at: r.now + r.Delay, kind: breaks, call: c})
	}
	i.calls = i.calls[:0]
}

// restart begins another life, with an empty cache.
func (r *run) restart(i *instance) {
	if i.downs--; i.downs > 0 {
		return
	}
	i.dead, i.begins, i.until = false, 0, 0
	// It cannot fail: the profile is the one of before.
	i.Engine, _ = model.New(i.profile)
}

// retries is how many further instances a request goes to, as the gateway's
// retry.count is by default.
const retries = 2

// broken is what the gateway does about it, as dataplane does: who has not had a
// byte yet goes elsewhere.
func (r *run) broken(c *call) {
	inst := r.gateways[c.gateway].all[c.inst]
	inst.Failed(scheduler.Reset, "")
	if c.begun || c.tries == retries {
		r.refuse(c)
		return
	}
	c.place.End()
	c.tries++
	c.untold = 0
	c.query.Tried.Add(inst)
	c.grains, c.tail = c.Hashes(c.grains[:0]) // the engine has read from the tail
	c.inst = -1
	r.arrive(c)
}

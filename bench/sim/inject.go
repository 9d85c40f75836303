package sim

import (
	"net"
	"net/http"
	"strconv"
)

// Inject makes the instance fail as f says, in place of how it failed before.
func (i *Instance) Inject(f Fault) error { return i.inject(f, nil) }

// Heal ends the fault.
func (i *Instance) Heal() error { return i.inject(Fault{}, nil) }

// inject spares one connection: the one that asked for it.
func (i *Instance) inject(f Fault, spare net.Conn) error {
	i.injecting.Lock()
	defer i.injecting.Unlock()
	return i.apply(f, spare)
}

// expire heals the fault if it is still that one.
func (i *Instance) expire(generation int) {
	i.injecting.Lock()
	defer i.injecting.Unlock()
	if i.fault.is(generation) {
		if err := i.apply(Fault{}, nil); err != nil {
			i.log.Error("healing", "error", err)
		}
	}
}

// apply carries f out. The caller holds injecting.
func (i *Instance) apply(f Fault, spare net.Conn) error {
	if f.Kind == faultMetricsFrozen {
		frozen := i.modelStats()
		i.frozen.Store(&frozen)
	}
	i.fault.set(f, i.expire)
	if f.Kind != "" {
		i.log.Info("fault", "kind", f.Kind, "for", f.For)
	}
	// A server that may not keep connections alive closes idle ones, and the
	// others after their answer.
	i.server.SetKeepAlivesEnabled(f.Kind != faultRefuse)
	switch f.Kind {
	case faultRefuse:
		i.conns.closeIdle()
		return i.listener.Refuse()
	case faultReset:
		i.conns.reset(spare)
	case faultExit:
		if i.config.Exit != nil {
			i.config.Exit(i.number)
		}
		_ = i.die()
	}
	return i.listener.Resume()
}

// postFault is POST /_sim/fault. With ?instance=N it is another one of this
// process that fails: one that refuses cannot be told to stop otherwise.
func (i *Instance) postFault(w http.ResponseWriter, r *http.Request) {
	other, ok := i.other(w, r)
	if !ok {
		return
	}
	var f Fault
	if !i.read(w, r, &f) {
		return
	}
	if f.Kind == faultExit { // answer while one can
		answer(w, map[string]string{"fault": f.Kind})
		_ = http.NewResponseController(w).Flush()
	}
	if err := other.inject(f, connOf(r)); err != nil {
		i.fail(w, problem{http.StatusInternalServerError, "InternalServerError", "", err.Error()})
		return
	}
	if f.Kind != faultExit {
		answer(w, map[string]string{"fault": f.Kind})
	}
}

// deleteFault is DELETE /_sim/fault, with ?instance=N alike.
func (i *Instance) deleteFault(w http.ResponseWriter, r *http.Request) {
	other, ok := i.other(w, r)
	if !ok {
		return
	}
	if err := other.Heal(); err != nil {
		i.fail(w, problem{http.StatusInternalServerError, "InternalServerError", "", err.Error()})
		return
	}
	answer(w, map[string]string{"fault": ""})
}

// other is the instance that a request means.
func (i *Instance) other(w http.ResponseWriter, r *http.Request) (*Instance, bool) {
	text := r.URL.Query().Get("instance")
	if text == "" {
		return i, true
	}
	n, err := strconv.Atoi(text)
	if err == nil {
		var other *Instance
		if other, err = i.fleet.at(n); err == nil {
			return other, true
		}
	}
	i.fail(w, badRequest("instance: "+err.Error()))
	return nil, false
}

package scheduler

import "penstock/scheduler/engine"

// State is where an instance stands.
type State uint32

const (
	// Starting: nothing was heard of it yet, or it says that it is not ready:
	// loading, asleep, being scaled.
	Starting State = iota
	// Healthy: it answers.
	Healthy
	// Suspect: its last requests failed, it is used where no other is.
	Suspect
	// Ejected: out, until a probe brings it back.
	Ejected
	// Draining: it gets nothing new.
	Draining
	states
)

var stateNames = [states]string{"starting", "healthy", "suspect", "ejected", "draining"}

func (s State) String() string { return stateNames[s] }

// MarshalText is String, for logs in JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Failure is what an instance did to a request, or to a probe.
type Failure uint8

const (
	// Refused: it takes no connection.
	Refused Failure = iota
	// Unreachable: a connection was not made in time.
	Unreachable
	// Reset: it reset a connection that carried a request.
	Reset
	// Closed: it closed one before the answer was whole.
	Closed
	// Timeout: an answer did not come, or stopped coming.
	Timeout
	// BadStatus: it answered 502, 503 or 504.
	BadStatus
	// Protocol: what it answered is not HTTP.
	Protocol
	// Probe: its /health said no.
	Probe
	// Hung: it has work, and nothing moves.
	Hung
	// Kernel: the kernel saw a connection refused, or nothing acknowledged.
	Kernel
	failures
)

// failureNames are the label `reason` of the metrics, a closed list.
var failureNames = [failures]string{"refused", "timeout", "reset", "closed", "timeout", "status", "protocol", "probe", "hung", "kernel"}

func (f Failure) String() string { return failureNames[f] }

// fatal says whether one such failure is enough to take an instance out.
func (f Failure) fatal() bool { return f == Refused || f == Unreachable || f == Reset || f == Kernel }

// Ours reports whether err is this machine's own want, of descriptors, ports or
// memory, and no failure of an instance.
func Ours(err error) bool { return engine.Ours(err) }

package dataplane

import (
	"sync"
	"sync/atomic"
	"time"

	"penstock/scheduler/telemetry"
)

// account is what happened, in counters that any goroutine may add to. It is
// read only when somebody asks for /metrics.
type account struct {
	routes []*route
	keys   []string        // names by index; 0: no key
	served []atomic.Uint64 // by route, key and code

	current atomic.Int64 // requests inside
	passing atomic.Int64 // of them, WebSockets that pass through by now
	zero    chan struct{}
	zeroMu  sync.Mutex

	errors    [reasons]telemetry.Counter
	aborts    [aborts]telemetry.Counter
	retryOK   telemetry.Counter
	retryBad  telemetry.Counter
	noTryLeft telemetry.Counter
	saved     telemetry.Counter // output tokens that an abort spared

	turnedAway telemetry.Counter // connections over the limit
	tokensIn   telemetry.Counter
	tokensOut  telemetry.Counter

	ttft, tpot, itl, whole, pending, overhead *telemetry.Histogram
	ttftWindow, tpotWindow                    *telemetry.Window
}

// When a client left.
const (
	abortPending = iota
	abortBeforeFirstByte
	abortStreaming
	aborts
)

var abortNames = [aborts]string{"pending", "before_first_byte", "streaming"}

// codes are the statuses that are counted apart; any other counts as 0.
var codes = [...]int{0, 101, 200, 201, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 417, 422, 424, 426, 429, 431, 499, 500, 501, 502, 503, 504, 505}

var codeIndex = func() (at [600]uint8) {
	for i, c := range codes {
		at[c] = uint8(i)
	}
	return at
}()

func (a *account) init(routes []*route, keys []Key) {
	a.routes = routes
	a.keys = append(a.keys, "")
	for _, k := range keys {
		a.keys = append(a.keys, k.Name)
	}
	a.served = make([]atomic.Uint64, len(routes)*len(a.keys)*len(codes))
	a.ttft = telemetry.NewHistogram(telemetry.LatencyBounds)
	a.whole = telemetry.NewHistogram(telemetry.LatencyBounds)
	a.pending = telemetry.NewHistogram(telemetry.LatencyBounds)
	a.tpot = telemetry.NewHistogram(telemetry.ITLBounds)
	a.itl = telemetry.NewHistogram(telemetry.ITLBounds)
	a.overhead = telemetry.NewHistogram(telemetry.MicroBounds)
	a.ttftWindow = telemetry.NewWindow()
	a.tpotWindow = telemetry.NewWindow()
}

func (a *account) begin() { a.current.Add(1) }

// end closes the books of one request.
func (a *account) end(q *request) {
	code := 0
	if q.status > 0 && q.status < len(codeIndex) {
		code = int(codeIndex[q.status])
	}
	a.served[(q.route.index*len(a.keys)+q.keyIndex)*len(codes)+code].Add(1)
	if q.refused != nil {
		a.errors[q.refused.reason].Inc()
	}
	if q.started {
		a.settle(q)
	}
	if a.current.Add(-1) == 0 {
		a.wakeIdle()
	}
}

// inside is how many requests there are but for WebSockets that pass through.
func (a *account) inside() int64 { return max(a.current.Load()-a.passing.Load(), 0) }

// settle counts the tokens and times of a request that got an answer.
func (a *account) settle(q *request) {
	m := &q.meter
	if q.status == 101 { // what passed is nobody's answer
		return
	}
	out := q.output()
	if q.status < 300 {
		prompt := q.believed(m.usage.prompt, 0, 1)
		if prompt == 0 {
			prompt = int64(q.query.PromptTokens)
		}
		a.tokensIn.Add(uint64(prompt))
		a.tokensOut.Add(uint64(out))
	}
	a.whole.Observe(time.Duration(m.last - q.arrived))
	if out > 1 && m.last > m.first {
		tpot := time.Duration(m.last-m.first) / time.Duration(out-1)
		a.tpot.Observe(tpot)
		a.tpotWindow.Observe(tpot)
	}
}

// firstByte notes that the body of an answer begins to come.
func (a *account) firstByte(q *request, now int64) {
	a.pending.Observe(time.Duration(q.pending))
	a.overhead.Observe(time.Duration(q.overhead))
	if q.status >= 300 || q.status == 101 { // an error, however quick, is no token, nor is a handshake
		return
	}
	ttft := time.Duration(now - q.arrived)
	a.ttft.Observe(ttft)
	a.ttftWindow.Observe(ttft)
}

// nextBytes notes the gap to the bytes before.
func (a *account) nextBytes(q *request, now int64) {
	if q.meter.stream {
		a.itl.Observe(time.Duration(now - q.meter.last))
	}
}

// aborted notes a client that left while its request was at an engine.
func (a *account) aborted(q *request) {
	when := abortBeforeFirstByte
	delivered := 0
	if q.started {
		when, delivered = abortStreaming, q.meter.tokens()
	}
	a.aborts[when].Inc()
	if n := q.expected() - delivered; n > 0 {
		a.saved.Add(uint64(n))
	}
}

func (a *account) abort(when int) { a.aborts[when].Inc() }

func (a *account) retried(ok bool) {
	if ok {
		a.retryOK.Inc()
	} else {
		a.retryBad.Inc()
	}
}

func (a *account) exhausted() { a.noTryLeft.Inc() }

// idle returns a channel that is closed once no request is inside.
func (a *account) idle() <-chan struct{} {
	a.zeroMu.Lock()
	defer a.zeroMu.Unlock()
	zero := make(chan struct{})
	if a.current.Load() == 0 {
		close(zero)
		return zero
	}
	a.zero = zero
	return zero
}

func (a *account) wakeIdle() {
	a.zeroMu.Lock()
	defer a.zeroMu.Unlock()
	if a.zero != nil {
		close(a.zero)
		a.zero = nil
	}
}

// rotate moves the windows of the last minute on.
func (a *account) rotate(now time.Time) {
	a.ttftWindow.Rotate(now)
	a.tpotWindow.Rotate(now)
}

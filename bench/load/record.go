package load

import (
	"sync"
	"time"
)

// maxInstances and maxCodes bound the names that answers can make the record hold.
const (
	maxInstances = 4096
	maxCodes     = 16
)

// record sums samples up. Any worker may add to it, under its mutex.
type record struct {
	slo struct{ ttft, itl time.Duration }

	mu                            sync.Mutex
	requests, completed, rejected int
	good                          int
	errors                        map[string]int
	codes                         map[string]int    // of what was rejected
	messages                      map[string]string // one of each class, and of each code
	promptTokens, outputTokens    int64
	known, cached                 int64 // prompt tokens of which the engine said how many it had cached, and these
	ttft, tpot, itl, e2e, late    latencies
	instances                     map[string]int
	warm                          int           // that ended and are not measured
	first, final                  time.Duration // when the first request was to go out, and the last
	last                          time.Duration // when the last request ended
	cut                           int           // that the run's end interrupted
}

func newRecord(cfg *Config) *record {
	r := &record{
		errors: make(map[string]int), codes: make(map[string]int), messages: make(map[string]string), instances: make(map[string]int),
		ttft: newLatencies(), tpot: newLatencies(), itl: newLatencies(), e2e: newLatencies(), late: newLatencies(),
	}
	r.slo.ttft, r.slo.itl = cfg.SLOTTFT, cfg.SLOITL
	return r
}

// add counts a request that ended.
func (r *record) add(s *sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late.add(s.late)
	if s.warm {
		r.warm++
		return
	}
	if r.requests++; r.requests == 1 || s.sent < r.first {
		r.first = s.sent
	}
	r.final = max(r.final, s.sent)
	r.last = max(r.last, s.ended)
	if s.instance != "" && (r.instances[s.instance] > 0 || len(r.instances) < maxInstances) {
		r.instances[s.instance]++
	}
	switch {
	case s.rejected:
		r.rejected++
		r.reject(plain(s.code), s.message)
	case s.class != "":
		r.errors[s.class]++
		r.say(s.class, s.message)
	default:
		r.complete(s)
	}
}

// reject counts a code; anything may answer, and make up as many as it likes.
func (r *record) reject(code, message string) {
	if _, ok := r.codes[code]; !ok && len(r.codes) >= maxCodes {
		code = "others"
	}
	r.codes[code]++
	r.say("rejected "+code, message)
}

// say keeps the first message of each kind.
func (r *record) say(kind, message string) {
	if _, ok := r.messages[kind]; !ok {
		r.messages[kind] = plain(message)
	}
}

func (r *record) complete(s *sample) {
	r.completed++
	r.promptTokens += int64(s.promptTokens)
	r.outputTokens += int64(s.tokens())
	if s.cachedTokens >= 0 {
		r.known, r.cached = r.known+int64(s.promptTokens), r.cached+int64(s.cachedTokens)
	}
	r.ttft.add(s.ttft())
	r.e2e.add(s.e2e())
	if tpot, ok := s.tpot(); ok {
		r.tpot.add(tpot)
	}
	if s.good(r.slo.ttft, r.slo.itl) {
		r.good++
	}
}

// addGaps counts times between two pieces of output.
func (r *record) addGaps(gaps []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range gaps {
		r.itl.add(d)
	}
}

// addCut counts a request that the run's end interrupted, and that thus says
// nothing.
func (r *record) addCut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut++
}

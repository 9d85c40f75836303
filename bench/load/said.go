package load

import "sync"

// Bounds of what answers keeps: the oldest go first.
const (
	maxAnswers     = 1 << 16
	maxAnswerBytes = 64 << 20
)

// answers are what the engine said in conversations that go on, by the number
// that a later prompt names it by. Any worker may use them.
type answers struct {
	mu    sync.Mutex
	text  map[uint64][]byte // as JSON escapes it; nil: there was none
	order []uint64          // as they came
	bytes int
}

func newAnswers() *answers { return &answers{text: make(map[uint64][]byte)} }

// put keeps an answer, which is the caller's no more.
func (a *answers) put(number uint64, text []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.text[number]; ok {
		return
	}
	a.text[number], a.order = text, append(a.order, number)
	a.bytes += len(text)
	for len(a.order) > maxAnswers || a.bytes > maxAnswerBytes {
		oldest := a.order[0]
		a.bytes -= len(a.text[oldest])
		a.order = a.order[1:]
		delete(a.text, oldest)
	}
}

// of finds an answer; false: the number is no answer's that is known.
func (a *answers) of(number uint64) (text []byte, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text, ok = a.text[number]
	return text, ok
}

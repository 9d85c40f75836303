package predict

import (
	"math/bits"
	"sync/atomic"
)

// Output learns how many tokens answers have, by who asks and how long the
// prompt is. It is of fixed size: those who share a place by chance share what
// was learned. Any goroutine may call; two at once may lose one.
type Output struct {
	all   average
	rough [1 << 8]average  // by who asks
	fine  [1 << 12]average // and how long the prompt is
}

// average is a mean of counts that forgets, and how many it is of: scaled by
// 1024, in the upper bits, and the number in the lower 8.
type average struct{ word atomic.Uint64 }

const (
	remembered = 64 // answers
	enough     = 8  // are a mean
)

func (a *average) get() (mean float64, n int) {
	w := a.word.Load()
	return float64(w>>8) / 1024, int(w & 255)
}

func (a *average) add(v float64) {
	mean, n := a.get()
	n = min(n+1, remembered)
	mean += (v - mean) / float64(n)
	a.word.Store(uint64(mean*1024)<<8 | uint64(n))
}

func (o *Output) places(who uint64, prompt int) (rough, fine *average) {
	h := who * 0x9e3779b97f4a7c15
	rough = &o.rough[h>>56]
	h = (h ^ uint64(bits.Len(uint(max(prompt, 0))))) * 0xd6e8feb86659fd93
	return rough, &o.fine[h>>52]
}

// Note takes in the length of an answer.
func (o *Output) Note(who uint64, prompt, tokens int) {
	rough, fine := o.places(who, prompt)
	v := float64(min(max(tokens, 0), 1<<20))
	o.all.add(v)
	rough.add(v)
	fine.add(v)
}

// Of is how many tokens an answer will have: the mean of those most like it of
// which enough were seen, else `otherwise`.
func (o *Output) Of(who uint64, prompt int, otherwise float64) float64 {
	rough, fine := o.places(who, prompt)
	for _, a := range [...]*average{fine, rough, &o.all} {
		if mean, n := a.get(); n >= enough {
			return mean
		}
	}
	return otherwise
}

// Usual is the mean of all answers, or otherwise, if there were too few.
func (o *Output) Usual(otherwise float64) float64 {
	if mean, n := o.all.get(); n >= enough {
		return mean
	}
	return otherwise
}

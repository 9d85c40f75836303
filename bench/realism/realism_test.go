package main

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"penstock/bench/model"
	"penstock/scheduler/record"
)

// known is a profile as a fit may find it.
func known() model.Profile {
	p := sizes
	p.Intake, p.IntakeToken = 2*time.Millisecond, 2*time.Microsecond
	p.Overhead, p.PrefillToken, p.PrefillKV = 8*time.Millisecond, 18*time.Microsecond, 12*time.Microsecond
	p.Decode, p.DecodeSeq, p.DecodeKV = 1800*time.Microsecond, 250*time.Microsecond, 120
	return p
}

// asked is a load whose prompts were taken apart: a token for each word.
func asked(l *load) []ask {
	asks := l.asks(l.dice(0))
	for n := range asks {
		for _, m := range asks[n].Messages {
			for _, w := range strings.Fields(m.Content) {
				asks[n].Tokens = append(asks[n].Tokens, uint32(len(w)))
			}
		}
	}
	return asks
}

// What answers cost for each and for each token of context can stand in for one
// another to a degree, so that it is what is foretold of other loads that counts.
func TestFitForetellsOtherLoads(t *testing.T) {
	truth, asks := known(), asked(&loads[0])
	measured, err := replay(truth, asks)
	if err != nil {
		t.Fatal(err)
	}
	got, err := fit(sizes, asks, measured, 3)
	if err != nil {
		t.Fatal(err)
	}
	for n, c := range constants(&got) {
		if ratio := float64(*c.value) / float64(*constants(&truth)[n].value); ratio < 0.5 || ratio > 2 {
			t.Errorf("%s: %v, want about %v", c.name, *c.value, *constants(&truth)[n].value)
		}
	}
	for n := range loads {
		other := asked(&loads[n])
		want, err := replay(truth, other)
		if err != nil {
			t.Fatal(err)
		}
		told, err := replay(got, other)
		if err != nil {
			t.Fatal(err)
		}
		a, b := summarize(want), summarize(told)
		for _, pair := range [][2]time.Duration{{a.ttft50, b.ttft50}, {a.ttft90, b.ttft90}, {a.tpot50, b.tpot50}, {a.tpot90, b.tpot90}} {
			if off := float64(pair[1])/float64(pair[0]) - 1; math.Abs(off) > 0.1 {
				t.Errorf("%s: %v foretold, %v is true", loads[n].Name, pair[1], pair[0])
			}
		}
	}
}

func TestReplayFindsWhatWasAskedBefore(t *testing.T) {
	tokens := make([]uint32, 300)
	asks := []ask{{Tokens: tokens, Output: 2}, {At: time.Second, Tokens: tokens, Output: 2}, {At: 2 * time.Second, Tokens: tokens[:100], Output: 1}}
	p := known()
	p.PrefillKV = 0
	got, err := replay(p, asks)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []seen{{Prompt: 300, Output: 2}, {Prompt: 300, Cached: 256, Output: 2}, {Prompt: 100, Output: 1}} {
		want.TTFT = p.Overhead + p.Intake + time.Duration(want.Prompt)*p.IntakeToken + time.Duration(want.Prompt-want.Cached)*p.PrefillToken
		if want.Output == 2 {
			want.TPOT = p.Decode + p.DecodeSeq + 300*p.DecodeKV
		}
		if got[n] != want {
			t.Errorf("request %d: %+v, want %+v", n, got[n], want)
		}
	}
}

func TestStreamIsRead(t *testing.T) {
	const stream = `data: {"model":"tiny-1","choices":[{"delta":{"role":"assistant","content":""}}]}

data: {"model":"tiny-1","choices":[{"delta":{"content":"a"}}]}

data: {"model":"tiny-1","choices":[{"delta":{"content":"b"},"finish_reason":"length"}]}

data: {"model":"tiny-1","choices":[],"usage":{"prompt_tokens":32,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":16}}}

data: [DONE]
`
	var s seen
	if err := s.read(strings.NewReader(stream), time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if s.Prompt != 32 || s.Cached != 16 || s.Output != 2 || s.answer != "ab" || s.TTFT < time.Second {
		t.Errorf("%+v", s)
	}
	for _, broken := range []string{"data: {\n", "data: [DONE]\n", `data: {"choices":[]}`} {
		if err := new(seen).read(strings.NewReader(broken), time.Now()); err == nil {
			t.Errorf("%q: no error", broken)
		}
	}
}

func TestArrivalsAreAsManyAsTheRate(t *testing.T) {
	for _, rising := range []bool{false, true} {
		all := poisson(rand.New(rand.NewPCG(1, 2)), 200, time.Minute, rising, func() ask { return ask{} })
		want := 12_000
		if rising {
			want /= 2
		}
		if n := len(all); n < want*97/100 || n > want*103/100 {
			t.Errorf("rising %v: %d arrivals, want about %d", rising, n, want)
		}
	}
}

func TestTableHasBothFigures(t *testing.T) {
	r := newRow(&outcome{Load: "shared", Others: 0.1, Measured: []seen{{TTFT: 20 * time.Millisecond, TPOT: 4 * time.Millisecond, Prompt: 100, Cached: 50, Output: 2}}},
		[]seen{{TTFT: 25 * time.Millisecond, TPOT: 3 * time.Millisecond, Prompt: 100, Cached: 40, Output: 2}})
	var b strings.Builder
	p := known()
	if err := print(&b, &p, []row{r}); err != nil {
		t.Fatal(err)
	}
	for _, want := range append(r.cells(), "20.0 ms", "25.0 ms", "+25 %", "-25 %", "50.0 %", "40.0 %", "10 % !", "prefill KV") {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if len(r.cells()) != len(columns) {
		t.Errorf("%d cells under %d columns", len(r.cells()), len(columns))
	}
}

func TestGuessesAreHeldAgainstTheTruth(t *testing.T) {
	turns := []turn{{seen{ID: "a", Prompt: 1000, Cached: 500}, 0}, {seen{ID: "b", Prompt: 1000, Cached: 0}, 1}}
	decide := func(id string, hits, fresh int32) record.Decision {
		return record.Decision{RequestID: id, Verdict: record.Picked, Instance: "x", Prompt: 900, BlockTokens: 50, Candidates: []record.Candidate{{Instance: "y", Hits: 7}, {Instance: "x", Hits: hits, Fresh: fresh}}}
	}
	held := decide("a", 1, 1)
	held.Verdict = record.Full
	guesses, err := match(turns, []record.Decision{decide("b", 4, 700), decide("a", 11, 400), held})
	if err != nil {
		t.Fatal(err)
	}
	got := precisionOf(guesses)
	want := precision{requests: 2, prompt: 2000, guessed: 1800, cached: 500, indexed: 750, taken: 700, bias: 0.125, skew: 0.5 * (550.0/900 - 0.5 + 200.0/900), within: 0.5}
	if math.Abs(got.skew-want.skew) < 1e-9 {
		got.skew = want.skew
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, err := match(turns, nil); err == nil {
		t.Error("a request without a decision is no error")
	}
}

func TestTicksAreThoseOfTheGroup(t *testing.T) {
	const stat = "4711 (VLLM::Engine (x)) R 1 4700 4700 0 -1 0 0 0 0 0 250 50 0 0 20 0"
	if got := ticksOf(stat, 4700); got != 300 {
		t.Errorf("%d ticks, want 300", got)
	}
	if got := ticksOf(stat, 1); got != 0 {
		t.Errorf("%d ticks of another group, want none", got)
	}
	if got := ticksOf("", 1); got != 0 {
		t.Errorf("%d ticks of nothing", got)
	}
	u, err := usageOf(-1)
	if err != nil || u.all <= 0 || u.busy > u.all {
		t.Errorf("%+v, %v", u, err)
	}
}

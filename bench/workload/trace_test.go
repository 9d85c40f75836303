package workload

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// stats are what is published of a trace's lengths.
type stats struct{ mean, p50, p90, p99 int }

func statsOf(lengths []int) stats {
	slices.Sort(lengths)
	sum := 0
	for _, n := range lengths {
		sum += n
	}
	at := func(q float64) int { return lengths[int(q*float64(len(lengths)-1)+0.5)] }
	return stats{(sum + len(lengths)/2) / len(lengths), at(.5), at(.9), at(.99)}
}

// near reports whether each figure is within a share of the other's.
func (s stats) near(want stats, share float64) bool {
	ok := func(a, b int) bool { d := float64(a - b); return d*d <= share*share*float64(b)*float64(b) }
	return ok(s.mean, want.mean) && ok(s.p50, want.p50) && ok(s.p90, want.p90) && ok(s.p99, want.p99)
}

func all(s Stream) []*Request {
	var list []*Request
	for r := s(); r != nil; r = s() {
		list = append(list, r)
	}
	return list
}

func run(t *testing.T, name string, p Params) []*Request {
	t.Helper()
	w, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return all(w.Open(p))
}

func TestMooncakeIsAsPublished(t *testing.T) {
	list := run(t, "W4", Params{Rate: 1})
	var prompts, outputs []int
	blocks, hits := 0, 0
	seen := make(map[Span]bool)
	for _, r := range list {
		prompts, outputs = append(prompts, r.Tokens), append(outputs, r.Output)
		for _, s := range r.Prompt {
			blocks++
			if seen[s] {
				hits++
			}
			seen[s] = true
		}
	}
	if len(list) != 12031 || list[len(list)-1].At.Round(time.Second) != 3537*time.Second {
		t.Errorf("%d requests in %v, want 12031 in 3537s", len(list), list[len(list)-1].At)
	}
	if got, want := statsOf(prompts), (stats{12035, 6909, 27367, 85399}); !got.near(want, 0.002) {
		t.Errorf("prompts: %+v, want %+v", got, want)
	}
	outs := statsOf(outputs)
	if want := (stats{343, 350, outs.p90, 1115}); !outs.near(want, 0.005) {
		t.Errorf("outputs: %+v, want %+v", outs, want)
	}
	if share := float64(hits) / float64(blocks); share < 0.361 || share > 0.371 {
		t.Errorf("%.1f %% of the blocks were seen before, want 36.6 %%", 100*share)
	}
}

func TestAzureIsAsPublished(t *testing.T) {
	list := run(t, "azure", Params{Rate: 1})
	last := list[len(list)-1].At
	if len(list) != 19366 || last.Round(time.Second) != 3502*time.Second {
		t.Errorf("%d requests in %v, want 19366 in 3502s", len(list), last)
	}
	if first := list[0]; first.Tokens != 374 || first.Output != 44 || first.At != 0 {
		t.Errorf("the first is %+v", first)
	}
}

func TestSpeedUpAndDuration(t *testing.T) {
	slow, fast := run(t, "w4", Params{Rate: 1}), run(t, "w4", Params{Rate: 2})
	if n := len(slow) - 1; fast[n].At != slow[n].At/2 {
		t.Errorf("at %v and %v, want half", slow[n].At, fast[n].At)
	}
	cut := run(t, "w4", Params{Rate: 2, Duration: time.Minute})
	if n := len(cut); n == 0 || cut[n-1].At >= time.Minute || fast[n].At < time.Minute {
		t.Errorf("%d requests in a minute", n)
	}
}

func TestTraceErrors(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := FromTrace("x", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	f("", "EOF")
	f("TIMESTAMP,ContextTokens,GeneratedTokens\n", "no request")
	f("1,2\n", "line 1: 2 columns, want TIMESTAMP")
	f("yesterday,1,2\n", "line 1: parsing time")
	f("2023-11-16 18:15:46.68,1,x\n", "line 1:")
	f("2023-11-16 18:15:46.68,1,2\n2023-11-16 18:15:45.68,1,2\n", "line 2: a time of -1 s is out of range")
	f(`{"timestamp": 5, "input_length": -1}`, "line 1: lengths of -1 and 0 tokens are out of range")
	f(`{"timestamp": "x"}`, "line 1: json")
	f("{\"timestamp\": 5}\n{\"timestamp\": 4}", "line 2: is earlier than the line before it")
	f("{"+strings.Repeat(" ", mostLine+1), "too long")
}

func FuzzTrace(f *testing.F) {
	f.Add([]byte("2023-11-16 18:15:46.6805900,374,44\r\n"))
	f.Add([]byte(`{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}`))
	f.Add(azureFile[:300])
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := FromTrace("fuzz", bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, r := range all(w.Open(Params{Rate: 1})) {
			if r.Tokens < 1 || r.Output < 1 || r.At < 0 {
				t.Fatalf("a request of %d and %d tokens at %v", r.Tokens, r.Output, r.At)
			}
		}
	})
}

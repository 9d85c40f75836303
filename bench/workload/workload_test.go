package workload

import (
	"math"
	"slices"
	"testing"
	"time"

	"penstock/bench/model"
)

// follow answers every request after a second, and returns all in the order of
// arrival.
func follow(s Stream) []*Request {
	list := all(s)
	for i := 0; i < len(list); i++ {
		if then := list[i].Then; then != nil {
			if r := then(list[i].At + time.Second); r != nil {
				list = append(list, r)
			}
		}
	}
	return list
}

func TestEveryWorkload(t *testing.T) {
	names := make(map[string]bool)
	for _, w := range All() {
		if names[w.Name] || len(w.Rates) == 0 || w.Instances < 1 || w.Unit == "" || !slices.IsSorted(w.Rates) {
			t.Errorf("%s is there twice, or lacks something", w.Name)
		}
		names[w.Name] = true
		longest := math.MaxInt
		for _, name := range w.Profiles {
			p, err := model.Named(name)
			if err != nil {
				t.Fatal(err)
			}
			longest = min(longest, p.MaxModelLen)
		}
		p := Params{Rate: w.Rates[0], Seed: 3}
		list, again := follow(w.Open(p)), follow(w.Open(p))
		if len(list) != len(again) {
			t.Fatalf("%s: %d requests, then %d", w.Name, len(list), len(again))
		}
		var last time.Duration
		for i, r := range list {
			if r.Output < 1 || r.Tokens < 1 || r.Tokens+r.Output > longest || r.MaxTokens == 0 || r.Answer == 0 || r.Key >= max(w.Keys, 1) {
				t.Fatalf("%s: request %d of %d + %d tokens: %+v", w.Name, i, r.Tokens, r.Output, r)
			}
			if a := again[i]; a.At != r.At || !slices.Equal(a.Prompt, r.Prompt) || a.Output != r.Output || a.Answer != r.Answer {
				t.Fatalf("%s: request %d differs in a second run of the same seed", w.Name, i)
			}
			if !w.Closed && !r.Stage && r.At < last {
				t.Fatalf("%s: request %d comes before the one ahead of it", w.Name, i)
			}
			last = r.At
		}
		if total := w.Total(p); math.Abs(float64(len(list)-total)) > 0.25*float64(total) {
			t.Errorf("%s: %d requests, foreseen were %d", w.Name, len(list), total)
		}
		p.Seed++
		if other := follow(w.Open(p)); w.Name != "w4" && w.Name != "azure" && slices.EqualFunc(other, list, func(a, b *Request) bool { return a.At == b.At }) {
			t.Errorf("%s: another seed gives the same arrivals", w.Name)
		}
	}
}

func TestNames(t *testing.T) {
	if w, err := Named("W7-OnOff"); err != nil || w.Name != "w7-onoff" {
		t.Errorf("got %v, %v", w, err)
	}
	if _, err := Named("w99"); err == nil {
		t.Error("found what is not there")
	}
}

func TestSharedPromptsAsPublished(t *testing.T) {
	list := run(t, "w1", Params{Rate: 30, Seed: 1})
	prompts, systems := make(map[uint64]bool), make(map[uint64]bool)
	stages, warm := 0, 0
	for _, r := range list {
		systems[r.Prompt[0].Text], prompts[r.Prompt[1].Text] = true, true
		if r.Tokens != 7200 || r.Output != 1000 {
			t.Fatalf("%d and %d tokens, want 7200 and 1000", r.Tokens, r.Output)
		}
		if r.Warm {
			warm++
		}
		if r.Stage {
			stages++
		}
	}
	if len(systems) != 150 || len(prompts) != 750 || stages != 1 || warm < 650 || warm > 850 {
		t.Errorf("%d groups, %d prompts, %d stages, %d to warm up", len(systems), len(prompts), stages, warm)
	}
	tokens := 150*6000 + 750*1200
	if share := float64(tokens) / (8 * 307_328); share < 0.725 || share > 0.735 {
		t.Errorf("%.1f %% of the KV cache, want 73 %%", 100*share)
	}
}

func TestChatsAreShareGPTs(t *testing.T) {
	list := run(t, "w12", Params{Rate: 100, Seed: 5})
	var in, out []int
	for _, r := range list {
		in, out = append(in, r.Tokens), append(out, r.Output)
	}
	if a, b := statsOf(in), statsOf(out); a.mean < 209 || a.mean > 231 || b.mean < 181 || b.mean > 199 || a.p50 > a.mean*3/4 || b.p50 > b.mean*3/4 {
		t.Errorf("prompts %+v, answers %+v, want means of 220 and 190, far above the median", a, b)
	}
}

func TestConversations(t *testing.T) {
	list := follow(multiTurn(5)(Params{Rate: 2, Seed: 1}))
	first := 0
	for _, r := range list {
		if len(r.Prompt) == 2 {
			first++
		} else if len(r.Prompt)%2 != 0 {
			t.Fatalf("%d spans, want the system's and then a pair for each turn but the last", len(r.Prompt))
		}
	}
	if first != 5 {
		t.Errorf("%d conversations, want 5", first)
	}
	if per := len(list) / first; per < 8 || per > 24 {
		t.Errorf("%d turns of each, want 8 and more", per)
	}
}

func TestTenants(t *testing.T) {
	f := func(name string, want ...int) {
		t.Helper()
		got := make([]int, len(want))
		for _, r := range run(t, name, Params{Rate: 1, Seed: 2}) {
			got[r.Key]++
		}
		for key := range want {
			if d := float64(got[key] - want[key]); math.Abs(d) > 5*math.Sqrt(float64(want[key])) {
				t.Errorf("%s: client %d has %d requests, want about %d", name, key, got[key], want[key])
			}
		}
	}
	f("w7-overload", 540, 1080)
	f("w7-proportional", 150, 300, 900)
	f("w7-onoff", 150, 1200)
	f("w7-shortlong", 2880, 540)
}

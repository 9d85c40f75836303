package workload

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
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
			t.Errorf("%.80q: got %v, want %q", text, err, want)
		}
	}
	f("", "no request in it: need Mooncake's JSON lines or Azure's CSV")
	f(" \n\n", "no request in it")
	f("\ufeff", "no request in it")
	f(columns+"\n", "no request in it")
	f("1,2\n", "line 1: 2 columns, want TIMESTAMP")
	f("yesterday,1,2\n", `line 1: TIMESTAMP: "yesterday" is no time such as 2023-`)
	f("2023-11-16 18:15:46.68,1,x\n", `line 1: GeneratedTokens: "x" is no count`)
	f("2023-11-16 18:15:46.68,\x1b[2J,2\n", `line 1: ContextTokens: "\x1b[2J" is no count`)
	f("2023-11-16 18:15:46.68,1,2\n2023-11-16 18:15:45.68,1,2\n", "line 2: a time of -1 s is out of range")
	f(columns+"\n2023-11-16 18:15:46.68,1,2\n"+columns, "line 3: TIMESTAMP: ")
	f(`{"timestamp": 5, "input_length": -1}`, "line 1: lengths of -1 and 0 tokens are out of range")
	f(`{"timestamp": "x"}`, "line 1: json")
	f("{\"timestamp\": 5}\n{\"timestamp\": 4}", "line 2: is earlier than the line before it")
	f("{\"timestamp\": 5}\n{"+strings.Repeat(" ", mostLine+1), "line 2: longer than 1048576 bytes")
	f("\x28\xb5\x2f\xfd", "after line 0: unexpected EOF")
}

// What stands around the lines does not hide what they are.
func TestTraceIsToldByItsFirstLine(t *testing.T) {
	f := func(text string, want ...record) {
		t.Helper()
		got, err := readTrace(strings.NewReader(text))
		if err != nil || !slices.Equal(got.records, want) {
			t.Errorf("%q: got %+v, %v, want %+v", text, got.records, err, want)
		}
	}
	json := record{at: time.Second, prompt: 7, output: 1}
	for _, before := range []string{"", "\ufeff", " ", "\t", "\r\n", "\n\n", "\ufeff \n"} {
		f(before+`{"timestamp": 1000, "input_length": 7}`+"\r\n\n", json)
		f(before+columns+"\r\n2023-11-16 18:15:46.5,7,2\r\n2023-11-16 18:15:47,8,3\r\n", record{prompt: 7, output: 2}, record{at: time.Second / 2, prompt: 8, output: 3})
	}
	f(columns+"\n2024-05-10 00:00:00.009930+00:00,374,44\n2024-05-10 00:00:01+00:00,1,2\n", record{prompt: 374, output: 44}, record{at: 990070 * time.Microsecond, prompt: 1, output: 2})
}

// A few bytes of zstd hold ids without end.
func TestTraceKeepsNoMoreBlocksThanPrompts(t *testing.T) {
	const lines, tokens = 4, traceBlock + 1
	line := fmt.Sprintf(`{"timestamp": 0, "input_length": %d, "output_length": 1, "hash_ids": [%s0]}`+"\n", tokens, strings.Repeat("0,", 500_000))
	var file bytes.Buffer
	z, err := zstd.NewWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	for range lines {
		if _, err := z.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := readTrace(&file)
	if err != nil || len(got.blocks) != 2*lines {
		t.Errorf("kept %d blocks, %v, want 2 for each of %d lines", len(got.blocks), err, lines)
	}
	for _, r := range all(replay(got, Params{Rate: 1})) {
		if r.Tokens != tokens || len(r.Prompt) != 2 {
			t.Errorf("a prompt of %d tokens: %v", r.Tokens, r.Prompt)
		}
	}
}

func TestTraceIsBoundedInAll(t *testing.T) {
	full := trace{blocks: make([]int64, mostBlocks)}
	if err := full.add(record{blocks: 1}, []int64{1}, nil); err == nil || err.Error() != "more than 16777216 hash_ids in all" {
		t.Errorf("one more block than may be: %v", err)
	}
}

// The longest trace at the least rate still ends.
func TestSlowestTraceHasATime(t *testing.T) {
	w, err := FromTrace("x", strings.NewReader(fmt.Sprintf(`{"timestamp": %d}`, mostAt*1000)))
	if err != nil {
		t.Fatal(err)
	}
	if r := w.Open(Params{Rate: LeastRate})(); r.At != 1000*mostAt*time.Second {
		t.Errorf("it comes at %v", r.At)
	}
	for _, rate := range []float64{0, 1e-9, -1, math.NaN(), math.Inf(1), 2e6} {
		if err := CheckRate(rate); err == nil || !strings.Contains(err.Error(), "need 0.001 to 1000000") {
			t.Errorf("%v: %v", rate, err)
		}
	}
}

func FuzzTrace(f *testing.F) {
	f.Add([]byte("2023-11-16 18:15:46.6805900,374,44\r\n"))
	f.Add([]byte(`{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2]}`))
	f.Add([]byte("\ufeff \n" + columns + "\n2024-05-10 00:00:00.009930+00:00,374,44\n"))
	f.Add(azureFile[:300])
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := FromTrace("fuzz", bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, r := range all(w.Open(Params{Rate: 1})) {
			if r.Tokens < 1 || len(r.Prompt) > 1+r.Tokens/traceBlock || r.Output < 1 || r.At < 0 {
				t.Fatalf("a request of %d and %d tokens at %v", r.Tokens, r.Output, r.At)
			}
		}
	})
}

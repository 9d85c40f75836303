package engine

import (
	"os"
	"path/filepath"
	"testing"
)

// goldens are pages of engine versions and what they say. The real one was
// taken from a running vLLM 0.32 on a CPU, the others follow the metric tables
// of each version.
var goldens = map[string]Reading{
	"vllm-0.2.7.metrics": { // swapped but no counters, integers without a point
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage,
		Running: 17, Waiting: 3, KVUsage: 0.6251,
	},
	"vllm-0.3.3.metrics": { // swapped ones wait; capacity is 7449 blocks of 16
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity,
		Running: 30, Waiting: 7, KVUsage: 0.9312, KVCapacityTokens: 119184,
		PromptTokens: 1 << 20, GenerationTokens: 1 << 19,
	},
	"vllm-0.6.6.metrics": { // a hit rate, but none of the counters
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity,
		Running: 64, KVUsage: 0.4118, KVCapacityTokens: 438736,
		PromptTokens: 922337200, GenerationTokens: 61000000,
	},
	"vllm-0.8.5.metrics": { // two ranks; prefix counters in blocks
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity | HasPrefix,
		Running: 21, Waiting: 4, KVUsage: 0.875, KVCapacityTokens: 944000,
		PromptTokens: 64000, GenerationTokens: 32000, PrefixQueries: 4000, PrefixHits: 1000,
	},
	"vllm-0.9.2.metrics": { // old and new names on one page
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity | HasPrefix,
		Running: 3, KVUsage: 0.0102, KVCapacityTokens: 387360,
		PromptTokens: 5001, GenerationTokens: 777, PrefixQueries: 5001, PrefixHits: 1201,
	},
	"vllm-0.32-lean.metrics": { // filtered, two ranks; the size in tokens beats blocks × block size
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity | HasPrefix | HasConcurrency,
		Running: 13, Waiting: 1, KVUsage: 0.024664224664224688, KVCapacityTokens: 1048320, MaxConcurrency: 256,
		PromptTokens: 900, GenerationTokens: 22000, PrefixQueries: 900, PrefixHits: 128,
	},
	"real-vllm-0.32.metrics": {
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity | HasPrefix | HasConcurrency,
		Running: 8, KVUsage: 0.024664224664224688, KVCapacityTokens: 524288, MaxConcurrency: 128,
		PromptTokens: 807, GenerationTokens: 21695, PrefixQueries: 807,
	},
	"sglang-fresh.metrics": { // before the first request it has no counters
		Kind: SGLang, Has: HasRunning | HasWaiting | HasKVUsage,
	},
	"sglang.metrics": { // two ranks; hits by source
		Kind: SGLang, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity | HasPrefix,
		Running: 41, Waiting: 2, KVUsage: 0.41, KVCapacityTokens: 880000,
		PromptTokens: 8128902, GenerationTokens: 7557572, PrefixQueries: 8128902, PrefixHits: 1520500,
	},
}

func TestGoldenPages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.metrics")
	if err != nil || len(files) != len(goldens) {
		t.Fatalf("%d pages in testdata, %d readings expected (%v)", len(files), len(goldens), err)
	}
	f := func(name string, want Reading) {
		t.Helper()
		page := golden(t, name)
		if got := detected(page); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
		// Nothing may hang on the last newline.
		if got := detected(page[:len(page)-1]); got != want {
			t.Errorf("%s without its last newline:\n got %+v\nwant %+v", name, got, want)
		}
	}
	for name, want := range goldens {
		f(name, want)
	}
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// detected is what a client that does not know the kind makes of a page.
func detected(page []byte) Reading {
	c := Client{auto: true}
	var r Reading
	if c.match(page) {
		c.tally.fill(&r)
		r.Kind = c.profile.kind
	}
	return r
}

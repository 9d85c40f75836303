package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
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
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity | HasPrefix | HasConcurrency | HasSleep,
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
	"vllm-0.11-asleep.metrics": { // one rank asleep is enough
		Kind: VLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasSleep,
		Waiting: 2, Asleep: true,
	},
	"sglang-0.5-busy.metrics": { // grammars wait too; the counters that move beat those of ended requests
		Kind: SGLang, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity | HasPrefix,
		Running: 12, Waiting: 5, KVUsage: 0.25, KVCapacityTokens: 400000,
		PromptTokens: 100000, GenerationTokens: 5120, PrefixQueries: 90000, PrefixHits: 27000,
	},
	"lmdeploy-0.16.metrics": { // both waitings
		Kind: LMDeploy, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasPrefix,
		Running: 16, Waiting: 7, KVUsage: 0.375,
		PromptTokens: 120000, GenerationTokens: 60000, PrefixQueries: 120000, PrefixHits: 60000,
	},
	"tgi-3.3.7.metrics": { // the usage is a ratio of ours
		Kind: TGI, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity,
		Running: 8, Waiting: 5, KVUsage: 0.25, KVCapacityTokens: 64000,
		PromptTokens: 219000, GenerationTokens: 41600,
	},
	"trtllm-1.2.metrics": { // prefix hits in blocks: reused of reused and missed
		Kind: TRTLLM, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens | HasCapacity | HasPrefix | HasConcurrency,
		Running: 31, Waiting: 1, KVUsage: 0.62, KVCapacityTokens: 640000, Limit: 256,
		PromptTokens: 150000, GenerationTokens: 80000, PrefixQueries: 4000, PrefixHits: 1000,
	},
	"triton-trtllm.metrics": { // one family, told apart by a label
		Kind: Triton, Has: HasRunning | HasWaiting | HasKVUsage | HasCapacity | HasConcurrency,
		Running: 24, Waiting: 6, KVUsage: 0.5, KVCapacityTokens: 399296, Limit: 512,
	},
	"triton-trtllm-23.10.metrics": { // without the fraction: used of max
		Kind: Triton, Has: HasRunning | HasWaiting | HasKVUsage | HasCapacity | HasConcurrency,
		Running: 24, Waiting: 6, KVUsage: 3120. / 6239, KVCapacityTokens: 399296, Limit: 512,
	},
	"llamacpp-b3000.metrics": {
		Kind: LlamaCPP, Has: HasRunning | HasWaiting | HasKVUsage | HasTokens,
		Running: 2, Waiting: 1, KVUsage: 0.125, PromptTokens: 1021, GenerationTokens: 640,
	},
	"llamacpp-b7000.metrics": { // no word of the KV cache any more
		Kind: LlamaCPP, Has: HasRunning | HasWaiting | HasTokens,
		Running: 4, Waiting: 46, PromptTokens: 3120, GenerationTokens: 17029,
	},
	"bladellm.json": { // its own names; with vLLM's it would be taken for that, which reads the same
		Kind: BladeLLM, Has: HasRunning | HasWaiting | HasKVUsage,
		Running: 14, Waiting: 2, KVUsage: 0.25,
	},
}

// goldenAsides are documents that stand beside a page: what they say of the
// load, and of the version.
var goldenAsides = map[string]struct {
	kind    Kind
	version string
	want    Reading
}{
	"sglang-loads.json": {SGLang, "", Reading{ // two ranks; the grammars wait too
		Has:     HasRunning | HasWaiting | HasKVUsage | HasCapacity | HasConcurrency,
		Running: 22, Waiting: 5, KVUsage: 0.25, KVCapacityTokens: 800000, Limit: 256,
	}},
	"llamacpp-props.json": {LlamaCPP, "b7012-1a2b3c4d", Reading{Has: HasConcurrency, Limit: 4}},
	"tgi-info.json":       {TGI, "3.3.7", Reading{}},
}

func TestGoldenAsides(t *testing.T) {
	for name, g := range goldenAsides {
		p := profileOf(g.kind)
		var said tally
		var text string
		if err := readJSON(golden(t, name), slices.Concat(p.loadsFrom, p.aboutFrom), &said, &text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got Reading
		if said.fill(&got); got != g.want || g.version != "" && text != g.version {
			t.Errorf("%s:\n got %+v, version %q\nwant %+v, version %q", name, got, text, g.want, g.version)
		}
	}
}

func TestGoldenPages(t *testing.T) {
	files, err := filepath.Glob("testdata/*.*")
	if want := len(goldens) + len(goldenAsides); err != nil || len(files) != want {
		t.Fatalf("%d files in testdata, %d readings expected (%v)", len(files), want, err)
	}
	f := func(name string, want Reading) {
		t.Helper()
		page := golden(t, name)
		if got := detected(page); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
		// Nothing may hang on the last newline.
		if got := detected(bytes.TrimRight(page, "\n")); got != want {
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
	c := Client{auto: true, table: profiles}
	var r Reading
	if c.match(page) {
		c.tally.fill(&r)
		r.Kind = c.profile.kind
	}
	return r
}

package model

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Profile is one model on one kind of GPU: its speeds and its sizes.
//
// A prompt of n tokens, c of them cached, gets its first token from an idle
// engine after Overhead + (n-c)·PrefillToken. A step with decoding sequences
// takes Decode + DecodeSeq for each of them + DecodeKV for each token of their
// contexts, and what the prefill in it takes comes on top.
type Profile struct {
	Name string

	Overhead     time.Duration // of a request before it may be scheduled: HTTP, tokenizing; costs others nothing
	Intake       time.Duration // before that, one request after the other: an API server has one event loop
	IntakeToken  time.Duration // likewise, for each prompt token, cached or not: tokenizing
	PrefillToken time.Duration // for each prompt token computed
	PrefillKV    time.Duration // for each of them and each 1,024 tokens before it that it attends to
	Decode       time.Duration // of a step that decodes anything: the weights are read once
	DecodeSeq    time.Duration // for each sequence that decodes
	DecodeKV     time.Duration // for each token of context that is read for them

	BlockSize        int // tokens in a KV block
	KVBlocks         int
	MaxNumSeqs       int // sequences in the batch, at most
	MaxBatchedTokens int // tokens computed in one step, at most
	MaxModelLen      int // prompt and output of one sequence, in tokens
}

// profiles holds the mid-points of the ranges that llm-d-inference-sim gives in
// docs/latency-profiles.md. DecodeKV is the KV bytes of a token over the
// GPUs' memory bandwidth, KVBlocks what memory the weights leave. The A10's
// constants are estimated in the same way.
var profiles = []Profile{
	{
		Name:     "8b-h100",
		Overhead: 30 * time.Millisecond, PrefillToken: 200 * time.Microsecond,
		Decode: 10 * time.Millisecond, DecodeSeq: 10 * time.Microsecond, DecodeKV: 39,
		BlockSize: 16, KVBlocks: 27_000, MaxNumSeqs: 256, MaxBatchedTokens: 2048, MaxModelLen: 131_072,
	},
	{
		// Its KV cache is the 307,328 tokens of llm-d's 73-capacity benchmark.
		Name:     "32b-h100x2",
		Overhead: 65 * time.Millisecond, PrefillToken: 400 * time.Microsecond,
		Decode: 20 * time.Millisecond, DecodeSeq: 25 * time.Microsecond, DecodeKV: 39,
		BlockSize: 16, KVBlocks: 19_208, MaxNumSeqs: 256, MaxBatchedTokens: 2048, MaxModelLen: 131_072,
	},
	{
		// The same, with the prefill of its peak: 20,480 tokens/s. What llm-d
		// published of 73-capacity cannot be had with less.
		Name:     "qwen3-32b-h100x2",
		Overhead: 65 * time.Millisecond, PrefillToken: 49 * time.Microsecond,
		Decode: 20 * time.Millisecond, DecodeSeq: 25 * time.Microsecond, DecodeKV: 39,
		BlockSize: 16, KVBlocks: 19_208, MaxNumSeqs: 256, MaxBatchedTokens: 2048, MaxModelLen: 131_072,
	},
	{
		Name:     "70b-h100x4",
		Overhead: 90 * time.Millisecond, PrefillToken: 750 * time.Microsecond,
		Decode: 25 * time.Millisecond, DecodeSeq: 35 * time.Microsecond, DecodeKV: 24,
		BlockSize: 16, KVBlocks: 28_000, MaxNumSeqs: 256, MaxBatchedTokens: 2048, MaxModelLen: 131_072,
	},
	{
		Name:     "7b-a10",
		Overhead: 40 * time.Millisecond, PrefillToken: 350 * time.Microsecond,
		Decode: 26 * time.Millisecond, DecodeSeq: 50 * time.Microsecond, DecodeKV: 870,
		BlockSize: 16, KVBlocks: 880, MaxNumSeqs: 256, MaxBatchedTokens: 2048, MaxModelLen: 4096,
	},
	{
		// FP8 weights, as KubeAI's benchmark has them; estimated like the A10's.
		Name:     "8b-l4",
		Overhead: 35 * time.Millisecond, PrefillToken: 300 * time.Microsecond,
		Decode: 30 * time.Millisecond, DecodeSeq: 30 * time.Microsecond, DecodeKV: 430,
		BlockSize: 16, KVBlocks: 5400, MaxNumSeqs: 256, MaxBatchedTokens: 2048, MaxModelLen: 16_384,
	},
	{
		// It answers at once: for measuring what is in front of it.
		Name:      "instant",
		BlockSize: 16, KVBlocks: 65_536, MaxNumSeqs: 4096, MaxBatchedTokens: 1 << 20, MaxModelLen: 1 << 20,
	},
}

// Profiles lists the names that Named knows.
func Profiles() []string {
	names := make([]string, len(profiles))
	for i, p := range profiles {
		names[i] = p.Name
	}
	return names
}

// Named returns a known profile.
func Named(name string) (Profile, error) {
	i := slices.IndexFunc(profiles, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, fmt.Errorf("unknown profile %q: want one of %s", name, strings.Join(Profiles(), ", "))
	}
	return profiles[i], nil
}

// mostTokens bounds every count of a profile, so that sums stay far from an
// int's end.
const mostTokens = 1 << 30

// Validate names the first value that makes no sense.
func (p *Profile) Validate() error {
	for _, v := range []struct {
		name string
		n    int
	}{
		{"block size", p.BlockSize}, {"kv blocks", p.KVBlocks}, {"max num seqs", p.MaxNumSeqs},
		{"max batched tokens", p.MaxBatchedTokens}, {"max model len", p.MaxModelLen},
	} {
		if v.n < 1 || v.n > mostTokens {
			return fmt.Errorf("%s: %d is not between 1 and %d", v.name, v.n, mostTokens)
		}
	}
	for _, v := range []struct {
		name string
		d    time.Duration
	}{
		{"overhead", p.Overhead}, {"intake", p.Intake}, {"intake token", p.IntakeToken}, {"prefill token", p.PrefillToken}, {"prefill kv", p.PrefillKV}, {"decode", p.Decode},
		{"decode seq", p.DecodeSeq}, {"decode kv", p.DecodeKV},
	} {
		if v.d < 0 || v.d > time.Hour {
			return fmt.Errorf("%s: %v is not between 0 and 1h", v.name, v.d)
		}
	}
	if p.MaxModelLen > p.KVTokens() {
		return fmt.Errorf("max model len: %d tokens do not fit into %d KV blocks of %d tokens", p.MaxModelLen, p.KVBlocks, p.BlockSize)
	}
	return nil
}

// KVTokens is how many tokens the KV cache holds.
func (p *Profile) KVTokens() int { return p.KVBlocks * p.BlockSize }

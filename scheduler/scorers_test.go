package scheduler

import (
	"testing"

	"penstock/scheduler/engine"
)

// told is what a candidate is made of, for a formula to weigh.
type told struct {
	requests, waiting, tokens int64
	kv                        float64
	blocks, size              int32 // blocks are of ten
	fresh, kept               int64
}

// candidatesOf are candidates that are as told, and a query of ten blocks of 100
// tokens.
func candidatesOf(t testing.TB, all []told) (*Query, []candidate) {
	s := fleetOf(t, len(all), "random")
	q := ask("m")
	q.PromptTokens, q.BlockTokens = 1000, 100
	for n := range 10 {
		q.Prefix = append(q.Prefix, uint64(n+1))
	}
	var c []candidate
	for n, i := range s.Instances() {
		a := all[n]
		i.says(int(a.requests), int(a.waiting), func(r *engine.Reading) { r.KVUsage = a.kv })
		i.row.work.fresh.Store(a.fresh)
		i.row.work.kept.Store(a.kept)
		c = append(c, candidate{
			inst: i, blocks: a.blocks, cached: a.size,
			load: load{requests: a.requests, waiting: a.waiting, tokens: a.tokens},
		})
	}
	return q, c
}

// seconds18 is a backlog of so many tokens that it takes 18 s.
func seconds18(t *testing.T) int64 {
	_, c := candidatesOf(t, []told{{}})
	return int64(18 / c[0].inst.speed.Rates().Token)
}

func TestOthersChooseAsTheyPublish(t *testing.T) {
	full := seconds18(t)
	for _, test := range []struct {
		policy, name string
		want         int
		all          []told
	}{
		{"prefix-cache", "less than half of the prompt: fewest tokens", 1, []told{{tokens: 9, blocks: 4}, {tokens: 1}}},
		{"prefix-cache", "half of it: the longest match", 0, []told{{tokens: 9, blocks: 5}, {tokens: 1}}},
		{"prefix-cache", "of equal matches the fewest tokens", 1, []told{{tokens: 9, blocks: 5}, {tokens: 8, blocks: 5}, {tokens: 1}}},
		{"prefix-cache", "one that waits is passed over for one that does not", 1, []told{{waiting: 3, tokens: 5, blocks: 5}, {tokens: 9, blocks: 5}, {tokens: 1}}},
		{"prefix-cache", "all wait: one up to 1.3 of the mean", 0, []told{{waiting: 3, tokens: 13, blocks: 5}, {tokens: 7}, {tokens: 10}}},
		{"prefix-cache", "all wait and have more: fewest tokens", 1, []told{{waiting: 3, tokens: 14, blocks: 5}, {tokens: 6}, {tokens: 10}}},

		{"llm-d", "3 for the prefix are more than 2 for the queue", 0, []told{{waiting: 9, blocks: 10}, {}}},
		{"llm-d", "2 for the queue are more than 3 for half of the prefix", 1, []told{{waiting: 9, blocks: 5}, {}}},
		{"llm-d", "queues count between the shortest and the longest", 0, []told{{waiting: 4, blocks: 5}, {}, {waiting: 40}}},
		{"llm-d", "2 for the KV cache", 1, []told{{kv: 0.8, blocks: 5}, {}}},
		{"llm-d", "no queue differs: none counts", 0, []told{{waiting: 7, blocks: 1}, {waiting: 7}}},

		{"llm-d-sticky", "stays with four fifths", 0, []told{{fresh: 900, blocks: 8}, {}}},
		{"llm-d-sticky", "does not with less", 1, []told{{fresh: 900, blocks: 7}, {}}},
		{"llm-d-sticky", "of those that have it the least backlog, not the longest match", 1, []told{{fresh: 900, blocks: 10}, {fresh: 800, blocks: 8}, {}}},
		{"llm-d-sticky", "stays within 18 s of the others", 0, []told{{fresh: full + full/2, blocks: 10}, {fresh: full}}},
		{"llm-d-sticky", "leaves beyond them, for the least backlog", 2, []told{{fresh: full + 200, blocks: 10}, {fresh: 150}, {fresh: 100}}},
		{"llm-d-sticky", "stays where all have it", 1, []told{{fresh: full * 3, blocks: 10}, {fresh: full * 2, blocks: 10}}},

		{"smg-cache-aware", "the longest match", 0, []told{{requests: 64, blocks: 4}, {blocks: 1}}},
		{"smg-cache-aware", "three tenths are not enough: the smallest tree", 1, []told{{blocks: 3, size: 10}, {size: 9}}},
		{"smg-cache-aware", "out of balance: fewest requests", 1, []told{{requests: 65, blocks: 10}, {}}},
		{"smg-cache-aware", "64 more are in balance", 0, []told{{requests: 64, blocks: 10}, {}}},
		{"smg-cache-aware", "half as many again are in balance", 0, []told{{requests: 210, blocks: 10}, {requests: 140}}},

		{"dynamo", "what it need not compute counts twice", 0, []told{{kept: 1900, blocks: 10}, {}}},
		{"dynamo", "and no more", 1, []told{{kept: 2100, blocks: 10}, {}}},
		{"dynamo", "what is being computed counts", 1, []told{{fresh: 2100, blocks: 10}, {}}},

		{"loadaware", "a whole match makes up for a mean load more", 0, []told{{requests: 29, blocks: 10}, {requests: 10}}},
		{"loadaware", "but not for more than that", 1, []told{{requests: 31, blocks: 10}, {requests: 10}}},
		{"loadaware", "half a match for half of it", 0, []told{{requests: 16, blocks: 5}, {requests: 10}}},
	} {
		p, ok := policyNamed(test.policy)
		if !ok {
			t.Fatalf("no policy %s", test.policy)
		}
		q, c := candidatesOf(t, test.all)
		for range 20 { // whatever chance says
			q.Rand = next(q.Rand)
			if got, reason := p.choose(q, 0, c); got != test.want {
				t.Errorf("%s: %s: chose %d (%s), want %d", test.policy, test.name, got, reason, test.want)
				break
			}
		}
	}
}

func TestOthersBreakTiesByChance(t *testing.T) {
	for _, name := range []string{"prefix-cache", "llm-d", "llm-d-sticky", "smg-cache-aware", "dynamo", "loadaware", "higress"} {
		p, _ := policyNamed(name)
		q, c := candidatesOf(t, []told{{blocks: 9, kv: 0.5}, {blocks: 9, kv: 0.5}, {blocks: 9, kv: 0.5}})
		var got [3]int
		for range 600 {
			q.Rand = next(q.Rand)
			n, _ := p.choose(q, 0, c)
			got[n]++
		}
		if min(got[0], got[1], got[2]) < 130 {
			t.Errorf("%s: shares %v of 600", name, got)
		}
	}
}

// An instance that says nothing would have the shortest queue and the emptiest
// cache there are.
func TestSilenceDrawsNobody(t *testing.T) {
	for _, name := range []string{"llm-d", "higress"} {
		p, _ := policyNamed(name)
		q, c := candidatesOf(t, []told{{waiting: 2, kv: 0.5}, {kept: 9000}})
		silent := c[1].inst
		silent.said.live.Store(0)
		silent.said.kvSize.Store(10_000)
		silent.row.inFlight.Store(5)
		if got, _ := p.choose(q, 0, c); got != 0 {
			t.Errorf("%s: the silent one, with 5 requests without a first byte and 90 %% of its KV cache in use by ours", name)
		}
	}
}

// Predictions that went wrong are our own: nobody else's policy changes for it.
func TestOthersDoNotDependOnPredictions(t *testing.T) {
	for _, p := range policies {
		if p.outlook && p.name != predictive.name {
			t.Errorf("%s goes by predictions, and would be replaced when they are bad", p.name)
		}
	}
}

// Without a prefix to go by, all of them must still choose.
func TestEveryPolicyChoosesWithoutAPrefix(t *testing.T) {
	for _, p := range policies {
		q, c := candidatesOf(t, []told{{requests: 3}, {requests: 1}})
		q.Prefix, c[0].blocks, c[1].blocks = nil, 0, 0
		if n, reason := p.choose(q, 1, c); n < 0 || n > 1 || reason == "" {
			t.Errorf("%s: chose %d, reason %q", p.name, n, reason)
		}
	}
}

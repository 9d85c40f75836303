package prefix

import (
	"fmt"
	"runtime"
	"sort"
	"testing"
)

// prompt is a text of so many bytes, its own for each id.
func prompt(id, bytes int) []byte {
	text := make([]byte, 0, bytes+32)
	for n := 0; len(text) < bytes; n++ {
		text = fmt.Appendf(text, "%d and then %d, ", id, n)
	}
	return text[:bytes]
}

// long is the prompt that the budgets are for: 220 KB, 880 blocks.
const long = 220 << 10

func BenchmarkChain(b *testing.B) {
	text := prompt(1, long)
	chain := Chain(nil, 1, text, long)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		chain = Chain(chain[:0], 1, text, long)
	}
}

// BenchmarkMatch: caches of 4,800 blocks (W1's), full. Five long prompts take
// turns, so that nobody learns the answers; no slot has a block of them, or all
// have all, or every slot has another part of each.
func BenchmarkMatch(b *testing.B) {
	const turns = 5
	chains := make([][]uint64, turns)
	for i := range chains {
		chains[i] = Chain(nil, uint64(i), prompt(i, long), long)
	}
	blocks := len(chains[0])
	f := func(kind string, n int, part func(slot, turn int) int) {
		b.Run(fmt.Sprintf("%s/%d/index", kind, n), func(b *testing.B) {
			x, slots := filled(b, n)
			for i, s := range slots {
				for j, chain := range chains {
					x.Insert(s, chain[:part(i, j)])
				}
			}
			into, turn := make([]int32, n), 0
			b.ReportAllocs()
			for b.Loop() {
				turn = (turn + 1) % turns
				x.Match(chains[turn], slots, into)
			}
		})
		b.Run(fmt.Sprintf("%s/%d/map", kind, n), func(b *testing.B) {
			caches := make([]map[uint64]struct{}, n)
			for i := range caches {
				c := map[uint64]struct{}{}
				for j, chain := range chains {
					for _, h := range chain[:part(i, j)] {
						c[h] = struct{}{}
					}
				}
				for j := 0; len(c) < w1Blocks; j++ {
					c[uint64(i*w1Blocks+j)*golden] = struct{}{}
				}
				caches[i] = c
			}
			into, turn := make([]int32, n), 0
			b.ReportAllocs()
			for b.Loop() {
				turn = (turn + 1) % turns
				chain := chains[turn]
				for i, c := range caches {
					into[i] = int32(sort.Search(len(chain), func(i int) bool {
						_, has := c[chain[i]]
						return !has
					}))
				}
			}
		})
	}
	for _, n := range []int{16, 64, 256} {
		f("none", n, func(int, int) int { return 0 })
		f("all", n, func(int, int) int { return blocks })
		f("mixed", n, func(slot, turn int) int { return (slot*61 + turn*307 + 7) % blocks })
	}
}

// w1Blocks is what the caches of W1 hold: 307,328 tokens.
const w1Blocks = 4800

// filled has n instances that are full of prompts of their own.
func filled(tb testing.TB, n int) (*Index, []Slot) {
	x, slots := New(4<<20, golden), make([]Slot, n)
	var chain []uint64
	for i := range slots {
		s, err := x.Open(w1Blocks)
		if err != nil {
			tb.Fatal(err)
		}
		for j := 0; x.Len(s) < w1Blocks; j++ {
			chain = Chain(chain[:0], uint64(i<<20+j+1000), prompt(i, 30<<10), long)
			x.Insert(s, chain)
		}
		slots[i] = s
	}
	return x, slots
}

// BenchmarkPrompt is all that a long prompt costs: hash, look up, insert.
func BenchmarkPrompt(b *testing.B) {
	x, slots := filled(b, 16)
	text := prompt(1, long)
	var chain []uint64
	into := make([]int32, len(slots))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		chain = Chain(chain[:0], uint64(n%50), text, long)
		x.Match(chain, slots, into)
		x.Insert(slots[n%16], chain)
	}
}

func BenchmarkInsert(b *testing.B) {
	f := func(name string, prompts, slotBlocks int) {
		b.Run(name, func(b *testing.B) {
			chains := make([][]uint64, prompts)
			for i := range chains {
				chains[i] = Chain(nil, uint64(i), prompt(i, long), long)
			}
			x := New(4<<20, golden)
			s, err := x.Open(slotBlocks)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				x.Insert(s, chains[n%prompts])
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(chains[0])), "ns/block")
		})
	}
	f("again", 1, w1Blocks)
	f("evicting", 50, w1Blocks)
	f("evicting-1M", 1300, 1<<20)
}

// BenchmarkMemory fills a cache of 1 M blocks, which is then as large as it gets.
func BenchmarkMemory(b *testing.B) {
	chain := make([]uint64, 0, 1<<20)
	text := prompt(1, 1<<20)
	for i := 0; len(chain) < 1<<20; i++ {
		chain = Chain(chain, uint64(i), text, 1<<20-len(chain))
	}
	heap := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	measure := func(fill func() any) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				before := heap()
				kept := fill()
				b.ReportMetric((heap()-before)/float64(len(chain)), "bytes/block")
				runtime.KeepAlive(kept)
			}
		}
	}
	b.Run("index", measure(func() any {
		x := New(len(chain), golden)
		s, _ := x.Open(len(chain))
		for rest := chain; len(rest) > 0; rest = rest[1<<12:] {
			x.Insert(s, rest[:1<<12])
		}
		return x
	}))
	b.Run("map", measure(func() any {
		m := map[uint64]*node{}
		for _, h := range chain {
			m[h] = new(node)
		}
		return m
	}))
}

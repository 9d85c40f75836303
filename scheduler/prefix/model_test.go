package prefix

import (
	"math/rand/v2"
	"testing"
)

// model is what a cache is to be, as slowly as can be.
type model struct {
	capacity, limit, inserts int
	blocks                   map[uint64]*modelBlock
}

type modelBlock struct {
	parent uint64
	used   int // by which insert last
	born   int // by which insert; 0: another has used it since
}

func (m *model) insert(chain []uint64) int {
	m.inserts++
	parent := uint64(0)
	for sum(chain) > m.limit {
		chain = chain[:len(chain)-1]
	}
	for _, h := range chain {
		if b := m.blocks[h]; b != nil {
			b.used, b.born = m.inserts, 0
		} else {
			m.blocks[h] = &modelBlock{parent, m.inserts, m.inserts}
		}
		parent = h
	}
	m.trim(m.limit)
	return m.inserts
}

func (m *model) count() (n int) {
	for h := range m.blocks {
		n += size(h)
	}
	return n
}

// trim evicts, of the blocks that no other follows, the one used least lately.
func (m *model) trim(keep int) {
	for m.count() > keep {
		inner := map[uint64]bool{}
		for _, b := range m.blocks {
			inner[b.parent] = true
		}
		victim := uint64(0)
		for h, b := range m.blocks {
			if !inner[h] && (victim == 0 || b.used < m.blocks[victim].used) {
				victim = h
			}
		}
		delete(m.blocks, victim)
	}
}

func (m *model) undo(insert int) {
	for h, b := range m.blocks {
		if b.born == insert {
			delete(m.blocks, h)
		}
	}
}

func (m *model) depth(chain []uint64) int {
	for i, h := range chain {
		if m.blocks[h] == nil {
			return i
		}
	}
	return len(chain)
}

// fork is a chain of so many blocks that leaves a trunk, which it shares with
// others, after `at` blocks.
func fork(trunk, at, branch, blocks int) []uint64 {
	chain := make([]uint64, 0, blocks)
	text := make([]byte, BlockBytes)
	seed := uint64(trunk)
	for i := range blocks {
		if i >= at {
			text[0] = byte(1 + branch)
		}
		chain = append(chain, Chain(nil, seed, text, 1)...) // fine ones, however many
		seed = chain[i]
	}
	return chain
}

// mixed makes some blocks coarse, with fine ones before and behind, as a long
// prompt and its answer have them.
func mixed(chain []uint64) []uint64 {
	for i := range chain {
		if i%8 > 4 {
			chain[i] |= coarseMark
		}
	}
	return chain
}

// undoable is an insert that may be taken back.
type undoable struct {
	added Added
	model *model
	id    int
}

// pair is an index and what it is to be.
type pair struct {
	tb     testing.TB
	x      *Index
	most   int
	slots  []Slot
	models []*model // of each of slots
	done   []undoable
}

// share divides as New and Open say.
func (p *pair) share() {
	asked := 0
	for _, m := range p.models {
		asked += m.capacity
	}
	for _, m := range p.models {
		m.limit = m.capacity
		if asked > p.most {
			m.limit = m.capacity * p.most / asked
		}
		m.trim(m.limit)
	}
}

// do is one operation out of four bytes.
func (p *pair) do(op, which, a, b byte) {
	if len(p.slots) == 0 || op%16 == 15 && len(p.slots) < 5 {
		s, err := p.x.Open(int(a))
		if err != nil {
			p.tb.Fatal(err)
		}
		p.slots, p.models = append(p.slots, s), append(p.models, &model{capacity: int(a), blocks: map[uint64]*modelBlock{}})
		p.share()
		return
	}
	i := int(which) % len(p.slots)
	s, m := p.slots[i], p.models[i]
	switch op % 16 {
	default:
		chain := mixed(fork(int(which)/16%2, int(a%16)*4, int(b%4), int(a%16)*4+int(b/4)))
		p.done = append(p.done, undoable{p.x.Insert(s, chain), m, m.insert(chain)})
		p.check(chain)
	case 8, 9, 10:
		if len(p.done) > 0 {
			u := p.done[len(p.done)-1-int(a)%min(len(p.done), 8)]
			p.x.Undo(u.added)
			u.model.undo(u.id)
		}
	case 11:
		p.x.Trim(s, int(a))
		m.trim(int(a))
	case 12, 15:
		p.x.Resize(s, int(a))
		m.capacity = int(a)
		p.share()
	case 13:
		p.x.Clear(s)
		clear(m.blocks)
	case 14:
		p.x.Close(s)
		clear(m.blocks)
		p.slots = append(p.slots[:i], p.slots[i+1:]...)
		p.models = append(p.models[:i], p.models[i+1:]...)
		p.share()
	}
	p.check(nil)
}

// check compares all there is.
func (p *pair) check(chain []uint64) {
	p.tb.Helper()
	into := make([]int32, len(p.slots))
	p.x.Match(chain, p.slots, into)
	for i, s := range p.slots {
		m, c := p.models[i], &p.x.caches[s]
		if got, want := p.x.Len(s), m.count(); got != want {
			p.tb.Fatalf("slot %d has %d blocks, want %d", s, got, want)
		}
		if got, want := int(into[i]), m.depth(chain); got != want {
			p.tb.Fatalf("slot %d matches %d of %d blocks, want %d", s, got, len(chain), want)
		}
		for h := range m.blocks {
			if c.seen.Load().find(h) == none {
				p.tb.Fatalf("slot %d misses block %x", s, h)
			}
		}
		if size := c.room(); size > max(2*m.limit, firstNodes) {
			p.tb.Fatalf("slot %d has memory for %d blocks, with a limit of %d", s, size, m.limit)
		}
	}
}

func newPair(tb testing.TB, most int) *pair { return &pair{tb: tb, x: New(most, golden), most: most} }

func (p *pair) play(ops []byte) {
	for ; len(ops) >= 4; ops = ops[4:] {
		p.do(ops[0], ops[1], ops[2], ops[3])
	}
}

func FuzzIndex(f *testing.F) {
	f.Add(uint16(200), []byte("\x0f\x00\x40\x00\x01\x00\x03\x40\x02\x00\x04\x80\x08\x00\x00\x00"))
	f.Add(uint16(50), []byte("\x0f\x00\xff\x00\x0f\x01\xff\x00\x01\x00\x03\x40\x02\x01\x04\x80\x0e\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, most uint16, ops []byte) {
		newPair(t, int(most)).play(ops[:min(len(ops), 400)])
	})
}

func TestIndexIsTheModel(t *testing.T) {
	f := func(seed uint64, most int) {
		t.Helper()
		dice := rand.New(rand.NewPCG(seed, 0))
		ops := make([]byte, 4*2000)
		for i := range ops {
			ops[i] = byte(dice.Uint32())
		}
		newPair(t, most).play(ops)
	}
	f(1, 10_000) // enough for all
	f(2, 300)
	f(3, 40)
	f(4, 0)
}

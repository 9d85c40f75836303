package dataplane

import (
	"math/bits"
	"sync"

	"penstock/scheduler/prefix"
)

// blockList is the hashes of a prompt's blocks, in pooled memory from the scan of
// the prompt to the end of its answer: no larger than the prompt needs, for
// streams last.
type blockList struct{ list *[]uint64 }

// mostText bounds how much of a prompt is looked up.
const mostText = 1 << 20

// blockPools are memory by size: 1<<n blocks in the n-th.
var blockPools [13]sync.Pool

func (b *blockList) get(blocks int) []uint64 {
	n := bits.Len(uint(max(blocks, 1) - 1))
	if b.list, _ = blockPools[n].Get().(*[]uint64); b.list == nil {
		list := make([]uint64, 0, 1<<n)
		b.list = &list
	}
	return (*b.list)[:0]
}

func (b *blockList) put() {
	if b.list != nil {
		blockPools[bits.Len(uint(cap(*b.list)-1))].Put(b.list)
		b.list = nil
	}
}

// chain hashes the prompt as it came, blocks of raw JSON: the same conversation
// begins with the same bytes.
func (q *request) chain() {
	text := q.fields.Prompt.Of(q.body)
	blocks := prefix.Blocks(min(len(text), mostText))
	if blocks == 0 {
		return
	}
	q.blocks.put() // of a request that is asked for again
	q.query.Prefix = prefix.Chain(q.blocks.get(blocks), prefix.Seed(q.query.Model), text, blocks)
	q.query.BlockTokens = max(q.query.PromptTokens*prefix.BlockBytes/len(text), 1)
}

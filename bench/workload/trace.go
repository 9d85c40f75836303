package workload

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// traced are recorded loads.
var traced = []*Workload{
	{
		Name: "w4", About: "Mooncake's conversation trace: 12,031 requests of 12,000 tokens in an hour",
		Profiles: []string{"8b-h100"}, Instances: 8, Unit: speed, Rates: []float64{0.25, 0.5, 0.75, 1, 1.25},
		total: func(float64) int { return len(mooncake().records) },
		open:  func(p Params) Stream { return replay(mooncake(), p) },
	},
	{
		Name: "azure", About: "Azure's conversation trace of 2023: 19,366 requests of 1,150 tokens in an hour, nothing shared",
		Profiles: []string{"8b-h100"}, Instances: 4, Unit: speed, Rates: []float64{1, 1.5, 1.75, 2, 2.5},
		total: func(float64) int { return len(azure().records) },
		open:  func(p Params) Stream { return replay(azure(), p) },
	},
}

//go:embed traces/mooncake_conversation_trace.jsonl.zst
var mooncakeFile []byte

//go:embed traces/azure_llm_2023_conv.csv.zst
var azureFile []byte

var (
	mooncake = sync.OnceValue(func() trace { return embedded(mooncakeFile) })
	azure    = sync.OnceValue(func() trace { return embedded(azureFile) })
)

func embedded(file []byte) trace {
	t, err := readTrace(bytes.NewReader(file))
	if err != nil {
		panic(err) // the file is a part of the program
	}
	return t
}

// trace is a load that was recorded, in order of arrival.
type trace struct {
	records []record
	blocks  []int64 // of the records' prompts, one after the other
}

// replay sends what was recorded, so many times as fast.
func replay(t trace, p Params) Stream {
	return func() *Request {
		if len(t.records) == 0 {
			return nil
		}
		rec := t.records[0]
		at := time.Duration(float64(rec.at) / p.Rate)
		if p.Duration > 0 && at >= p.Duration {
			return nil
		}
		blocks := t.blocks[:rec.blocks]
		t.records, t.blocks = t.records[1:], t.blocks[rec.blocks:]
		// What is not known of it is told apart by where in the trace it stands.
		own := 1<<63 | uint64(len(t.records))<<1
		r := &Request{At: at, MaxTokens: -1, Output: int(rec.output), Answer: own | 1}
		return r.prompt(rec.spans(blocks, own)...)
	}
}

// FromTrace makes a workload of a trace: JSON lines as Mooncake's, or CSV as
// Azure's, plain or zstd.
func FromTrace(name string, r io.Reader) (*Workload, error) {
	t, err := readTrace(r)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", name, err)
	}
	return &Workload{
		Name: name, About: "a trace", Profiles: []string{"8b-h100"}, Instances: 8, Unit: speed, Rates: []float64{1},
		total: func(float64) int { return len(t.records) },
		open:  func(p Params) Stream { return replay(t, p) },
	}, nil
}

// Bounds of a file. What is kept of it is 24 bytes for a line and 8 for a block;
// a compressed file is a thousandth of what it may hold.
const (
	mostLines  = 10_000_000
	mostLine   = 1 << 20
	mostBlocks = 1 << 24
	mostMemory = 256 << 20 // of a decoder
)

var (
	zstdMagic     = []byte{0x28, 0xb5, 0x2f, 0xfd}
	byteOrderMark = []byte("\ufeff")
)

// readTrace reads either form, plain or zstd.
func readTrace(r io.Reader) (trace, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(len(zstdMagic)); !bytes.Equal(magic, zstdMagic) {
		return readLines(in)
	}
	z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostMemory))
	if err != nil {
		return trace{}, err
	}
	defer z.Close()
	return readLines(z)
}

// readLines reads either form. What it begins with tells them apart.
func readLines(in io.Reader) (t trace, err error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, mostLine)
	var parse parser
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), byteOrderMark))
		if parse == nil && len(line) > 0 {
			parse = parserOf(line)
			if isHead(line) {
				continue
			}
		}
		if len(line) > 0 {
			err = t.add(parse(line))
		}
		if n > mostLines {
			err = fmt.Errorf("more than %d lines", mostLines)
		}
		if err != nil {
			return trace{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return trace{}, fmt.Errorf("line %d: longer than %d bytes", n+1, mostLine)
	case err != nil:
		return trace{}, fmt.Errorf("after line %d: %w", n, err)
	case len(t.records) == 0:
		return trace{}, errors.New("no request in it: need Mooncake's JSON lines or Azure's CSV")
	}
	return t, nil
}

// add appends what a line says.
func (t *trace) add(r record, blocks []int64, err error) error {
	switch {
	case err != nil:
		return err
	case len(t.records) > 0 && r.at < t.records[len(t.records)-1].at:
		return errors.New("is earlier than the line before it")
	case len(t.blocks)+len(blocks) > mostBlocks:
		return fmt.Errorf("more than %d hash_ids in all", mostBlocks)
	}
	t.records, t.blocks = append(t.records, r), append(t.blocks, blocks...)
	return nil
}

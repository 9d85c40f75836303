package workload

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// traced are recorded loads.
var traced = []*Workload{
	{
		Name: "w4", About: "Mooncake's conversation trace: 12,031 requests of 12,000 tokens in an hour",
		Profiles: []string{"8b-h100"}, Instances: 8, Unit: speed, Rates: []float64{0.25, 0.5, 0.75, 1, 1.25},
		total: func(float64) int { return len(mooncake()) },
		open:  func(p Params) Stream { return replay(mooncake(), p) },
	},
	{
		Name: "azure", About: "Azure's conversation trace of 2023: 19,366 requests of 1,150 tokens in an hour, nothing shared",
		Profiles: []string{"8b-h100"}, Instances: 4, Unit: speed, Rates: []float64{1, 1.5, 1.75, 2, 2.5},
		total: func(float64) int { return len(azure()) },
		open:  func(p Params) Stream { return replay(azure(), p) },
	},
}

//go:embed traces/mooncake_conversation_trace.jsonl.zst
var mooncakeFile []byte

//go:embed traces/azure_llm_2023_conv.csv.zst
var azureFile []byte

var (
	mooncake = sync.OnceValue(func() []record { return embedded(mooncakeFile) })
	azure    = sync.OnceValue(func() []record { return embedded(azureFile) })
)

func embedded(file []byte) []record {
	records, err := readTrace(bytes.NewReader(file))
	if err != nil {
		panic(err) // the file is a part of the program
	}
	return records
}

// record is a request of a trace.
type record struct {
	at             time.Duration
	prompt, output int
	blocks         []int64 // of the prompt, each over all before it too; nil: not known
}

// traceBlock is how many tokens a block of Mooncake's has.
const traceBlock = 512

// replay sends what was recorded, so many times as fast.
func replay(records []record, p Params) Stream {
	return func() *Request {
		if len(records) == 0 {
			return nil
		}
		t := &records[0]
		at := time.Duration(float64(t.at) / p.Rate)
		if p.Duration > 0 && at >= p.Duration {
			return nil
		}
		records = records[1:]
		// What is not known of it is told apart by where in the trace it stands.
		own := 1<<63 | uint64(len(records))<<1
		r := &Request{At: at, MaxTokens: -1, Output: t.output, Answer: own | 1}
		return r.prompt(t.spans(own)...)
	}
}

func (t *record) spans(own uint64) []Span {
	var spans []Span
	left := t.prompt
	for _, b := range t.blocks {
		if n := min(left, traceBlock); n > 0 {
			spans = append(spans, Span{uint64(b), n})
			left -= n
		}
	}
	if left > 0 {
		spans = append(spans, Span{own, left})
	}
	return spans
}

// FromTrace makes a workload of a trace: JSON lines as Mooncake's, or CSV as
// Azure's, plain or zstd.
func FromTrace(name string, r io.Reader) (*Workload, error) {
	records, err := readTrace(r)
	if err != nil {
		return nil, fmt.Errorf("trace %s: %w", name, err)
	}
	return &Workload{
		Name: name, About: "a trace", Profiles: []string{"8b-h100"}, Instances: 8, Unit: speed, Rates: []float64{1},
		total: func(float64) int { return len(records) },
		open:  func(p Params) Stream { return replay(records, p) },
	}, nil
}

const (
	mostRecords = 10_000_000
	mostLine    = 1 << 20
	mostLength  = 1 << 24     // tokens
	mostMemory  = 256 << 20   // of a decoder
	mostAt      = 1000 * 3600 // seconds
)

// readTrace reads either form. What it begins with tells them apart.
func readTrace(r io.Reader) ([]record, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(4); bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostMemory))
		if err != nil {
			return nil, err
		}
		defer z.Close()
		in = bufio.NewReader(z)
	}
	parse := parseCSV()
	if first, err := in.Peek(1); err != nil {
		return nil, err
	} else if first[0] == '{' {
		parse = parseJSON
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, mostLine)
	var records []record
	for n := 1; lines.Scan(); n++ {
		t, err := parse(lines.Bytes())
		switch {
		case errors.Is(err, errHead):
			continue
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", n, err)
		case len(records) > 0 && t.at < records[len(records)-1].at:
			return nil, fmt.Errorf("line %d: is earlier than the line before it", n)
		case len(records) == mostRecords:
			return nil, fmt.Errorf("line %d: more than %d requests", n, mostRecords)
		}
		records = append(records, t)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, errors.New("no request in it")
	}
	return records, nil
}

// parseJSON reads a line of Mooncake's.
func parseJSON(line []byte) (record, error) {
	var v struct {
		Timestamp float64 // ms
		Input     int     `json:"input_length"`
		Output    int     `json:"output_length"`
		Blocks    []int64 `json:"hash_ids"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return record{}, err
	}
	return newRecord(v.Timestamp/1000, v.Input, v.Output, v.Blocks)
}

// errHead is the first line of a CSV file, which names the columns.
var errHead = errors.New("names")

// parseCSV returns what reads the lines of Azure's, one after the other.
func parseCSV() func([]byte) (record, error) {
	var begin time.Time
	return func(line []byte) (record, error) {
		cells := strings.Split(strings.TrimSpace(string(line)), ",")
		if len(cells) != 3 {
			return record{}, fmt.Errorf("%d columns, want TIMESTAMP,ContextTokens,GeneratedTokens", len(cells))
		}
		if cells[0] == "TIMESTAMP" {
			return record{}, errHead
		}
		at, err := time.Parse("2006-01-02 15:04:05.9999999", cells[0])
		if err != nil {
			return record{}, err
		}
		if begin.IsZero() {
			begin = at
		}
		input, err := strconv.Atoi(cells[1])
		if err != nil {
			return record{}, err
		}
		output, err := strconv.Atoi(cells[2])
		if err != nil {
			return record{}, err
		}
		return newRecord(at.Sub(begin).Seconds(), input, output, nil)
	}
}

func newRecord(seconds float64, input, output int, blocks []int64) (record, error) {
	if !(seconds >= 0 && seconds <= mostAt) {
		return record{}, fmt.Errorf("a time of %v s is out of range, need 0 to %d", seconds, mostAt)
	}
	if input < 0 || input > mostLength || output < 0 || output > mostLength {
		return record{}, fmt.Errorf("lengths of %d and %d tokens are out of range, need 0 to %d", input, output, mostLength)
	}
	return record{
		at: time.Duration(seconds * float64(time.Second)), prompt: max(input, 1), output: max(output, 1), blocks: blocks,
	}, nil
}

package workload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// record is a request of a trace. There may be millions of them.
type record struct {
	at             time.Duration
	prompt, output int32
	blocks         int32 // of the prompt whose hashes are known; each is over all before it too
}

// traceBlock is how many tokens a block of Mooncake's has.
const traceBlock = 512

const (
	mostLength = 1 << 24     // tokens
	mostAt     = 1000 * 3600 // seconds
)

// spans are the prompt: its blocks, and then what is its own.
func (r record) spans(blocks []int64, own uint64) []Span {
	var spans []Span
	left := int(r.prompt)
	for _, b := range blocks {
		n := min(left, traceBlock)
		spans = append(spans, Span{uint64(b), n})
		left -= n
	}
	if left > 0 {
		spans = append(spans, Span{own, left})
	}
	return spans
}

// parser reads one line of a trace.
type parser func(line []byte) (r record, blocks []int64, err error)

// parserOf is for a file that begins with such a line.
func parserOf(line []byte) parser {
	if line[0] == '{' {
		return parseJSON
	}
	return parseCSV()
}

// parseJSON reads a line of Mooncake's.
func parseJSON(line []byte) (record, []int64, error) {
	var v struct {
		Timestamp float64 // ms
		Input     int     `json:"input_length"`
		Output    int     `json:"output_length"`
		Blocks    []int64 `json:"hash_ids"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return record{}, nil, err
	}
	r, err := newRecord(v.Timestamp/1000, v.Input, v.Output)
	if err != nil {
		return r, nil, err
	}
	blocks := v.Blocks[:min(len(v.Blocks), (int(r.prompt)+traceBlock-1)/traceBlock)] // more are no part of the prompt
	r.blocks = int32(len(blocks))
	return r, blocks, nil
}

// columns are what a CSV file begins with.
const columns = "TIMESTAMP,ContextTokens,GeneratedTokens"

// isHead says whether a line names columns.
func isHead(line []byte) bool { return bytes.HasPrefix(line, []byte("TIMESTAMP,")) }

// parseCSV returns what reads the lines of Azure's, one after the other.
func parseCSV() parser {
	var begin time.Time
	return func(line []byte) (record, []int64, error) {
		cells := strings.Split(string(line), ",")
		if len(cells) != 3 {
			return record{}, nil, fmt.Errorf("%d columns, want %s", len(cells), columns)
		}
		at, err := stamp(cells[0])
		if err != nil {
			return record{}, nil, err
		}
		if begin.IsZero() {
			begin = at
		}
		input, err := strconv.Atoi(cells[1])
		if err != nil {
			return record{}, nil, fmt.Errorf("ContextTokens: %.40q is no count", cells[1])
		}
		output, err := strconv.Atoi(cells[2])
		if err != nil {
			return record{}, nil, fmt.Errorf("GeneratedTokens: %.40q is no count", cells[2])
		}
		r, err := newRecord(at.Sub(begin).Seconds(), input, output)
		return r, nil, err
	}
}

// stamp reads a time as Azure's traces have it: those of 2023 without a zone,
// those of 2024 with one.
func stamp(cell string) (time.Time, error) {
	const of2023, of2024 = time.DateTime, time.DateTime + "Z07:00"
	if at, err := time.Parse(of2024, cell); err == nil {
		return at, nil
	}
	at, err := time.Parse(of2023, cell)
	if err != nil {
		return at, fmt.Errorf("TIMESTAMP: %.40q is no time such as 2023-11-16 18:15:46.68 or 2024-05-10 00:00:00.01+00:00", cell)
	}
	return at, nil
}

func newRecord(seconds float64, input, output int) (record, error) {
	if !(seconds >= 0 && seconds <= mostAt) {
		return record{}, fmt.Errorf("a time of %v s is out of range, need 0 to %d", seconds, mostAt)
	}
	if input < 0 || input > mostLength || output < 0 || output > mostLength {
		return record{}, fmt.Errorf("lengths of %d and %d tokens are out of range, need 0 to %d", input, output, mostLength)
	}
	return record{at: time.Duration(seconds * float64(time.Second)), prompt: int32(max(input, 1)), output: int32(max(output, 1))}, nil
}

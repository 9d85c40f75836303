package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	// longestLine bounds a decision in a file: 64 candidates with long names have
	// a third of it.
	longestLine = 128 << 10
	// The rest bounds what a file can have a reader do.
	mostDecisions = 20_000_000
	mostMemory    = 64 << 20
	mostWindow    = 8 << 20
)

// ErrCut is the end of a file whose writer ended badly: what was read before is
// good.
var ErrCut = errors.New("the recording was cut off")

// Reader reads a recording. Its file may be anybody's.
type Reader struct {
	zip   *zstd.Decoder // nil: it is not compressed
	lines *bufio.Scanner
	line  int
}

var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// NewReader begins to read a recording, which may have been decompressed.
func NewReader(from io.Reader) (*Reader, error) {
	in, r := bufio.NewReader(from), new(Reader)
	var text io.Reader = in
	if magic, _ := in.Peek(len(zstdMagic)); bytes.Equal(magic, zstdMagic) {
		zip, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostMemory), zstd.WithDecoderMaxWindow(mostWindow))
		if err != nil {
			return nil, err
		}
		r.zip, text = zip, zip
	}
	r.lines = bufio.NewScanner(text)
	r.lines.Buffer(nil, longestLine)
	var h header
	switch line, err := r.next(); {
	case err != nil && !errors.Is(err, io.EOF):
		r.Close()
		return nil, err
	case err != nil || json.Unmarshal(line, &h) != nil || h.Format != current.Format:
		r.Close()
		return nil, errors.New("it is no recording of penstock serve --record")
	case h.Version != current.Version:
		r.Close()
		return nil, fmt.Errorf("it is a recording of version %d; this is for version %d", h.Version, current.Version)
	}
	return r, nil
}

// Close lets the memory go.
func (r *Reader) Close() {
	if r.zip != nil {
		r.zip.Close()
	}
}

func (r *Reader) next() ([]byte, error) {
	r.line++
	if r.lines.Scan() {
		return r.lines.Bytes(), nil
	}
	switch err := r.lines.Err(); {
	case err == nil:
		return nil, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, ErrCut
	default:
		return nil, fmt.Errorf("line %d: %w", r.line, err)
	}
}

// Next is the next decision: io.EOF after the last, ErrCut if there were more.
func (r *Reader) Next() (*Decision, error) {
	if r.line > mostDecisions {
		return nil, fmt.Errorf("it has more than %d decisions", mostDecisions)
	}
	line, err := r.next()
	if err != nil {
		return nil, err
	}
	d := new(Decision)
	if err := json.Unmarshal(line, d); err != nil {
		if _, after := r.next(); errors.Is(after, io.EOF) { // half a line
			return nil, ErrCut
		} else if after != nil {
			return nil, after
		}
		return nil, fmt.Errorf("line %d: %w", r.line-1, err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("line %d: %w", r.line, err)
	}
	return d, nil
}

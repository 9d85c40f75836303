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

// ErrCut is the end of a recording that is not whole: its writer ended badly, or
// a part of it is damaged. What was read before is good.
var ErrCut = errors.New("the recording was cut off")

// Source is a file that has a recording.
type Source interface {
	io.Reader
	Name() string
}

// Files are recordings that NewReader reads as one: what one of them has lost
// costs no other. As a plain reader they are what cat makes of them.
type Files struct {
	io.Reader
	list   []Source
	damage error // the first
}

// Join joins recordings, the oldest first.
func Join(list ...Source) *Files {
	all := make([]io.Reader, len(list))
	for n, f := range list {
		all[n] = f
	}
	return &Files{Reader: io.MultiReader(all...), list: list}
}

// Damage says what is damaged, once all was read; nil: nothing is, though some
// may have been cut off.
func (f *Files) Damage() error { return f.damage }

// unnamed is a source that the caller knows.
type unnamed struct{ io.Reader }

func (unnamed) Name() string { return "" }

// Reader reads a recording, or several joined ones. Their files may be anybody's.
type Reader struct {
	files *Files
	at    int  // of those in files, the next
	loose bool // a bad line is damage, and not a mistake of who wrote it by hand

	zip   *zstd.Decoder // nil: it is not compressed
	lines *bufio.Scanner
	line  int // of this file
	all   int
	cut   bool // something is lost
}

var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// NewReader begins to read a recording, which may have been decompressed.
func NewReader(from io.Reader) (*Reader, error) {
	r := new(Reader)
	if r.files, r.loose = from.(*Files); !r.loose {
		r.files = Join(unnamed{from})
	}
	if err := r.open(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// open begins the next file.
func (r *Reader) open() error {
	r.Close()
	if r.at == len(r.files.list) {
		return errors.New("no recording is there")
	}
	in := bufio.NewReader(r.files.list[r.at])
	r.at, r.line = r.at+1, 0
	var text io.Reader = in
	if magic, _ := in.Peek(len(zstdMagic)); bytes.Equal(magic, zstdMagic) {
		zip, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(mostMemory), zstd.WithDecoderMaxWindow(mostWindow))
		if err != nil {
			return err
		}
		r.zip, text = zip, zip
	}
	r.lines = bufio.NewScanner(text)
	r.lines.Buffer(nil, longestLine)
	line, err := r.scan()
	if err != nil && !errors.Is(err, io.EOF) {
		return r.named(err)
	}
	is, err := isHeader(line)
	if !is {
		err = errors.New("it is no recording of penstock serve --record")
	}
	return r.named(err)
}

// isHeader says whether a line begins a recording, and what is wrong with that.
func isHeader(line []byte) (bool, error) {
	var h header
	if !bytes.Contains(line[:min(len(line), 64)], []byte(`"format"`)) || json.Unmarshal(line, &h) != nil || h.Format != current.Format {
		return false, nil
	}
	if h.Version != current.Version {
		return true, fmt.Errorf("it is a recording of version %d; this is for version %d", h.Version, current.Version)
	}
	return true, nil
}

// named says of which file err is.
func (r *Reader) named(err error) error {
	if name := r.files.list[r.at-1].Name(); err != nil && name != "" {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// Close lets the memory go.
func (r *Reader) Close() {
	if r.zip != nil {
		r.zip.Close()
		r.zip = nil
	}
}

// scan is the file's next line.
func (r *Reader) scan() ([]byte, error) {
	r.line++
	r.all++
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
// What is no decision is left out.
func (r *Reader) Next() (*Decision, error) {
	for {
		d, err := r.entry()
		if err != nil || d.Verdict != Refused {
			return d, err
		}
	}
}

// entry is the next one of any kind, of whichever file.
func (r *Reader) entry() (*Decision, error) {
	for {
		d, err := r.read()
		switch {
		case err == nil:
			return d, nil
		case errors.Is(err, ErrCut):
			r.cut = true
		case !errors.Is(err, io.EOF):
			return nil, r.named(err)
		}
		if r.at < len(r.files.list) {
			if err := r.open(); err != nil {
				return nil, err
			}
			continue
		}
		if r.cut {
			err = ErrCut
		}
		return nil, err
	}
}

// read is this file's next entry. Where files follow one another in one, each
// begins with a header.
func (r *Reader) read() (*Decision, error) {
	for {
		if r.all > mostDecisions {
			return nil, fmt.Errorf("it has more than %d decisions", mostDecisions)
		}
		line, err := r.scan()
		if err != nil {
			return nil, r.lose(err)
		}
		if is, err := isHeader(line); err != nil {
			return nil, err
		} else if is {
			continue
		}
		d, at := new(Decision), r.line
		if err := json.Unmarshal(line, d); err != nil {
			if err := r.half(fmt.Errorf("line %d: %w", at, err)); err != nil {
				return nil, err
			}
			continue
		}
		if err := d.check(); err == nil {
			return d, nil
		} else if err := r.skip(fmt.Errorf("line %d: %w", at, err)); err != nil {
			return nil, err
		}
	}
}

// half is called for a line that is none. Before the end, or another's header, it
// is the half that a writer left who ended badly; nil: that other follows.
func (r *Reader) half(bad error) error {
	line, err := r.scan()
	switch is, wrong := isHeader(line); {
	case errors.Is(err, io.EOF), errors.Is(err, ErrCut):
		return ErrCut
	case err != nil:
		return r.lose(err)
	case is:
		r.cut = true
		return wrong
	}
	return r.skip(bad)
}

// skip goes on after damage where the next recording begins, if one does.
func (r *Reader) skip(bad error) error {
	if err := r.lose(bad); !errors.Is(err, ErrCut) {
		return err
	}
	for r.all <= mostDecisions {
		line, err := r.scan()
		if err != nil {
			return ErrCut
		}
		if is, err := isHeader(line); is {
			return err
		}
	}
	return ErrCut
}

// lose says what an error means for what was read: of a file that programs wrote,
// all that there is of it.
func (r *Reader) lose(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, ErrCut) || !r.loose && r.zip == nil {
		return err
	}
	if r.cut = true; r.files.damage == nil {
		r.files.damage = r.named(err)
	}
	return ErrCut
}

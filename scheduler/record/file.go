package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// header is the first line of a file.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

var current = header{Format: "penstock decisions", Version: 1}

// MostBytes bounds a file. One that is full makes room for the next by the name
// with .1 behind, of which there is one: twice that is the most on the disk.
const MostBytes = 512 << 20

// file is the end of a recording: lines go in.
type file struct {
	path string
	most int64
	out  *os.File // locked
	zip  *zstd.Encoder
	json *json.Encoder
	size int64 // compressed, so far
}

// create begins a file; one of that name is kept as the older.
func create(path string, most int64) (*file, error) {
	f := &file{path: path, most: most}
	return f, f.begin()
}

// begin takes the path, unless this file has it already, and begins anew there.
func (f *file) begin() (err error) {
	if f.out == nil {
		if f.out, err = claim(f.path); err != nil {
			return err
		}
	}
	if err := f.keep(); err != nil {
		return fmt.Errorf("keeping the older recording: %w", err)
	}
	if err := f.out.Truncate(0); err != nil {
		return err
	}
	f.size = 0
	f.zip, err = zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return err
	}
	f.json = json.NewEncoder(f.zip)
	if err := f.json.Encode(current); err != nil {
		return err
	}
	return f.zip.Flush()
}

// keep lets what is there be the older, unless no decision is in it: two starts
// in a row must not cost the one that has some. The older stays locked until the
// new one is.
func (f *file) keep() error {
	if s, err := f.out.Stat(); err != nil || s.Size() == 0 || isBare(f.path) {
		return err
	}
	if err := os.Rename(f.path, f.path+".1"); err != nil {
		return err
	}
	out, err := claim(f.path)
	if err != nil {
		return err
	}
	f.out.Close()
	f.out = out
	return nil
}

// claim opens the file for this process alone: of two that write to one, each
// would rename and destroy what the other wrote. A file system without locks has
// to do without.
func claim(path string) (*os.File, error) {
	for {
		out, err := open(path)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(out.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
			out.Close()
			return nil, fmt.Errorf("%s: another router records to it", path)
		}
		if isAt(out, path) {
			return out, nil
		}
		out.Close() // somebody renamed it before it was locked
	}
}

// isAt says whether the open file is the one at the path.
func isAt(f *os.File, path string) bool {
	mine, err := f.Stat()
	there, e := os.Stat(path)
	return err == nil && e == nil && os.SameFile(mine, there)
}

// isBare says whether a file is a recording without any entry.
func isBare(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	in, err := NewReader(f)
	if err != nil {
		return false
	}
	defer in.Close()
	_, err = in.entry()
	return in.files.damage == nil && (errors.Is(err, io.EOF) || errors.Is(err, ErrCut))
}

// open opens a file to be written. Anything else, such as a pipe that nobody
// reads, could keep the router for ever: opening it, or writing.
func open(path string) (*os.File, error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.ENXIO) {
		return nil, notRegular(path)
	} else if err != nil {
		return nil, err
	}
	if s, err := out.Stat(); err != nil || !s.Mode().IsRegular() {
		out.Close()
		return nil, cmp.Or(err, notRegular(path))
	}
	return out, nil
}

func notRegular(path string) error {
	return fmt.Errorf("%s is no regular file: a recording needs one", path)
}

// Write takes what is compressed.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.out.Write(b)
	f.size += int64(n)
	return n, err
}

// add writes one decision, in the next file if this is full.
func (f *file) add(d *Decision) error {
	if f.size >= f.most {
		if err := f.zip.Close(); err != nil {
			return err
		}
		if err := f.begin(); err != nil {
			return err
		}
	}
	return f.json.Encode(d)
}

// flush lets everything so far be read, though the process may end badly.
func (f *file) flush() error { return f.zip.Flush() }

// close ends the frame.
func (f *file) close() error {
	err := f.zip.Close()
	if e := f.out.Close(); err == nil {
		err = e
	}
	return err
}

var _ io.Writer = (*file)(nil)

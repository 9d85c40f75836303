package record

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
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
	out  *os.File
	zip  *zstd.Encoder
	json *json.Encoder
	size int64 // compressed, so far
}

// create begins a file; one of that name is kept as the older.
func create(path string, most int64) (*file, error) {
	f := &file{path: path, most: most}
	return f, f.begin()
}

func (f *file) begin() (err error) {
	if s, err := os.Lstat(f.path); err == nil && s.Mode().IsRegular() && s.Size() > 0 {
		if err := os.Rename(f.path, f.path+".1"); err != nil {
			return fmt.Errorf("keeping the older recording: %w", err)
		}
	}
	if f.out, err = os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
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

// Write takes what is compressed.
func (f *file) Write(b []byte) (int, error) {
	n, err := f.out.Write(b)
	f.size += int64(n)
	return n, err
}

// add writes one decision, in the next file if this is full.
func (f *file) add(d *Decision) error {
	if f.size >= f.most {
		if err := f.close(); err != nil {
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

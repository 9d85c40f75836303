package discovery

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// lookEvery is how often the file is looked at without being told: over
	// NFS, and where it is mounted into a container, changes make no events.
	lookEvery = 5 * time.Second
	// settleFor is how long a file is left alone after an event: who writes in
	// place makes several.
	settleFor = 50 * time.Millisecond
	// maxFile bounds the file: ten thousand instances are 1 MB.
	maxFile = 16 << 20
)

// File is a list of instances in a file, watched. A new file that takes the old
// one's name is seen as well as one that is written in place.
type File struct {
	Path  string
	Parse func(content []byte) ([]Target, error) // errors name file, line and key
	Set   Set
	Log   *slog.Logger

	last   []byte // the content that was read last, good or bad
	absent bool   // said that it is not there
}

// Load reads the file for the first time. A file that cannot be read, or is
// wrong, is an error here: later it only keeps the old list.
func (f *File) Load() error {
	content, err := f.read()
	if err != nil {
		return err
	}
	f.last = content
	return f.take(content)
}

// Run follows the file until ctx ends.
func (f *File) Run(ctx context.Context) error {
	events, stop := f.watch()
	defer stop()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	settled := time.NewTimer(0)
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-events:
			settled.Reset(settleFor)
		case <-tick.C:
			f.look()
		case <-settled.C:
			f.look()
		}
	}
}

// watch returns what tells that something happened in the file's folder. The
// file itself is not watched: a rename would take the watch along with it.
func (f *File) watch() (events <-chan fsnotify.Event, stop func()) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		if err = w.Add(filepath.Dir(f.Path)); err == nil {
			return w.Events, func() { w.Close() }
		}
		w.Close()
	}
	f.Log.Warn("changes of the file are seen only every few seconds", "file", f.Path, "every", lookEvery, "err", err)
	return nil, func() {}
}

// look takes the file's content if it is new.
func (f *File) look() {
	content, err := f.read()
	if err != nil {
		if !f.absent {
			f.Log.Warn("instances are kept as they were", "err", err)
		}
		f.absent = true
		return
	}
	f.absent = false
	if f.last != nil && bytes.Equal(content, f.last) {
		return
	}
	f.last = content
	if err := f.take(content); err != nil {
		f.Log.Error("instances are kept as they were", "err", err)
	}
}

func (f *File) take(content []byte) error {
	list, err := f.Parse(content)
	if err != nil {
		return err
	}
	return f.Set(list)
}

func (f *File) read() ([]byte, error) {
	fi, err := os.Stat(f.Path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxFile {
		return nil, fmt.Errorf("%s: need a file of at most %d MiB", f.Path, maxFile>>20)
	}
	return os.ReadFile(f.Path)
}

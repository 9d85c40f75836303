package discovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
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
	// stableFor is how long a file must not have changed before it takes
	// instances away: what is half written is often a whole, shorter list.
	stableFor = time.Second
	// maxFile bounds the file: ten thousand instances are 1 MB.
	maxFile = 16 << 20
)

// File is a list of instances in a file, watched. A new file that takes the old
// one's name is seen as well as one that is written in place.
type File struct {
	Path  string                                 // whole: errors show it
	Parse func(content []byte) ([]Target, error) // errors name file, line and key
	Set   Set
	Log   *slog.Logger

	last []byte   // the content in force
	list []Target // what it says
	from uint64   // the inode that it was read of

	standing standing

	seen   stamp // of a file that would take instances away
	seenAt time.Time
}

// stamp is what changes when a file does.
type stamp struct {
	inode, size     uint64
	written, linked time.Time // linked: its ctime, which a rename sets too
}

// Status is how the file stands. Any goroutine may ask.
func (f *File) Status() Status { return f.standing.show("file", f.Path) }

// Load reads the file for the first time. A file that cannot be read, or is
// wrong, is an error here: later it only keeps the old list.
func (f *File) Load() error {
	content, is, err := f.read()
	if err != nil {
		return err
	}
	list, err := f.Parse(content)
	if err != nil {
		return err
	}
	if err = f.take(content, list, is); err == nil {
		f.standing.well(len(list))
	}
	return err
}

// Run follows the file until ctx ends.
func (f *File) Run(ctx context.Context) error {
	events, failures, stop := f.watch()
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
			continue
		case <-failures: // too many events at once, which were dropped
			settled.Reset(settleFor)
			continue
		case <-tick.C:
		case <-settled.C:
		}
		if again := f.look(time.Now()); again > 0 {
			settled.Reset(again)
		}
	}
}

// watch returns what tells that something happened in the file's folder. The
// file itself is not watched: a rename would take the watch along with it.
func (f *File) watch() (events <-chan fsnotify.Event, failures <-chan error, stop func()) {
	w, err := fsnotify.NewWatcher()
	if err == nil {
		if err = w.Add(filepath.Dir(f.Path)); err == nil {
			return w.Events, w.Errors, func() { w.Close() }
		}
		w.Close()
	}
	f.Log.Warn("changes of the file are seen only every few seconds", "file", f.Path, "every", lookEvery, "err", err)
	return nil, nil, func() {}
}

// look takes the file's content if it is new, and says when to look again if
// that is soon; else 0.
func (f *File) look(now time.Time) (again time.Duration) {
	content, is, err := f.read()
	if err == nil && f.last != nil && bytes.Equal(content, f.last) {
		f.from, f.seen = is.inode, stamp{}
		f.say(nil, now)
		return 0
	}
	var list []Target
	if err == nil {
		list, err = f.Parse(content)
	}
	if err == nil {
		if again = f.unsettled(list, is, now); again > 0 {
			return again
		}
		err = f.take(content, list, is)
	}
	f.say(err, now)
	return 0
}

// unsettled is how long the file must be left alone still, as its list takes
// instances away; 0: it is whole.
func (f *File) unsettled(list []Target, is stamp, now time.Time) time.Duration {
	stays := make(map[string]bool, len(list))
	for _, t := range list {
		stays[t.URL] = true
	}
	gone := slices.ContainsFunc(f.list, func(t Target) bool { return !stays[t.URL] })
	// Who renames a file over the old one has written it before. A file that was
	// just made in the old one's place has another inode too, but was written last.
	renamed := is.inode != f.from && is.linked.After(is.written)
	if !gone || renamed {
		return 0
	}
	if is != f.seen {
		f.seen, f.seenAt = is, now
	}
	return stableFor - now.Sub(f.seenAt)
}

// say logs a failure, again while it lasts, and its end.
func (f *File) say(err error, now time.Time) {
	if err == nil {
		if f.standing.well(len(f.list)) {
			f.Log.Info("discovery.file: the file is right again", "file", f.Path, "instances", len(f.list))
		}
		return
	}
	if say, lasted := f.standing.failed(err.Error(), now); say {
		f.Log.Error("discovery.file: instances are kept as they were", "instances", len(f.list), "for", lasted, "err", err)
	}
}

func (f *File) take(content []byte, list []Target, is stamp) error {
	if err := f.Set(list); err != nil {
		return err
	}
	f.last, f.list, f.from, f.seen = content, list, is.inode, stamp{}
	return nil
}

// read returns the file's content, and its stamp after it was read: what has the
// same stamp later was not changed meanwhile.
func (f *File) read() (content []byte, is stamp, err error) {
	fi, err := os.Stat(f.Path)
	if err != nil {
		return nil, is, f.wrong(err)
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxFile {
		return nil, is, fmt.Errorf("%s: need a file of at most %d MiB", f.Path, maxFile>>20)
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, is, f.wrong(err)
	}
	defer file.Close()
	if content, err = io.ReadAll(io.LimitReader(file, maxFile)); err != nil {
		return nil, is, err
	}
	if fi, err = file.Stat(); err != nil {
		return nil, is, err
	}
	is.size, is.written = uint64(fi.Size()), fi.ModTime()
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		is.inode, is.linked = st.Ino, time.Unix(st.Ctim.Unix())
	}
	return content, is, nil
}

// wrong says what the system has against the file, without the name of the call.
func (f *File) wrong(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Errorf("%s: %w", f.Path, at.Err)
	}
	return err
}

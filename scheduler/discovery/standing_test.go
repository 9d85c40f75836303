package discovery

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestBrokenFileIsSaidEachMinuteAndShown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "a b")
	got, log := make(sets, 9), make(lines, 9)
	f := &File{Path: path, Parse: words, Set: got.set, Log: log.logger()}
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	got.want(t, "a b")
	want := func(want Status) {
		t.Helper()
		if s := f.Status(); s != want {
			t.Errorf("it stands %+v, want %+v", s, want)
		}
	}
	well := Status{Source: "file", From: path, Up: true, Instances: 2}
	want(well)

	now := time.Now()
	since := now
	write(t, path, "bad")
	for range 20 { // a minute and a half, looked at every five seconds
		f.look(now)
		now = now.Add(lookEvery)
	}
	log.want(t, "for=0s")
	log.want(t, "for=1m0s")
	want(Status{Source: "file", From: path, Instances: 2, Errors: 20, Error: "line 1: bad", Since: since})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.look(now) // another failure is said at once, with the whole path and once
	log.want(t, `err="`+path+`: no such file or directory"`)

	write(t, path, "a b")
	f.look(now)
	log.want(t, "right again")
	well.Errors = 21
	want(well)
	if len(log) > 0 {
		t.Errorf("%d more lines: %s", len(log), <-log)
	}
}

func TestNameThatWasNeverResolvedIsDown(t *testing.T) {
	s := newNameServer(t)
	s.set(func() { s.rcode = dns.RcodeServerFailure })
	d := &DNS{Name: "rack.internal", Type: "a", Port: 80, Refresh: time.Second, Servers: []string{s.addr}, Set: make(sets, 1).set, Log: make(lines, 9).logger()}
	if d.Status().Up {
		t.Error("up before it was asked")
	}
	d.refresh(t.Context())
	if s := d.Status(); s.Up || s.Errors != 1 || s.Source != "dns" || s.From != "rack.internal" {
		t.Errorf("it stands %+v", s)
	}
	s.set(func() { s.records, s.rcode = []string{"rack.internal. 60 IN A 10.0.0.1"}, dns.RcodeSuccess })
	d.refresh(t.Context())
	if s := d.Status(); !s.Up || s.Instances != 1 || s.Error != "" {
		t.Errorf("it stands %+v", s)
	}
}

func TestRegistryCountsWhoIsRegistered(t *testing.T) {
	no := error(nil)
	r := &Registry{TTL: time.Minute, Set: func([]Target) error { return no }, Log: make(lines, 9).logger()}
	if s := r.Status(); !s.Up || s.Instances != 0 {
		t.Errorf("empty, it stands %+v", s)
	}
	put(t, r, "a", nil, true)
	if s := r.Status(); !s.Up || s.Instances != 1 || s.Source != "registration" {
		t.Errorf("it stands %+v", s)
	}
	no = errors.New("no")
	r.Delete("a", "")
	if s := r.Status(); s.Up || s.Instances != 1 || s.Errors != 1 {
		t.Errorf("refused, it stands %+v", s)
	}
}

// Who reads the log sees the cause before its effect.
func TestEndOfARegistrationIsSaidBeforeItsInstanceGoes(t *testing.T) {
	log := make(lines, 9)
	r := &Registry{TTL: time.Minute, Log: log.logger()}
	r.Set = func(list []Target) error { log.logger().Info("draining", "left", len(list)); return nil }
	put(t, r, "a", nil, true)
	r.Delete("a", "")
	for _, want := range []string{"left=1", "instance registered", "registration is over", "left=0"} {
		log.want(t, want)
	}
}

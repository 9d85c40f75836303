package discovery

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// registry runs f with a registry, in a bubble of time.
func registry(t *testing.T, f func(r *Registry, got sets, lost chan string)) {
	synctest.Test(t, func(t *testing.T) {
		got, lost := make(sets, 9), make(chan string, 9)
		r := &Registry{TTL: 15 * time.Second, Set: got.set, Lost: func(url string) { lost <- url }, Log: make(lines, 99).logger()}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		f(r, got, lost)
		stop()
		<-done
	})
}

func put(t *testing.T, r *Registry, name string, conn any, wantFresh bool) {
	t.Helper()
	fresh, err := r.Put(Target{URL: "u" + name, Name: name}, conn)
	if err != nil || fresh != wantFresh {
		t.Errorf("%s: fresh %v, %v", name, fresh, err)
	}
}

func TestRegistrationLastsAsLongAsItIsRenewed(t *testing.T) {
	registry(t, func(r *Registry, got sets, _ chan string) {
		put(t, r, "a", nil, true)
		got.want(t, "ua")
		for range 10 {
			time.Sleep(10 * time.Second)
			put(t, r, "a", nil, false)
		}
		put(t, r, "b", nil, true)
		got.want(t, "ua ub")
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if len(got) > 0 {
			t.Error("over before its time")
		}
		put(t, r, "b", nil, false)
		time.Sleep(2 * time.Second)
		got.want(t, "ub")
		if !r.Delete("b") || r.Delete("b") {
			t.Error("b was there once")
		}
		got.want(t, "")
	})
}

func TestRegistrationEndsWithItsConnection(t *testing.T) {
	registry(t, func(r *Registry, got sets, lost chan string) {
		put(t, r, "a", "conn 1", true)
		put(t, r, "b", "conn 2", true)
		got.want(t, "ua")
		got.want(t, "ua ub")
		r.Dropped("conn 1")
		if url := <-lost; url != "ua" {
			t.Errorf("lost %s", url)
		}
		time.Sleep(graceFor + time.Millisecond)
		got.want(t, "ub")

		r.Dropped("conn 2") // and a new one follows at once
		<-lost
		put(t, r, "b", "conn 3", false)
		r.Dropped("conn 2")
		time.Sleep(time.Second)
		synctest.Wait()
		if len(got) > 0 || len(lost) > 0 {
			t.Errorf("a renewed registration was ended: %d lists, %d lost", len(got), len(lost))
		}
	})
}

func TestRegistrationThatChangesIsTaken(t *testing.T) {
	registry(t, func(r *Registry, got sets, _ chan string) {
		put(t, r, "a", nil, true)
		got.want(t, "ua")
		if fresh, err := r.Put(Target{URL: "ua", Name: "a", MaxInFlight: 3}, nil); fresh || err != nil {
			t.Errorf("fresh %v, %v", fresh, err)
		}
		got.want(t, "ua")
		if _, err := r.Put(Target{URL: "ub", Name: "a"}, nil); !errors.Is(err, ErrNameTaken) {
			t.Errorf("a name was taken twice: %v", err)
		}
	})
}

func TestRegistryIsBounded(t *testing.T) {
	r := &Registry{TTL: time.Minute, Set: func([]Target) error { return nil }, Log: make(lines, MaxRegistrations+9).logger()}
	for n := range MaxRegistrations {
		put(t, r, fmt.Sprint(n), nil, true)
	}
	if _, err := r.Put(Target{URL: "u", Name: "n"}, nil); !errors.Is(err, ErrRegistryFull) {
		t.Errorf("one more: %v", err)
	}
	put(t, r, "7", nil, false)
}

func TestListThatIsRefusedLeavesTheRegistryAsItWas(t *testing.T) {
	no := errors.New("no")
	r := &Registry{TTL: time.Minute, Set: func([]Target) error { return no }, Log: make(lines, 9).logger()}
	if _, err := r.Put(Target{URL: "u", Name: "n"}, nil); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if r.Delete("n") {
		t.Error("it is in")
	}
}

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
func registry(t *testing.T, f func(r *Registry, got sets, touch chan string)) {
	synctest.Test(t, func(t *testing.T) {
		got, touch := make(sets, 9), make(chan string, 9)
		r := &Registry{
			TTL: 15 * time.Second, Set: got.set, Log: make(lines, 99).logger(),
			Lost: func(url string) { touch <- "lost " + url }, Found: func(url string) { touch <- "found " + url },
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		f(r, got, touch)
		stop()
		<-done
	})
}

func put(t *testing.T, r *Registry, name string, conn any, wantFresh bool) {
	t.Helper()
	putAs(t, r, "", name, conn, wantFresh)
}

func putAs(t *testing.T, r *Registry, owner, name string, conn any, wantFresh bool) {
	t.Helper()
	fresh, err := r.Put(Target{URL: "u" + name, Name: name}, owner, conn)
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
		if !r.Delete("b", "") || r.Delete("b", "") {
			t.Error("b was there once")
		}
		got.want(t, "")
	})
}

func TestRegistrationEndsWithItsConnection(t *testing.T) {
	registry(t, func(r *Registry, got sets, touch chan string) {
		put(t, r, "a", "conn 1", true)
		put(t, r, "b", "conn 2", true)
		got.want(t, "ua")
		got.want(t, "ua ub")
		r.Dropped("conn 1")
		touched(t, touch, "lost ua")
		time.Sleep(graceFor + time.Millisecond)
		got.want(t, "ub")

		r.Dropped("conn 2") // and a new one follows at once
		touched(t, touch, "lost ub")
		put(t, r, "b", "conn 3", false)
		touched(t, touch, "found ub")
		r.Dropped("conn 2")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(got) > 0 || len(touch) > 0 {
			t.Errorf("a renewed registration was ended: %d lists, touched %d times", len(got), len(touch))
		}
	})
}

func touched(t *testing.T, touch chan string, want string) {
	t.Helper()
	select {
	case got := <-touch:
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	default:
		t.Errorf("%s did not come", want)
	}
}

// An engine's registrar is started anew before the old one has ended.
func TestEndOfOneRegistrarLeavesTheRegistrationToTheOther(t *testing.T) {
	registry(t, func(r *Registry, got sets, touch chan string) {
		putAs(t, r, "first", "a", "conn 1", true)
		got.want(t, "ua")
		putAs(t, r, "second", "a", "conn 2", false)
		putAs(t, r, "first", "a", "conn 1", false)
		if !r.Delete("a", "first") || r.Delete("a", "first") || r.Delete("a", "nobody") {
			t.Error("the first was there once, nobody never")
		}
		r.Dropped("conn 1")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(got) > 0 || len(touch) > 0 {
			t.Errorf("the second's registration was ended: %d lists, touched %d times", len(got), len(touch))
		}

		putAs(t, r, "first", "a", "conn 3", false)
		r.Dropped("conn 2") // the first is there
		if len(touch) > 0 {
			t.Errorf("%s, though one has touch", <-touch)
		}
		if !r.Delete("a", "") {
			t.Error("who names no owner takes it back for all")
		}
		got.want(t, "")
	})
}

func TestOwnersOfARegistrationAreBounded(t *testing.T) {
	registry(t, func(r *Registry, got sets, _ chan string) {
		for n := range 3 * maxOwners {
			putAs(t, r, fmt.Sprint(n), "a", n, n == 0)
			time.Sleep(time.Millisecond)
		}
		if n := len(r.entries[0].owners); n != maxOwners {
			t.Errorf("%d owners", n)
		}
		if !r.Delete("a", fmt.Sprint(3*maxOwners-1)) || r.Delete("a", "0") {
			t.Error("not the oldest were dropped")
		}
	})
}

// The scheduler refuses the list without the one that is over.
func TestEndThatIsRefusedIsTriedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		r := &Registry{TTL: time.Second, Log: make(lines, 99).logger()}
		r.Set = func(list []Target) error {
			if calls++; len(list) == 0 {
				return errors.New("no")
			}
			return nil
		}
		put(t, r, "a", nil, true)
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
		defer stop()
		r.Run(ctx)
		if calls < 5 || calls > 30 {
			t.Errorf("asked %d times in 10 s", calls)
		}
	})
}

func TestRegistrationThatChangesIsTaken(t *testing.T) {
	registry(t, func(r *Registry, got sets, _ chan string) {
		put(t, r, "a", nil, true)
		got.want(t, "ua")
		if fresh, err := r.Put(Target{URL: "ua", Name: "a", MaxInFlight: 3}, "", nil); fresh || err != nil {
			t.Errorf("fresh %v, %v", fresh, err)
		}
		got.want(t, "ua")
		if _, err := r.Put(Target{URL: "ub", Name: "a"}, "", nil); !errors.Is(err, ErrNameTaken) {
			t.Errorf("a name was taken twice: %v", err)
		}
	})
}

func TestRegistryIsBounded(t *testing.T) {
	r := &Registry{TTL: time.Minute, Set: func([]Target) error { return nil }, Log: make(lines, MaxRegistrations+9).logger()}
	for n := range MaxRegistrations {
		put(t, r, fmt.Sprint(n), nil, true)
	}
	if _, err := r.Put(Target{URL: "u", Name: "n"}, "", nil); !errors.Is(err, ErrRegistryFull) {
		t.Errorf("one more: %v", err)
	}
	put(t, r, "7", nil, false)
}

func TestListThatIsRefusedLeavesTheRegistryAsItWas(t *testing.T) {
	no := errors.New("no")
	r := &Registry{TTL: time.Minute, Set: func([]Target) error { return no }, Log: make(lines, 9).logger()}
	if _, err := r.Put(Target{URL: "u", Name: "n"}, "", nil); !errors.Is(err, no) {
		t.Errorf("got %v", err)
	}
	if r.Delete("n", "") {
		t.Error("it is in")
	}
}

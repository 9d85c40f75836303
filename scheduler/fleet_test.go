package scheduler

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"penstock/scheduler/engine"
)

func configOf(names ...string) (list []InstanceConfig) {
	for _, n := range names {
		list = append(list, InstanceConfig{URL: "http://" + n + ":8000", Name: n})
	}
	return list
}

func names(s *Scheduler) string {
	var all []string
	for _, i := range s.Instances() {
		all = append(all, i.Name+" "+i.State().String())
	}
	return strings.Join(all, ", ")
}

func set(t *testing.T, s *Scheduler, from string, list []InstanceConfig, want string) {
	t.Helper()
	if err := s.Set(from, list); err != nil {
		t.Fatal(err)
	}
	if got := names(s); got != want {
		t.Errorf("the fleet is %q, want %q", got, want)
	}
}

func TestSourcesMakeOneFleet(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	if d := s.Pick(ask("")); d.Verdict != NoInstance {
		t.Errorf("an empty fleet gives verdict %d", d.Verdict)
	}
	set(t, s, "file", configOf("a", "b"), "a starting, b starting")
	set(t, s, "dns", configOf("b", "c"), "a starting, b starting, c starting")
	set(t, s, "file", configOf("a"), "a starting, b starting, c starting") // dns names b still
	set(t, s, "dns", nil, "a starting")
	set(t, s, "file", nil, "")
}

func TestBadListLeavesTheFleetAsItWas(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	set(t, s, "file", configOf("a"), "a starting")
	f := func(c InstanceConfig, want string) {
		t.Helper()
		if err := s.Set("dns", []InstanceConfig{c}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something with %q", err, want)
		}
		if got := names(s); got != "a starting" {
			t.Errorf("the fleet is %q", got)
		}
	}
	f(InstanceConfig{URL: "ftp://b", Name: "b"}, "instance b")
	f(InstanceConfig{URL: "http://b:1"}, "has no name")
	f(InstanceConfig{URL: "http://b:1", Name: "b", Engine: "nobody's"}, "nobody's")
	f(InstanceConfig{URL: "http://b:1", Name: "b", MaxInFlight: -1}, "max_in_flight")
	if err := s.Set("dns", []InstanceConfig{{URL: "http://b:1", Name: "x"}, {URL: "http://b:2", Name: "x"}}); err == nil || !strings.Contains(err.Error(), "http://b:1 has this name already") {
		t.Errorf("got %v", err)
	}
}

// What an instance says of itself must not keep what an operator wrote out.
func TestNameThatIsTakenKeepsOutItsEntryAlone(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	squatter := []InstanceConfig{{URL: "http://evil:1", Name: "a"}, {URL: "http://c:8000", Name: "mine"}}
	set(t, s, "registration", squatter, "a starting, mine starting")
	set(t, s, "dns", configOf("c"), "a starting, c starting")
	if i := s.Named("c"); i.URL != "http://c:8000" {
		t.Errorf("the URL of a stronger source has the options of a weaker one: %+v", i)
	}
	set(t, s, "file", configOf("a", "b"), "c starting, a starting, b starting")
	if i := s.Named("a"); i.URL != "http://a:8000" {
		t.Errorf("the name is %s's", i.URL)
	}
	set(t, s, "file", configOf("b"), "c starting, b starting, a starting") // the name is free
	set(t, s, "registration", nil, "c starting, b starting")
}

// A name that a URL had beside another comes to light when that one goes.
func TestRegistrationCanAlwaysEnd(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	u, v := "http://10.0.0.1:8000", "http://10.0.0.2:8000"
	both := []InstanceConfig{{URL: u, Name: "gpu-1"}, {URL: v, Name: "10.0.0.1:8000"}}
	set(t, s, "registration", both, "gpu-1 starting, 10.0.0.1:8000 starting")
	set(t, s, "other", []InstanceConfig{{URL: u, Name: "10.0.0.1:8000"}}, "gpu-1 starting, 10.0.0.1:8000 starting")
	set(t, s, "registration", both[1:], "10.0.0.1:8000 starting")
	if i := s.Instances()[0]; i.URL != v {
		t.Errorf("%s is left", i.URL)
	}
	set(t, s, "registration", nil, "10.0.0.1:8000 starting")
	if i := s.Instances()[0]; i.URL != u {
		t.Errorf("%s is left", i.URL)
	}
}

func TestOneOfTwoSourcesLetsGo(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	list := configOf("a")
	list[0].MaxInFlight = 2
	set(t, s, "file", list, "a starting")
	set(t, s, "registration", list, "a starting")
	i := s.Named("a")
	i.recovered()
	pick(t, s, ask(""))
	pick(t, s, ask(""))
	set(t, s, "file", nil, "a healthy")
	if d := s.Pick(ask("")); d.Verdict != Full || s.Named("a") != i {
		t.Errorf("verdict %d: its account was lost", d.Verdict)
	}
}

func TestOneURLHoweverWrittenIsOneInstance(t *testing.T) {
	f := func(want string, urls ...string) {
		t.Helper()
		s := fleetOf(t, 0, "round-robin")
		for n, url := range urls {
			if err := s.Set(fmt.Sprint("source ", n), []InstanceConfig{{URL: url, Name: "i"}}); err != nil {
				t.Fatal(err)
			}
		}
		if all := s.Instances(); len(all) != 1 || all[0].URL != want {
			t.Errorf("%v make %q", urls, names(s))
		}
	}
	f("http://[::1]:8000", "http://[::1]:8000", "http://[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000/")
	f("http://127.0.0.1:80", "http://127.0.0.1:80", "http://[::ffff:127.0.0.1]:80")
	f("http://localhost:1", "http://localhost.:1", "http://LocalHost:1")
	f("http://[fe80::1%25wlP9s9]:1", "http://[fe80:0::1%25wlP9s9]:1")
}

func TestModelsThatARegistrationRenewsAreTaken(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	list := configOf("a")
	says := func(models ...string) {
		t.Helper()
		list[0].Models = models
		set(t, s, "registration", list, "a starting")
	}
	serves := func(model string, want Verdict) {
		t.Helper()
		if d := s.Pick(ask(model)); d.Verdict != want {
			t.Errorf("%s: verdict %d, want %d", model, d.Verdict, want)
		}
	}
	says("old")
	i := s.Named("a")
	says("new")
	serves("new", Picked)
	serves("old", NoModel)
	says()
	serves("any", Picked)
	says("new")
	i.models.Store(&[]engine.Model{{ID: "own"}}) // it said so itself
	s.republish()
	says("other")
	serves("own", Picked)
	if serves("other", NoModel); !i.outdated.Load() {
		t.Error("it is not asked again")
	}
	if s.Named("a") != i {
		t.Error("other models made another instance")
	}
}

func TestListOfModelsThatIsCutIsSaid(t *testing.T) {
	s := fleetOf(t, 2, "round-robin")
	var log strings.Builder
	i := s.Instances()[0]
	i.log = slog.New(slog.NewTextHandler(&log, nil))
	var many []engine.Model
	for n := range 1024 {
		many = append(many, engine.Model{ID: fmt.Sprint(n)})
	}
	i.models.Store(&many)
	s.republish()
	s.republish()
	if n := strings.Count(log.String(), "lists more models"); n != 1 {
		t.Errorf("said %d times: %s", n, &log)
	}
}

func TestRemovedInstanceDrainsAndGoes(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	ctx, stop := context.WithCancel(t.Context())
	var gone []string
	left := make(chan struct{})
	s.OnGone(func(i *Instance) { gone = append(gone, i.Name); close(left) })
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	defer running.Wait()
	defer stop()
	s.Set("file", []InstanceConfig{{URL: "http://127.0.0.1:1", Name: "a"}, {URL: "http://127.0.0.1:2", Name: "b"}})
	a := s.Named("a")
	d, ok := s.reserve(new(scratch), &candidate{inst: a}, ask(""))
	if !ok {
		t.Fatal("no place")
	}
	set(t, s, "file", []InstanceConfig{{URL: "http://127.0.0.1:2", Name: "b"}}, "a draining, b starting")
	if _, ok := s.reserve(new(scratch), &candidate{inst: a}, ask("")); ok {
		t.Error("an instance that leaves got a request")
	}
	if st := a.Status(); st.Reason != "no source names it any more" {
		t.Errorf("reason %q", st.Reason)
	}
	d.End()
	<-left
	if s.Named("a") != nil || len(gone) != 1 {
		t.Errorf("after its last request it is still there; gone %v", gone)
	}
}

func TestInstanceThatIsWantedAgainStays(t *testing.T) {
	s := fleetOf(t, 1, "round-robin")
	i := s.Instances()[0]
	i.kept = true // somebody would have to let it go
	s.Set(firstSource, nil)
	if i.State() != Draining {
		t.Fatalf("%s", i.State())
	}
	s.Set("dns", []InstanceConfig{{URL: i.URL, Name: i.Name}})
	if i.State() != Healthy || s.Named("a") != i {
		t.Errorf("%s, %q", i.State(), names(s))
	}
}

func TestOtherOptionsMakeAnotherInstance(t *testing.T) {
	s := fleetOf(t, 1, "round-robin")
	old := s.Instances()[0]
	s.Set(firstSource, []InstanceConfig{{URL: old.URL, Name: old.Name, MaxInFlight: 1}})
	if i := s.Named("a"); i == old || len(s.Instances()) != 1 {
		t.Error("the new limit has no effect")
	}
}

func TestOperatorsDrain(t *testing.T) {
	s := fleetOf(t, 2, "round-robin")
	if s.Drain("nobody", true) {
		t.Error("drained one that does not exist")
	}
	s.Drain("a", true)
	for range 10 {
		if d := pick(t, s, ask("m")); d.Instance.Name == "a" {
			t.Error("a draining instance got a request")
		}
	}
	s.Drain("a", false)
	if got := names(s); got != "a healthy, b healthy" {
		t.Errorf("got %q", got)
	}
}

// A thousand that come one by one, and go, with requests on the way: for -race.
func TestFleetChangesUnderRequests(t *testing.T) {
	s := fleetOf(t, 3, "least-token")
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for n := range 4 {
		asking.Go(func() {
			q := Query{Model: "m", Rand: uint64(n)}
			for {
				select {
				case <-stop:
					return
				default:
				}
				q.Rand = next(q.Rand)
				d := s.Pick(&q)
				d.Reservation.FirstByte(1)
				d.Reservation.End()
			}
		})
	}
	var list []InstanceConfig
	for n := range 200 {
		list = append(list, InstanceConfig{URL: fmt.Sprintf("http://10.0.0.1:%d", n+1), Name: fmt.Sprint("x", n)})
		s.Set("registration", list)
	}
	for len(list) > 0 {
		list = list[1:]
		s.Set("registration", list)
	}
	close(stop)
	asking.Wait()
	if n := len(s.Instances()); n != 3 {
		t.Errorf("%d are left", n)
	}
}

func TestNameThatMovesIsFollowed(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	set(t, s, "file", []InstanceConfig{{URL: "http://gpu.rack:8000", Name: "a"}, {URL: "http://[::1]:8000", Name: "b"}}, "a starting, b starting")
	var moved []string
	s.OnMoved(func(i *Instance) { moved = append(moved, i.Name) })
	ips, err := []string{"10.0.0.1", "fd00::1"}, error(nil)
	s.fleet.connect = func(context.Context, string) error { return nil }
	r := resolver{func(_ context.Context, host string) ([]string, error) {
		if host != "gpu.rack" {
			t.Errorf("looked up %s", host)
		}
		return ips, err
	}}
	f := func(want string, moves int) {
		t.Helper()
		r.round(t.Context(), s)
		if got := s.Named("a").Addr(); got != want || len(moved) != moves {
			t.Errorf("dials %s after %d moves, want %s after %d", got, len(moved), want, moves)
		}
	}
	f("10.0.0.1:8000", 0)
	ips = []string{"fd00::1", "10.0.0.1"} // in another order
	f("10.0.0.1:8000", 0)
	ips = []string{"fd00::1"}
	f("[fd00::1]:8000", 1)
	ips, err = nil, context.DeadlineExceeded
	f("[fd00::1]:8000", 1)
	if got := s.Named("b").Addr(); got != "[::1]:8000" {
		t.Errorf("dials %s", got)
	}
}

func TestPromptThatCannotFitGoesToALargerWindow(t *testing.T) {
	s := fleetOf(t, 3, "round-robin")
	window := func(n, tokens int) {
		m := *s.Instances()[n].models.Load()
		m = append(m[:0:0], m...)
		m[0].MaxLen = tokens
		s.Instances()[n].models.Store(&m)
	}
	window(0, 1000)
	window(1, 8000)
	window(2, 0) // it did not say
	s.republish()
	f := func(tokens int, want string) {
		t.Helper()
		got := map[string]bool{}
		for range 20 {
			q := ask("m")
			q.PromptTokens = tokens
			d := pick(t, s, q)
			got[d.Instance.Name] = true
			d.Reservation.End()
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%d tokens went to %v, want %s", tokens, got, want)
		}
	}
	f(900, "map[a:true b:true c:true]")
	f(1700, "map[a:true b:true c:true]") // it is a guess: they may be 1000
	f(1800, "map[b:true c:true]")
	f(100_000, "map[b:true c:true]") // too long for all who say: the largest may say so
}

// The keeper saw nothing in flight; then the instance was wanted again, got a
// request, and was not wanted any more.
func TestInstanceWithARequestDoesNotGo(t *testing.T) {
	s := fleetOf(t, 2, "round-robin")
	i := s.Instances()[0]
	i.kept = true
	both := []InstanceConfig{{URL: "http://127.0.0.1:1000", Name: "a"}, {URL: "http://127.0.0.1:1001", Name: "b"}}
	set := func(list []InstanceConfig) {
		t.Helper()
		if err := s.Set(firstSource, list); err != nil {
			t.Fatal(err)
		}
	}
	set(both[1:])
	set(both)
	q := ask("m")
	q.Only = i
	d := pick(t, s, q)
	set(both[1:])
	if s.departed(i) {
		t.Error("it is gone, with a request in it")
	}
	d.Reservation.End()
	if !s.departed(i) {
		t.Error("it stays, with nothing in it")
	}
}

// A failure may be told of an instance that is gone: its place in the index is
// another's by then.
func TestFailureOfOneThatIsGoneForgetsNothingOfOthers(t *testing.T) {
	s := fleetOf(t, 1, "predictive")
	gone := s.Instances()[0]
	for _, list := range [][]InstanceConfig{{{URL: "http://127.0.0.1:2000", Name: "z"}}, {{URL: "http://127.0.0.1:2000", Name: "z"}, {URL: "http://127.0.0.1:2001", Name: "y"}}} {
		if err := s.Set(firstSource, list); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range s.Instances() {
		s.cached.Insert(i.slot, []uint64{1, 3, 5})
	}
	gone.Failed(Refused, "connection refused")
	for _, i := range s.Instances() {
		if n := s.cached.Len(i.slot); n != 3 {
			t.Errorf("%s has %d of 3 blocks", i.Name, n)
		}
	}
}

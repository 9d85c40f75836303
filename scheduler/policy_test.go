package scheduler

import (
	"slices"
	"testing"
)

func TestRoundRobinTakesTurns(t *testing.T) {
	s := fleetOf(t, 3, "round-robin")
	if got := shares(t, s, 9); !slices.Equal(got, []int{3, 3, 3}) {
		t.Errorf("shares %v", got)
	}
}

func TestRandomReachesEveryone(t *testing.T) {
	s := fleetOf(t, 4, "random")
	for i, n := range shares(t, s, 400) {
		if n < 50 || n > 150 {
			t.Errorf("instance %d got %d of 400", i, n)
		}
	}
}

func TestLeastRequestLevels(t *testing.T) {
	s := fleetOf(t, 4, "least-request")
	if got := shares(t, s, 40); !slices.Equal(got, []int{10, 10, 10, 10}) {
		t.Errorf("shares %v", got)
	}
}

func TestLeastRequestSeesWhatOthersSent(t *testing.T) {
	s := fleetOf(t, 2, "least-request")
	s.Instances()[0].says(7, 0)
	s.Instances()[1].says(0, 0)
	if got := shares(t, s, 7); !slices.Equal(got, []int{0, 7}) {
		t.Errorf("shares %v", got)
	}
}

func TestPowerOfTwoNeverTakesTheBusiest(t *testing.T) {
	s := fleetOf(t, 3, "p2c")
	for i, n := range []int{5, 0, 2} {
		s.Instances()[i].says(n, 0)
	}
	for range 200 {
		d := pick(t, s, ask("m"))
		if index(s, d.Instance) == 0 {
			t.Fatal("the busiest of three was the better of two")
		}
		d.Reservation.End()
	}
}

func TestLeastTokenSeesALongPrompt(t *testing.T) {
	s := fleetOf(t, 2, "least-token")
	long := ask("m")
	long.PromptTokens = 60_000
	busy := pick(t, s, long)
	for range 20 {
		d := pick(t, s, ask("m"))
		if d.Instance == busy.Instance {
			t.Fatal("a short request was put behind a long prompt")
		}
		defer d.Reservation.End()
	}
	// Its prompt done, only its output counts.
	busy.Reservation.FirstByte(0)
	if d := pick(t, s, ask("m")); d.Instance != busy.Instance {
		t.Error("the prompt still counts after its first token")
	}
}

func TestLeastTokenCountsOutputDown(t *testing.T) {
	s := fleetOf(t, 1, "least-token")
	i := s.Instances()[0]
	d := pick(t, s, ask("m"))
	tokens := func(want int64) {
		t.Helper()
		if got := i.load(0).tokens; got != want {
			t.Errorf("%d tokens to do, want %d", got, want)
		}
	}
	tokens(100)
	d.Reservation.FirstByte(0)
	tokens(50)
	d.Reservation.Tokens(20, 0)
	tokens(30)
	d.Reservation.Tokens(500, 0) // more than it was to be
	tokens(0)
	d.Reservation.End()
	tokens(0)
	if n := i.row.inFlight.Load(); n != 0 {
		t.Errorf("%d in flight after the end", n)
	}
}

// Equal loads are told apart by chance: many gateways must not herd.
func TestTiesAreBrokenByChance(t *testing.T) {
	for _, policy := range []string{"least-request", "least-token", "p2c"} {
		s := fleetOf(t, 5, policy)
		got := make([]int, 5)
		for range 1000 {
			d := pick(t, s, ask("m"))
			got[index(s, d.Instance)]++
			d.Reservation.End()
		}
		for i, n := range got {
			if n < 130 || n > 270 {
				t.Errorf("%s: instance %d got %d of 1000", policy, i, n)
			}
		}
	}
}

func TestTwoDiffer(t *testing.T) {
	x := uint64(1)
	for range 1000 {
		x = next(x)
		if a, b := two(x, 3); a == b || a > 2 || b > 2 {
			t.Fatalf("two of 3: %d, %d", a, b)
		}
	}
	if a, b := two(x, 1); a != 0 || b != 0 {
		t.Errorf("two of 1: %d, %d", a, b)
	}
}

package scheduler

import (
	"fmt"
	"testing"
	"time"
)

func TestWhoCannotBeServedInTimeIsToldSo(t *testing.T) {
	s := speeds(t, fast, slow)
	s.cfg.SLO = SLO{TTFT: 2 * time.Second, ITL: 100 * time.Millisecond}
	f := func(tokens int, waited time.Duration, want Verdict) {
		t.Helper()
		q := prompt("x", tokens)
		q.Arrived, q.Now = 1, 1+int64(waited)
		d := s.Pick(q)
		if d.Verdict != want {
			t.Errorf("%d tokens after %v: verdict %v, want %v", tokens, waited, d.Verdict, want)
		}
		if want == Hopeless && (d.TTFT < 1.5 || d.TTFT > 4) {
			t.Errorf("predicted %v s", d.TTFT)
		}
		d.Reservation.End()
	}
	f(5000, 0, Picked) // 1 s
	f(5000, time.Second-200*time.Millisecond, Picked)
	f(8000, time.Second, Hopeless)
	f(15_000, 2500*time.Millisecond, Hopeless)
	s.cfg.SLO = SLO{}
	f(15_000, time.Hour, Picked)
}

// It would be refused for ever, and the conversation that it begins too.
func TestAPromptTooLongForThePromiseMayTakeTheTimeThatItNeeds(t *testing.T) {
	s := speeds(t, fast, fast)
	s.cfg.SLO = SLO{TTFT: 2 * time.Second, ITL: 100 * time.Millisecond}
	ask := func(text string, tokens int) (Decision, time.Duration) {
		q := prompt(text, tokens)
		q.Arrived, q.Now = 1, 1
		more := s.Alone(q)
		return s.Pick(q), more
	}
	if d, more := ask("short", 5000); more != 0 {
		t.Errorf("a prompt of 1 s has %v more", more)
	} else {
		d.Reservation.End()
	}
	if d, more := ask("a", 20_000); d.Verdict != Picked || more < 4*time.Second || more > 5*time.Second {
		t.Fatalf("4 s of computing, nobody busy: verdict %v, %v more", d.Verdict, more)
	}
}

// Long prompts that come again and again would take every gap before a short one,
// which may wait for less.
func TestPromptsTooLongForThePromiseLeaveRoomForOthers(t *testing.T) {
	s := speeds(t, fast, fast, fast, fast)
	s.cfg.SLO = SLO{TTFT: 2 * time.Second, ITL: 100 * time.Millisecond}
	long := 0
	for n := range 20 {
		q := prompt(fmt.Sprint("long", n), 20_000)
		q.Arrived, q.Now = 1, 1
		if s.Pick(q).Verdict == Picked {
			long++
		}
	}
	if long != 3 {
		t.Errorf("%d of four instances compute 4 s each", long)
	}
	q := prompt("short", 200)
	q.Arrived, q.Now = 1, 1
	if d := s.Pick(q); d.Verdict != Picked {
		t.Errorf("a short one: verdict %v", d.Verdict)
	}
}

func TestWhoWasTriedAlreadyIsNotGivenUp(t *testing.T) {
	s := speeds(t, fast, fast)
	s.cfg.SLO = SLO{TTFT: 2 * time.Second, ITL: 100 * time.Millisecond}
	q := prompt("x", 15_000)
	q.Arrived, q.Now = 1, 1e9
	q.Tried.Add(s.Instances()[0])
	if d := s.Pick(q); d.Verdict != Picked {
		t.Errorf("verdict %v", d.Verdict)
	}
}

func TestPatienceIsTheSLOs(t *testing.T) {
	for _, c := range []struct {
		o    SLO
		want float64
	}{{SLO{}, 20}, {SLO{TTFT: time.Second}, 20}, {SLO{TTFT: time.Second, ITL: 20 * time.Millisecond}, 50}} {
		if got := c.o.patience(); got != c.want {
			t.Errorf("%+v: %v, want %v", c.o, got, c.want)
		}
	}
}

// Predictions that let nobody in would never be put right.
func TestWhoWasSlowOnceIsTriedAgain(t *testing.T) {
	s := fleetOf(t, 4, "predictive", func(c *Config) { c.SLO = SLO{TTFT: 2 * time.Second, ITL: 100 * time.Millisecond} })
	for _, i := range s.Instances() {
		i.begin(&fast)
		i.says(0, 0)
	}
	now := int64(0)
	for n := range 400 { // all first tokens take 6 s for a while: a switch is being restarted
		now += sec / 5
		q := prompt(fmt.Sprint("p", n), 500)
		q.Now, q.Arrived = now, now
		d := s.Pick(q)
		if d.Verdict != Picked {
			t.Logf("after %d slow answers: verdict %d", n, d.Verdict)
			break
		}
		d.Reservation.FirstByte(now + 6*sec)
		d.Reservation.End()
	}
	refused := 0
	for n := range 24 * 60 { // a day later, one a minute
		now += 60 * sec
		q := prompt(fmt.Sprint("q", n), 500)
		q.Now, q.Arrived = now, now
		d := s.Pick(q)
		if d.Verdict == Hopeless {
			refused++
			continue
		}
		d.Reservation.FirstByte(now + sec/8)
		d.Reservation.End()
	}
	if refused > 10 {
		t.Errorf("%d of %d requests of the next day are refused: the fleet is idle and well, and nobody may find out", refused, 24*60)
	}
}

package scheduler

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"penstock/scheduler/engine"
)

// lines are what was logged and not looked at yet.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- strings.TrimSpace(string(line))
	return len(line), nil
}

// rationed is a log under ration, and f reads what was logged since: it wants so
// many lines, the last with such an end.
func rationed(t *testing.T) (log *slog.Logger, f func(lines int, last string)) {
	said := make(lines, 999)
	return newRation(slog.New(slog.NewTextHandler(said, nil)).With("instance", "a")), func(lines int, last string) {
		t.Helper()
		synctest.Wait()
		var line string
		n := len(said)
		for range n {
			line = <-said
		}
		if n != lines || !strings.HasSuffix(line, last) {
			t.Errorf("%d lines, the last %q; want %d and %q", n, line, lines, last)
		}
	}
}

func TestInstanceThatFlapsIsRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := rationed(t)
		for n := range 20 { // for 40 s
			log.Info("instance is flapping", "was", "well", "n", n)
			time.Sleep(2 * time.Second)
		}
		f(stateLines, "was=well n=7")
		time.Sleep(rationFor)
		f(1, `was=well n=19 left_out="instance is flapping ×11"`)
		log.Info("instance is well", "was", "ill")
		f(1, `msg="instance is well" instance=a was=ill`)
		for range 100 { // seldom enough: nothing is left out
			time.Sleep(rationFor / stateLines)
			log.Info("instance is well", "was", "ill")
		}
		f(100, `msg="instance is well" instance=a was=ill`)
	})
}

func TestWhatWasLeftOutIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := rationed(t)
		for range 10 {
			log.Warn("instance is out", "was", "healthy")
			log.Info("instance is healthy", "was", "ejected")
			log.Info("signals are believed again")
		}
		time.Sleep(rationFor)
		f(2*stateLines+otherLines+1, `msg="instance is healthy" instance=a was=ejected left_out="instance is healthy ×1, instance is out ×2, signals are believed again ×6"`)
		for range 5 {
			log.Info("signals are believed again")
		}
		time.Sleep(rationFor)
		f(otherLines+1, `msg="signals are believed again" instance=a`)
	})
}

// Messages are a handful; that they stay so is nobody's promise.
func TestWhatWasLeftOutIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, f := rationed(t)
		for n := range 900 {
			log.Info(fmt.Sprintf("line %03d", n))
		}
		f(otherLines, `"line 003" instance=a`)
		time.Sleep(rationFor)
		f(1, `, line 019 ×1"`)
	})
}

// Six faults in turn: that the instance is out has to be read each time, whatever
// else there was to say of it.
func TestChatterDoesNotHideAnEjection(t *testing.T) {
	said := keepLogged(t, func(s *Scheduler, i *Instance, e *scripted) {
		for range 6 {
			for range 3 { // its metrics come and go
				e.set(func(e *scripted) { e.scrape = engine.ErrNoSignals })
				time.Sleep(1500 * time.Millisecond)
				e.set(func(e *scripted) { e.scrape = nil })
				time.Sleep(1500 * time.Millisecond)
			}
			state(t, i, Healthy)
			i.Failed(Refused, "")
			time.Sleep(2 * time.Second)
			state(t, i, Healthy)
			i.Succeeded()
		}
	})
	if n := said.count(`level=WARN msg="instance is out"`); n != 6 {
		t.Errorf("%d ejections were logged of 6:\n%s", n, strings.Join(said, "\n"))
	}
}

package scheduler

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// lines are what was logged and not looked at yet.
type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- strings.TrimSpace(string(line))
	return len(line), nil
}

func TestInstanceThatFlapsIsRationed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := make(lines, 999)
		log := newRation(slog.New(slog.NewTextHandler(said, nil)).With("instance", "a"))
		f := func(lines int, last string) {
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
		for n := range 20 { // for 40 s
			log.Info("flaps", "n", n)
			time.Sleep(2 * time.Second)
		}
		f(rationLines, "instance=a n=7")
		time.Sleep(rationFor)
		f(1, "instance=a n=19 left_out=11")
		log.Info("once more")
		f(1, `msg="once more" instance=a`)
		for range 100 { // seldom enough: nothing is left out
			time.Sleep(rationFor / rationLines)
			log.Info("well")
		}
		f(100, "msg=well instance=a")
	})
}

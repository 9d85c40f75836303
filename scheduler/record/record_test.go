package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/scheduler/telemetry"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// put records a decision between n candidates.
func put(r *Ring, id string, n int) uint64 {
	e := r.Begin(id, "m", 0)
	e.Verdict, e.Instance, e.Policy, e.Prompt = Picked, "a", "p", 100
	for i := range n {
		*e.Add() = Candidate{Instance: string(rune('a' + i)), Cost: float32(i + 1), TTFT: 5}
	}
	return r.Put(e)
}

func TestTheRingHasTheLast(t *testing.T) {
	r := NewRing(8, nil, false)
	for n := range 20 {
		put(r, fmt.Sprint("id-", n%3), 2)
	}
	var got []uint64
	for _, d := range r.Last(5) {
		got = append(got, d.Seq)
	}
	if fmt.Sprint(got) != "[20 19 18 17 16]" {
		t.Errorf("the last: %v", got)
	}
	if n := len(r.Last(100)); n != 8 {
		t.Errorf("%d of 8 slots", n)
	}
	got = nil
	for _, d := range r.Of("id-1") {
		got = append(got, d.Seq)
	}
	if fmt.Sprint(got) != "[20 17 14]" {
		t.Errorf("of a request: %v", got)
	}
	if n, oldest := r.Reach(); n != 8 || oldest.IsZero() || time.Since(oldest) > time.Minute {
		t.Errorf("reach: %d %v", n, oldest)
	}
	if n, _ := NewRing(8, nil, false).Reach(); n != 0 {
		t.Errorf("an empty one reaches %d back", n)
	}
}

func TestTheFirstByteFindsItsDecision(t *testing.T) {
	r := NewRing(8, nil, false)
	one, two := put(r, "one", 1), put(r, "two", 1)
	r.First(one, 1500*time.Microsecond)
	r.First(one, -1)
	r.First(two, -1)
	r.First(0, 1)
	if d := r.Of("one")[0]; d.Actual != 1.5 || d.Unanswered {
		t.Errorf("%+v", d)
	}
	if d := r.Of("two")[0]; d.Actual != 0 || !d.Unanswered {
		t.Errorf("%+v", d)
	}
	for range 8 {
		put(r, "more", 1)
	}
	r.First(one, time.Second) // its slot is another's
	for _, d := range r.Last(8) {
		if d.Actual != 0 || d.Unanswered {
			t.Errorf("%+v", d)
		}
	}
}

func TestNamesOfClientsAreCutAndCopied(t *testing.T) {
	r := NewRing(4, []string{"", "team"}, false)
	id := []byte(strings.Repeat("x", 300))
	e := r.Begin(string(id), "ü"+strings.Repeat("ü", 200), 1)
	e.TTFT, e.Pending = float32(math.Inf(1)), float32(math.NaN())
	r.Put(e)
	d := r.Last(1)[0]
	if len(d.RequestID) != mostText || d.Key != "team" {
		t.Errorf("%+v", d)
	}
	if _, err := json.Marshal(d); err != nil {
		t.Error(err)
	}
}

// Many write, some read: what is read is whole.
func TestWhatIsReadIsWhole(t *testing.T) {
	r := NewRing(64, nil, false)
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				for _, d := range r.Last(64) {
					if len(d.Candidates) != int(d.Prompt) || d.RequestID != fmt.Sprint("id-", d.Prompt) {
						t.Errorf("%+v", d)
						return
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for w := range 4 {
		writers.Go(func() {
			for n := range 2000 {
				size := (n + w) % 7
				e := r.Begin(fmt.Sprint("id-", size), "m", 0)
				e.Prompt = int32(size)
				for range size {
					*e.Add() = Candidate{Instance: "a", Cost: float32(size)}
				}
				seq := r.Put(e)
				r.First(seq, time.Millisecond)
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if got := r.Last(1)[0].Seq; got != 8000 {
		t.Errorf("the last is %d", got)
	}
}

func recorder(t *testing.T, r *Ring, most int64) (*Recorder, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "decisions.zst")
	rec, err := NewRecorder(path, r, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if most > 0 {
		rec.file.most = most
	}
	return rec, path
}

// read is all of a recording.
func read(t *testing.T, path string) (all []*Decision, err error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in, err := NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for {
		d, err := in.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, d)
	}
}

func TestARecordingIsReadBack(t *testing.T) {
	r := NewRing(16, []string{"", "team"}, true)
	rec, path := recorder(t, r, 0)
	e := r.Begin("id-1", "m", 1)
	e.Verdict, e.Instance, e.PromptHash, e.Blocks = Picked, "a", 0xfedcba9876543210, 3
	*e.Add() = Candidate{Instance: "a", TTFT: 12.5, Cost: 30, KVUsage: 0.25, Ages: Ages{10, -1, 0, -1, 7}, Ready: true}
	r.First(r.Put(e), 20*time.Millisecond)
	want := r.Last(1)[0]
	now := time.Now()
	rec.pass(now, false)
	waits := put(r, "id-2", 1)
	rec.pass(now, false)
	if got := rec.written.Load(); got != 1 {
		t.Errorf("%d written: the second waits for its first byte", got)
	}
	r.First(waits, -1)
	rec.pass(now, false)
	put(r, "id-3", 1)
	rec.pass(now.Add(2*answerWithin), false) // and this one in vain
	rec.pass(time.Now(), true)
	rec.end()
	all, err := read(t, path)
	if err != nil || len(all) != 3 || all[2].RequestID != "id-3" {
		t.Fatalf("%d, %v", len(all), err)
	}
	want.key = 0
	if got := fmt.Sprintf("%+v", *all[0]); got != fmt.Sprintf("%+v", want) {
		t.Errorf("got  %s\nwant %+v", got, want)
	}
	if !all[1].Unanswered {
		t.Errorf("%+v", all[1])
	}
}

func TestWhatTheDiskIsTooSlowForIsCounted(t *testing.T) {
	r := NewRing(16, nil, false)
	rec, path := recorder(t, r, 0)
	for range 5 {
		put(r, "a", 1)
	}
	rec.pass(time.Now(), false) // they wait
	for range 40 {
		put(r, "b", 1)
	}
	rec.pass(time.Now(), true)
	rec.end()
	all, err := read(t, path)
	if err != nil || len(all)+int(rec.dropped.Load()) != 45 || rec.dropped.Load() != 29 {
		t.Errorf("%d read, %d dropped, %v", len(all), rec.dropped.Load(), err)
	}
	var page telemetry.Writer
	rec.Collect(&page)
	if !strings.Contains(string(page.Bytes()), "penstock_records_dropped_total 29\n") {
		t.Errorf("%s", page.Bytes())
	}
}

func TestARecordingIsBounded(t *testing.T) {
	r := NewRing(16, nil, false)
	rec, path := recorder(t, r, 1)
	for range 5 {
		put(r, "a", 1)
		rec.pass(time.Now(), true)
	}
	rec.end()
	now, err := read(t, path)
	old, err2 := read(t, path+".1")
	if err != nil || err2 != nil || len(now) != 1 || now[0].Seq != 5 || len(old) != 1 || old[0].Seq != 4 {
		t.Errorf("%v %v, %v %v", now, err, old, err2)
	}
}

func TestADiskThatFailsStopsTheRecordingAlone(t *testing.T) {
	r := NewRing(16, nil, false)
	rec, _ := recorder(t, r, 1)
	rec.file.out.Close()
	for range 3 {
		put(r, "a", 1)
		rec.pass(time.Now(), true)
	}
	if !rec.failed || rec.dropped.Load() == 0 {
		t.Errorf("failed: %v, dropped %d", rec.failed, rec.dropped.Load())
	}
}

func TestWhatCannotBeRecordedTo(t *testing.T) {
	_, err := NewRecorder(filepath.Join(t.TempDir(), "none", "x"), NewRing(16, nil, false), quiet)
	if err == nil || !strings.HasPrefix(err.Error(), "--record: ") {
		t.Errorf("got %v", err)
	}
}

// recording is one of n decisions, compressed.
func recording(t testing.TB, n int) []byte {
	t.Helper()
	r := NewRing(16, nil, false)
	path := filepath.Join(t.TempDir(), "decisions.zst")
	rec, err := NewRecorder(path, r, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for n := range n {
		put(r, fmt.Sprint(n*7919), 3)
		rec.pass(time.Now(), true)
		rec.check(rec.file.flush())
	}
	rec.end()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestARecordingThatWasCutIsReadAsFarAsItGoes(t *testing.T) {
	b := recording(t, 20)
	in, err := NewReader(bytes.NewReader(b[:len(b)*2/3]))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	n := 0
	for ; err == nil; n++ {
		_, err = in.Next()
	}
	if !errors.Is(err, ErrCut) || n < 5 {
		t.Errorf("%d decisions, %v", n, err)
	}
}

func TestWhatIsNoRecording(t *testing.T) {
	first := `{"format":"penstock decisions","version":1}` + "\n"
	for text, want := range map[string]string{
		"":                 "it is no recording",
		"hello\nworld\n":   "it is no recording",
		`{"format":"x"}`:   "it is no recording",
		"\x28\xb5\x2f\xfd": "cut off",
		`{"format":"penstock decisions","version":2}`: "it is a recording of version 2; this is for version 1",
		first + "{\n{}\n":                                              "line 2: ",
		first + `{"candidates":[{"instance":""}]}`:                     "line 2: candidates[0].instance: a name of 1 to 1024 bytes",
		first + `{"candidates":[{"instance":"a","waiting":-1}]}`:       "line 2: candidates[0]: a negative number",
		first + `{"prompt_blocks":99999999}`:                           "line 2: prompt_blocks: 99999999 is out of range",
		first + `{"candidates":[` + strings.Repeat("{},", 64) + `{}]}`: "line 2: 65 candidates: 64 is the most",
		first + strings.Repeat(" ", 200<<10):                           "line 2: ",
	} {
		in, err := NewReader(strings.NewReader(text))
		if err == nil {
			_, err = in.Next()
			in.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(recording(f, 2))
	f.Add([]byte(`{"format":"penstock decisions","version":1}` + "\n" + `{"seq":1,"candidates":[{"instance":"a","cost_ms":1e30,"ages_ms":{"running":-5}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		defer in.Close()
		for range 100 {
			d, err := in.Next()
			if err != nil {
				return
			}
			if _, err := json.Marshal(d); err != nil {
				t.Errorf("%+v: %v", d, err)
			}
		}
	})
}

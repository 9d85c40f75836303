package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// named is a source in memory.
type named struct {
	io.Reader
	name string
}

func (n named) Name() string { return n.name }

func of(name string, b []byte) Source { return named{bytes.NewReader(b), name} }

// count reads to the end.
func count(t *testing.T, from io.Reader) (n int, err error) {
	t.Helper()
	in, err := NewReader(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	for {
		if _, err = in.Next(); err != nil {
			return n, err
		}
		n++
	}
}

// plain is a recording of n decisions, not compressed.
func plain(n int) []byte {
	b := []byte(`{"format":"penstock decisions","version":1}` + "\n")
	for i := range n {
		b = fmt.Appendf(b, `{"seq":%d,"verdict":"picked","candidates":[{"instance":"a"}]}`+"\n", i+1)
	}
	return b
}

// Its header is no decision, wherever it stands.
func TestRecordingsThatFollowOneAnotherAreReadAsOne(t *testing.T) {
	a, b := recording(t, 3), recording(t, 4)
	both := bytes.Join([][]byte{a, b}, nil)
	f := func(what string, from io.Reader) {
		t.Helper()
		if n, err := count(t, from); err != io.EOF || n != 7 {
			t.Errorf("%s: %d of 7, %v", what, n, err)
		}
	}
	f("cat", bytes.NewReader(both))
	f("cat of texts", bytes.NewReader(append(plain(3), plain(4)...)))
	f("joined", Join(of("a", a), of("b", b)))
	f("joined, one a text", Join(of("a", plain(3)), of("b", b)))
	f("joined, as bytes", Join(of("a", a), of("b", b)).Reader)
	if _, err := count(t, Join(of("a", a), of("b", []byte("hello\n")))); err == nil || err.Error() != "b: it is no recording of penstock serve --record" {
		t.Errorf("of another file: %v", err)
	}
	if _, err := count(t, Join()); err == nil {
		t.Error("of no file")
	}
}

func TestWhatOneFileHasLostCostsNoOther(t *testing.T) {
	whole := recording(t, 20)
	for n := len(whole) / 3; n < len(whole)-8; n++ { // wherever it was cut
		files := Join(of("a", whole[:n]), of("b", whole))
		if got, err := count(t, files); !errors.Is(err, ErrCut) || got < 20 || got >= 41 || files.Damage() != nil {
			t.Fatalf("cut at %d: %d of 40, %v, %v", n, got, err, files.Damage())
		}
	}
	half := append(plain(3), `{"seq":4,"verd`...)
	files := Join(of("a", half), of("b", plain(2)))
	if got, err := count(t, files); got != 5 || !errors.Is(err, ErrCut) || files.Damage() != nil {
		t.Errorf("half a line: %d of 5, %v, %v", got, err, files.Damage())
	}
	files = Join(of("both", append(append(half, '\n'), plain(2)...)))
	if got, err := count(t, files); got != 5 || !errors.Is(err, ErrCut) || files.Damage() != nil {
		t.Errorf("half a line, by cat: %d of 5, %v, %v", got, err, files.Damage())
	}
}

func TestBeforeADamagedPartAllIsGood(t *testing.T) {
	whole := recording(t, 20)
	for n := len(whole) / 2; n < len(whole)*2/3; n++ {
		broken := bytes.Clone(whole)
		for i := n; i < n+8; i++ {
			broken[i] ^= 0x5a
		}
		files := Join(of("a", broken), of("b", whole))
		got, err := count(t, files)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrCut) || got < 20+2 {
			t.Fatalf("broken at %d: %d of 40, %v, %v", n, got, err, files.Damage())
		}
		if damage := files.Damage(); damage != nil && !strings.HasPrefix(damage.Error(), "a: line ") {
			t.Errorf("broken at %d: %v", n, damage)
		}
	}
	f := func(line, want string) {
		t.Helper()
		files := Join(of("a", append(append(append(plain(3), line...), "\n{}\n{}\n"...), plain(2)...)))
		if got, err := count(t, files); got != 5 || !errors.Is(err, ErrCut) || fmt.Sprint(files.Damage()) != want {
			t.Errorf("%s: %d of 5, %v, %v", line, got, err, files.Damage())
		}
	}
	f(`{"seq":x}`, "a: line 5: invalid character 'x' looking for beginning of value")
	f(`{"prompt_tokens":-1}`, "a: line 5: prompt_tokens, block_tokens: negative")
}

// Nothing is asked about them, and nothing written is thrown away for them.
func TestARefusalIsRecordedAndIsNoDecision(t *testing.T) {
	r := NewRing(16, nil, false)
	rec, path := recorder(t, r, 0)
	e := r.Begin("id-1", "m", 0)
	e.Verdict, e.Code, e.Status = Refused, "queue_full", 429
	r.Put(e)
	if d := r.Of("id-1")[0]; d.Verdict != Refused || d.Code != "queue_full" || d.Status != 429 {
		t.Errorf("%+v", d)
	}
	rec.pass(e.Time, false)
	if got := rec.written.Load(); got != 1 {
		t.Errorf("%d written: it waits for no first byte", got)
	}
	rec.end()
	if all, err := read(t, path); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	if isBare(path) {
		t.Error("a file of refusals is none that may be written over")
	}
}

// What was written before there were refusals is read as it was.
func TestAnOlderRecordingIsRead(t *testing.T) {
	const line = `{"seq":7,"request_id":"x","time":"2026-01-01T00:00:00Z","verdict":"full","instance":"a","policy":"predictive","reason":"r","degraded":"none","try":1,"candidates":[{"instance":"a"}]}`
	in, err := NewReader(strings.NewReader(`{"format":"penstock decisions","version":1}` + "\n" + line))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if d, err := in.Next(); err != nil || d.Verdict != Full || d.Unheld || d.Code != "" || d.Seq != 7 {
		t.Errorf("%+v, %v", d, err)
	}
}

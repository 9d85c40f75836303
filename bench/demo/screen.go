package demo

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// screen is where a show is seen: a picture that is drawn over itself in a
// terminal, lines elsewhere.
type screen interface {
	show(*show) error
	close(*show) error // leaves the terminal as it was
}

func newScreen(out io.Writer, size func() (columns, rows int)) screen {
	if size == nil {
		return &printer{out: out}
	}
	return &painter{out: out, size: size, frame: frame{paint: lipgloss.NewRenderer(out)}}
}

// painter draws in place, below what stands in the terminal already.
type painter struct {
	out   io.Writer
	size  func() (columns, rows int)
	frame frame
	drawn int // lines of the picture that stands there
	buf   bytes.Buffer
}

// Escape sequences (ECMA-48, and DEC's for the cursor).
const (
	hideCursor  = "\x1b[?25l"
	showCursor  = "\x1b[?25h"
	clearScreen = "\x1b[2J\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

func (p *painter) show(s *show) error {
	columns, rows := p.size()
	p.buf.Reset()
	p.buf.WriteString(hideCursor)
	switch {
	case p.frame.columns != 0 && (columns != p.frame.columns || rows != p.frame.rows):
		p.buf.WriteString(clearScreen) // what stood there has been wrapped
	case p.drawn > 0:
		fmt.Fprintf(&p.buf, "\x1b[%dA\r", p.drawn)
	}
	p.frame.columns, p.frame.rows = columns, rows
	lines := p.frame.draw(s)
	lines = lines[:min(len(lines), max(rows-1, 1))]
	for _, line := range lines {
		p.buf.WriteString(line + clearLine + "\r\n")
	}
	p.buf.WriteString(clearBelow)
	p.drawn = len(lines)
	_, err := p.out.Write(p.buf.Bytes())
	return err
}

// close draws once more: the last requests have ended since.
func (p *painter) close(s *show) error {
	if p.drawn > 0 {
		if err := p.show(s); err != nil {
			return err
		}
	}
	_, err := io.WriteString(p.out, showCursor+"\r\n")
	return err
}

// printer writes a line for each event, and how things stand now and then.
type printer struct {
	out    io.Writer
	begun  bool
	events []string // written
	next   time.Duration
}

const (
	printEvery = 5 * time.Second
	// settling is how long an event's consequences are waited for before it is
	// written down for good.
	settling = 4 * time.Second
)

func (p *printer) show(s *show) error {
	if !p.begun {
		p.begun = true
		if _, err := fmt.Fprintf(p.out, "router at %s, state and metrics at %s/\n", s.Router.URL, s.Router.Admin); err != nil {
			return err
		}
	}
	if err := p.tell(s, settling); err != nil {
		return err
	}
	if s.elapsed < p.next || len(p.events) < len(s.events) {
		return nil
	}
	p.next = s.elapsed + printEvery
	b := s.board()
	_, err := fmt.Fprintf(p.out, "%s  %.1f requests/s, %d in the router, %d held, first token p99 %s\n", clock(s.elapsed),
		s.perSecond(func(b *Board) uint64 { return b.Requests }), b.Inside, b.Pending, seconds(b.TTFTP99))
	return err
}

// tell writes the events that are so old.
func (p *printer) tell(s *show, age time.Duration) error {
	for len(p.events) < len(s.events) && s.events[len(p.events)].at+age <= s.elapsed {
		e := s.events[len(p.events)]
		told := e.sentence(s)
		p.events = append(p.events, told)
		if _, err := fmt.Fprintf(p.out, "%s  %s\n", clock(e.at), told); err != nil {
			return err
		}
	}
	return nil
}

// close tells the rest, and again what had further consequences.
func (p *printer) close(s *show) error {
	before := len(p.events)
	if err := p.tell(s, 0); err != nil {
		return err
	}
	for i, told := range p.events[:before] {
		e := s.events[i]
		if now := e.sentence(s); now != told {
			if _, err := fmt.Fprintf(p.out, "%s  in the end: %s\n", clock(e.at), now); err != nil {
				return err
			}
		}
	}
	return nil
}

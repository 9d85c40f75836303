package demo

import (
	"io"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// moment is a show as it stands at one moment, with nothing behind it.
func moment() *show {
	s := &show{Options: Options{For: 20 * time.Second, Router: Router{URL: "http://127.0.0.1:8080", Admin: "http://127.0.0.1:8081"}}, elapsed: 9 * time.Second}
	s.boards = []sample{
		{4 * time.Second, Board{Requests: 100, OutputTokens: 2000}},
		{9 * time.Second, Board{
			Engines: []Engine{
				{Name: "gpu-1", State: "healthy", Running: 24, Waiting: 3, KVUsage: 0.52, InFlight: 27, Requests: 123456},
				{Name: "gpu-2", State: "ejected"}, {Name: "gpu-3", State: "starting"}, {Name: "gpu-4", State: "suspect", KVUsage: 1.3},
			},
			Requests: 200, OutputTokens: 12000, Inside: 40, Pending: 7, Retries: 3, TTFTP50: 0.04, TTFTP99: 1.26,
		}},
	}
	s.begin()
	s.tell(func(*show) string { return "This happened a moment ago." })
	return s
}

func newFrame(columns, rows int) *frame {
	return &frame{columns: columns, rows: rows, paint: lipgloss.NewRenderer(io.Discard)}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// usage is CPU time since the machine began, in ticks.
type usage struct {
	all  int64 // that there was
	busy int64
	ours int64 // of it, this process's and those of a group's
}

// usageOf reads /proc. What others take while an engine is measured is time that
// no model of it knows of.
func usageOf(group int) (u usage, err error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for n, cell := range strings.Fields(line)[1:] {
		ticks, err := strconv.ParseInt(cell, 10, 64)
		if err != nil {
			return u, fmt.Errorf("/proc/stat: %w", err)
		}
		if n < 8 { // the rest is in the first two
			u.all += ticks
		}
		if n < 8 && n != 3 && n != 4 { // idle, waiting for a disk
			u.busy += ticks
		}
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil { // else it has ended
			u.ours += ticksOf(string(b), group)
		}
	}
	return u, err
}

// ticksOf reads a process's line: number, (name), state, parent, group …
func ticksOf(stat string, group int) int64 {
	number, rest, _ := strings.Cut(stat, " (")
	_, rest, ok := strings.Cut(rest[max(strings.LastIndexByte(rest, ')'), 0):], " ")
	cells := strings.Fields(rest)
	if !ok || len(cells) < 13 || cells[2] != strconv.Itoa(group) && number != strconv.Itoa(os.Getpid()) {
		return 0
	}
	user, _ := strconv.ParseInt(cells[11], 10, 64)
	system, _ := strconv.ParseInt(cells[12], 10, 64)
	return user + system
}

// others is the share of the machine that other programs took in between.
func (u usage) others(since usage) float64 {
	return float64(max(u.busy-since.busy-(u.ours-since.ours), 0)) / float64(max(u.all-since.all, 1))
}

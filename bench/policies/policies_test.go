package main

import (
	"strings"
	"testing"

	"penstock/bench/fleet"
	"penstock/bench/load"
	"penstock/bench/workload"
)

func TestTableHasBothFigures(t *testing.T) {
	w, err := workload.Named("w12")
	if err != nil {
		t.Fatal(err)
	}
	hit := 0.25
	r := row{"p2c", load.Report{Requests: 10, Completed: 7, Rejected: 2, GoodputRPS: 1.5, PrefixHitRate: &hit}, fleet.Row{GoodputRPS: 1.75, PrefixHitRate: 0.5}}
	var b strings.Builder
	if err := settings[1].print(&b, w, []row{r}); err != nil {
		t.Fatal(err)
	}
	for _, want := range append(r.cells(), "1.50", "1.75", "25.0 %", "50.0 %", "5 × 7b-a10") {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if len(r.cells()) != len(columns) {
		t.Errorf("%d cells under %d columns", len(r.cells()), len(columns))
	}
}

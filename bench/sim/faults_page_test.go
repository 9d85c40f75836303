package sim

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestFaultsPageHasACallForEachKind(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, call := range regexp.MustCompile(`(?m)^    curl .*/_sim/fault -d '(.*)'$`).FindAllSubmatch(page, -1) {
		var f Fault
		if err := json.Unmarshal(call[1], &f); err != nil {
			t.Errorf("%s: %v", call[1], err)
		}
		shown[f.Kind] = true
	}
	for kind := range faultParameters {
		if !shown[kind] {
			t.Errorf("the page has no call for %s", kind)
		}
		if !strings.Contains(FaultKinds, kind) {
			t.Errorf("the help does not know %s", kind)
		}
	}
}

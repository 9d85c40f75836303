package dataplane

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The page has a row for each refusal that the source can make, and none else.
func TestErrorsPageHasEachRefusal(t *testing.T) {
	made := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	refused := regexp.MustCompile(`refusal\{status: (\d+), code: "(\w+)", reason: reason(\w+)`)
	words := regexp.MustCompile(`([a-z])([A-Z])`)
	for _, f := range files {
		for _, m := range refused.FindAllStringSubmatch(source(t, f), -1) {
			made[m[1]+" "+m[2]+" "+strings.ToLower(words.ReplaceAllString(m[3], "${1}_$2"))] = true
		}
	}
	shown := map[string]bool{}
	row := regexp.MustCompile("(?m)^\\| (\\d+) \\| `(\\w+)` \\| `(\\w+)` \\|")
	for _, m := range row.FindAllStringSubmatch(source(t, filepath.Join("..", "docs", "errors.md")), -1) {
		shown[m[1]+" "+m[2]+" "+m[3]] = true
	}
	for r := range made {
		if !shown[r] {
			t.Errorf("the page lacks %s", r)
		}
	}
	for r := range shown {
		if !made[r] {
			t.Errorf("the page has %s, which nobody is told", r)
		}
	}
	if len(made) < 15 {
		t.Errorf("only %d refusals were found in the source", len(made))
	}
}

func source(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

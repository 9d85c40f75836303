package engine

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/engines.md from the table")

const enginesPage = "../../docs/engines.md"

// The page says what the table does: it is made from it, and how each series
// was tested from what is in testdata.
//
//go:generate go test . -run TestEnginesPage -update
func TestEnginesPage(t *testing.T) {
	want := writePage(t)
	if *update {
		if err := os.WriteFile(enginesPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(enginesPage)
	if err != nil || string(got) != want {
		t.Errorf("docs/engines.md is not what the table says (%v): go test ./scheduler/engine -run TestEnginesPage -update", err)
	}
}

const pageHead = `# Engines: what is read, and where

Made from the table in scheduler/engine/profiles.go: change that, then run
` + "`go test ./scheduler/engine -run TestEnginesPage -update`" + `.

**Tested how.** *real*: on a page taken from a running engine. *golden*: on a page written from the engine's own
source or documentation, with the expected reading beside it (scheduler/engine/testdata). *unproven*: on nothing; the
name is taken from a document or from memory. Of the paths and of owned_by, those of trtllm and triton are unproven.

**Rules.** Series of one field are added up, over the ranks of an instance too; of usages the highest counts, and one
rank asleep makes the instance asleep. A series marked *older* is read only where the newer name is absent. KV usage that
is not said is used ÷ size. What an engine does not say is missing and not zero: a policy that wanted it steps down.
` + "`engine: auto`" + ` finds the kind by the names on the page; where those say nothing by ` + "`owned_by`" + ` in the list of models, then by
where the version is told; and again after each restart. Pages of the Python Prometheus client are asked with
` + "`/metrics/?name[]=…`" + `, where that answers.

An engine that is not here, or that renamed something, is described under ` + "`engines`" + ` in the configuration:

` + "```yaml" + `
engines:
  my_engine: {metrics_path: /stats, running: my_running, waiting: my_queue, kv_usage: my_cache_pct, kv_usage_scale: 0.01}
  in_json:   {metrics_path: /load, format: json, running: "ranks.*.running", waiting: ["ranks.*.queued", grammar.queued]}
  by_label:  {running: 'req{state="run"}', kv_tokens: "cache_info[size]", health_path: /live, models_path: /models}
  bladellm:  {running: its_real_name}   # one of the names below: what is not named stays
` + "```" + `

A name that is mapped and is not on the page is said in the log and in the instance's ` + "`reason`" + `: "mapped running=my_runing is not on
/stats"; so is a page that is not there, or is not of its ` + "`format`" + `. A ` + "`kv_usage`" + ` beyond 1 is a percentage without its scale, and not believed.

Fields: `

// writePage is the whole page.
func writePage(t *testing.T) string {
	var b strings.Builder
	b.WriteString(pageHead)
	for i, name := range fieldNames {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("`" + name + "`")
	}
	b.WriteString("; each may have a `_scale`. `kv_usage` is 0 to 1.\n")
	for _, p := range profiles {
		fmt.Fprintf(&b, "\n## %s\n\n", p.kind)
		if p.unproven {
			b.WriteString("**Unproven.** Nothing public documents this engine's interface. The names are those that the managed service gives for\n" +
				"the engines that it reads, and internal ones; no page of a real one has been seen. Where they are wrong, name the right\nones in the configuration, as above.\n\n")
		}
		writePaths(&b, p)
		b.WriteString("\n| signal | read from | tested |\n|---|---|---|\n")
		for f := range numFields {
			writeRows(t, &b, p, f)
		}
	}
	return b.String()
}

func writePaths(b *strings.Builder, p *profile) {
	line := func(what string, paths ...string) {
		if len(paths) > 0 && paths[0] != "" {
			fmt.Fprintf(b, "- %s: `%s`\n", what, strings.Join(paths, "`, else `"))
		}
	}
	line("metrics", p.pages...)
	line("load, before the metrics", p.loads)
	line("health", p.health)
	proof := "POST /v1/completions"
	if p.generate != "" {
		proof = "GET " + p.generate
	}
	line("proof of life", proof)
	line("models", p.models)
	line("owned_by", p.owner)
	line("version", p.about...)
}

// writeRows writes what is read for one field, the newest name first.
func writeRows(t *testing.T, b *strings.Builder, p *profile, f field) {
	row := func(s source, where string) {
		if s.to != f {
			return
		}
		if s.age > 0 {
			where += ", older"
		}
		fmt.Fprintf(b, "| %s | `%s`%s | %s |\n", fieldNames[f], s.name, where, testedHow(t, p, s))
	}
	for _, s := range p.loadsFrom {
		row(s, " of the load document")
	}
	for _, s := range p.page {
		row(s, "")
	}
	for _, s := range p.aboutFrom {
		row(s, " beside the version")
	}
}

// testedHow looks for the source in testdata.
func testedHow(t *testing.T, p *profile, s source) string {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	how := "unproven"
	for _, file := range files {
		if !isPageOf(p.kind, file.Name()) {
			continue
		}
		var said tally
		alone := newProfile(profile{page: []source{s}})
		if err := alone.read(golden(t, file.Name()), &said); err != nil {
			t.Fatal(err)
		}
		switch {
		case !said.cells[s.to].set || p.unproven:
		case strings.HasPrefix(file.Name(), "real-"):
			return "real"
		default:
			how = "golden"
		}
	}
	return how
}

func isPageOf(k Kind, name string) bool {
	if r, ok := goldens[name]; ok {
		return r.Kind == k
	}
	return goldenAsides[name].kind == k
}

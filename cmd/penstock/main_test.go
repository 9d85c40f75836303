package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs the binary's main with args.
func command(args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	status = run(args, &o, &e)
	return status, o.String(), e.String()
}

func TestExitStatusAndOneLineOfError(t *testing.T) {
	dir := t.TempDir()
	file := filesIn(t, dir)
	bad := file("bad.yaml", "instances: [{url: http://127.0.0.1:1}]\nqueue: {max_siez: 3}\n")
	f := func(status int, want string, args ...string) {
		t.Helper()
		got, _, errs := command(args...)
		if got != status || !strings.Contains(errs, want) || strings.Count(strings.TrimSpace(errs), "\n") > 0 {
			t.Errorf("%v: status %d, want %d; said %q, want %q", args, got, status, errs, want)
		}
	}
	f(2, "penstock: which command?")
	f(2, `did you mean "serve"`, "srve")
	f(2, `did you mean "--policy"`, "serve", "--polcy", "x")
	f(2, "no instance and no way to get one", "serve")
	f(2, bad+`:2: queue.max_siez: unknown key (did you mean "max_size"?)`, "serve", "-c", bad)
	f(2, bad+":2: queue.max_siez", "check", "-c", bad)
	f(2, "no such file", "check", "-c", filepath.Join(dir, "none.yaml"))
	f(2, "--against: not there yet", "check", "--against", "http://127.0.0.1:8081", "--instance", "http://127.0.0.1:1")
	f(2, `--workload: "w99" is none of w1`, "fleet", "--workload", "w99")
	f(2, "not there yet", "top")
	f(2, "--kv-events: not there yet", "sim", "--kv-events", "5557")
	f(2, "instances", "sim", "--instances", "0")
	f(1, "connection refused", "bench", "--url", "http://127.0.0.1:1", "--requests", "1")
	f(2, "unexpected argument m.yaml: did you mean -c m.yaml?", "check", "m.yaml")
	f(2, "did you mean --instance http://a:1?", "serve", "http://a:1")
	f(2, "did you mean --instance http://127.0.0.1:9100?", "serve", "127.0.0.1:9100")
	f(2, "did you mean --url http://a:1?", "bench", "--url", "http://b:1", "http://a:1")
	f(2, "did you mean --help?", "serve", "help")
	f(2, "unexpected argument x\n", "demo", "x")
	f(2, "penstock: --url: need the endpoint, such as http://127.0.0.1:8080\n", "bench")
	f(2, "penstock: -c needs a file\n", "serve", "-c")
	f(2, "penstock: -c needs a file\n", "serve", "-c", "--kernel", "off")
	f(2, "penstock: --listen needs a value\n", "serve", "--listen")
	f(2, `--for: "10" is no duration: write one such as 10s`, "demo", "--for", "10")
	f(2, `--for: "-1s" is no duration: write one such as 10s`, "demo", "--for", "-1s")
	f(2, "--for: 0s is too short for the story: need 3s or more", "demo", "--for", "0s")
	f(2, "--for: -1s is too short for the story: need 3s or more", "demo", "--for=-1s")
	f(2, `--duration: "5" is no duration: write one such as 10s`, "bench", "--url", "http://a", "--duration", "5")
	f(2, `--requests: "x" is no number`, "bench", "--url", "http://a", "--requests", "x")
	f(2, "is this router's own data port", "serve", "--instance", "http://127.0.0.1:8080")
	f(2, `"127.0.0.1:9100": write http://127.0.0.1:9100`, "serve", "--instance", "127.0.0.1:9100")
	f(0, "", "version")
	f(0, "", "help")
	f(0, "", "help", "serve")
	f(0, "", "--version")
	f(0, "", "fleet", "--help")
	f(0, "", "--help")
	f(0, "", "serve", "--help")
}

func TestAddressInUseIsSaid(t *testing.T) {
	ln, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	f := func(flag string, args ...string) {
		t.Helper()
		args = append([]string{"serve", "--instance", "http://127.0.0.1:1"}, args...)
		if status, _, errs := command(args...); status != 1 || !strings.Contains(errs, taken) || !strings.Contains(errs, "address already in use (another penstock? choose another with --"+flag+")") || strings.Count(errs, taken) != 1 {
			t.Errorf("%v: status %d, %s", args, status, errs)
		}
	}
	f("listen", "--listen", taken, "--admin", "127.0.0.1:0")
	f("admin", "--listen", "127.0.0.1:0", "--admin", taken)

	taken = "unix:" + filepath.Join(t.TempDir(), "p.sock")
	unix, err := net.Listen("unix", strings.TrimPrefix(taken, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	f("listen", "--listen", taken, "--admin", "127.0.0.1:0")
}

func TestCheckPrintsWhatServeWouldDo(t *testing.T) {
	status, out, errs := command("check", "--instance", "http://10.0.0.11:8000", "--policy", "p2c")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, %s", status, errs)
	}
	for _, want := range []string{"policy: p2c", "url: http://10.0.0.11:8000", "max_size: 128", "admin: 127.0.0.1:8081"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

// What serve would refuse at its start, check does, in the same words.
func TestCheckReadsTheFileOfInstances(t *testing.T) {
	dir := t.TempDir()
	list, file := filepath.Join(dir, "list.yaml"), filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndiscovery: {file: list.yaml}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(want string) {
		t.Helper()
		for _, command := range []string{"check", "serve"} {
			if status := start(t, command, "-c", file); status.end() != exitUsage || status.errs.String() != "penstock: "+want+"\n" {
				t.Errorf("%s said %s, want %s", command, &status.errs, want)
			}
		}
	}
	f(file + ":3: discovery.file: " + list + ": no such file or directory")
	g := func(content, want string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f(want)
	}
	g("instances:\n- url: http://a:1\n- {ulr: http://b:1}\n", list+`:3: instances[1].ulr: unknown key (did you mean "url"?)`)
	g("instances:\n- {url: http://a:1, name: x}\n- {url: http://b:1, name: x}\n", list+":3: instances[1].name: x stands twice")
	if err := os.WriteFile(list, []byte("instances: [{url: 'http://a:1'}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errs := command("check", "-c", file); status != 0 || errs != "" || !strings.Contains(out, "file: list.yaml") {
		t.Errorf("status %d, %s%s", status, out, errs)
	}
}

func TestVersionSaysWhatItIs(t *testing.T) {
	_, out, _ := command("version")
	for _, want := range []string{"penstock " + version, commit, "go1.", "kernel"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q: %s", want, out)
		}
	}
}

func TestDemoEndsByItselfWithASummary(t *testing.T) {
	status, out, errs := command("demo", "--for", "3s")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, %s", status, errs)
	}
	for _, want := range []string{"gpu-3 was killed; its requests went elsewhere; 0 failed.", "gpu-3 is back", "0 refused, 0 failed.", "router at http://", "Before your own engines"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

func TestHelpSaysWhatIsThere(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		if _, out, _ := command(args...); !strings.Contains(out, want) {
			t.Errorf("%v: the output lacks %q: %s", args, want, out)
		}
	}
	f("Example: penstock serve --instance http://", "serve", "--help")
	f("Usage: penstock serve", "help", "serve")
	f("Usage: penstock <command>", "help")
	f("penstock "+version, "--version")
	f("doctor: not there yet: a later version of Penstock brings it\n", "doctor", "--help")
	f("top: not there yet", "help", "top")
	f("3s or more", "demo", "--help")
	for _, value := range []string{"(127.0.0.1:8080)", "(127.0.0.1:8081)", "(auto)", "(predictive)", "(info)", "(text)", "(30s)"} {
		f(value, "serve", "--help")
	}
}

func TestCheckSaysAllThatIsWrongInALineEach(t *testing.T) {
	bad := filesIn(t, t.TempDir())("bad.yaml", "instances: [{url: http://127.0.0.1:1}]\nqueue: {max_siez: 3}\nretry: {count: 9}\nwebsocket: {origins: [wss://a], paths: [/ping]}\n")
	_, _, errs := command("check", "-c", bad)
	want := []string{
		bad + `:2: queue.max_siez: unknown key (did you mean "max_size"?)`,
		bad + `:4: websocket.origins[0]: "wss://a": write https://a, as the page names itself`,
		bad + `:4: websocket.paths[0]: /ping is a path of the router's own, and no WebSocket`,
		bad + `:3: retry.count: 9 is out of range: 0 to 7`,
	}
	if errs != "penstock: "+strings.Join(want, "\npenstock: ")+"\n" {
		t.Errorf("said\n%s", errs)
	}
	many := filesIn(t, t.TempDir())("many.yaml", "queue:\n"+strings.Repeat("  a: 1\n", 25))
	if _, _, errs := command("check", "-c", many); strings.Count(errs, "\n") != failMost+1 || !strings.HasSuffix(errs, "penstock: and 5 more\n") {
		t.Errorf("said\n%s", errs)
	}
}

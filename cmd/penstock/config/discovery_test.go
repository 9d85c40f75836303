package config

import (
	"errors"
	"path/filepath"
	"testing"

	"penstock/scheduler/discovery"
)

func TestWhatIsWrongWithDiscoveryIsSaid(t *testing.T) {
	token := write(t, "token", "sk token")
	f := func(text, want string) {
		t.Helper()
		_, err := read(text, Flags{})
		refused(t, err, want)
	}
	f("discovery: {dns: {type: a}}", "p.yaml:1: discovery.dns: is missing: name the record, such as _vllm._tcp.rack1.internal")
	f("discovery: {dns: {name: r, type: mx}}", `p.yaml:1: discovery.dns.type: "mx" is none of: a, aaaa, srv`)
	f("discovery: {dns: {name: r, type: a}}", "p.yaml:1: discovery.dns: need the engines' port, 1 to 65535: a records have none")
	f("discovery: {dns: {name: r, port: 1}}", "p.yaml:1: discovery.dns.port: has no place here: srv records have the port in them")
	f("discovery: {dns: {name: r, refresh: 1ms}}", "p.yaml:1: discovery.dns.refresh: 1ms is out of range: 1s to 1h")
	f("discovery: {register: {ttl: 1ms}}", "p.yaml:1: discovery.register.ttl: 1ms is out of range: 1s to 1h")
	f("discovery: {register: {token_file: "+token+"}}", "p.yaml:1: discovery.register.token_file: "+token+": need one line with a key, of printable characters without spaces")
	f("discovery:\n  register:", "p.yaml:2: discovery.register: nothing is there: write {} to let instances register, or take the key out")
	f(one+"discovery: {register: }", "p.yaml:2: discovery.register: nothing is there: write {} to let instances register, or take the key out")
	f("discovery: {fiel: x}", `p.yaml:1: discovery.fiel: unknown key (did you mean "file"?)`)
	f("admin: 0.0.0.0:9\ndiscovery: {register: {}}", "p.yaml:2: discovery.register: the admin port 0.0.0.0:9 is not on loopback alone: registration there needs a token_file")
}

// Which of the two files is wrong, and where: a relative path is shown whole.
func TestWrongFileOfInstancesIsNamedWithItsKey(t *testing.T) {
	path := write(t, "p.yaml", "listen: 127.0.0.1:0\ndiscovery: {file: list.yaml}\n")
	c, err := Load(path, Flags{})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(filepath.Dir(path), "list.yaml")
	if c.Discovery.File != list {
		t.Errorf("the path is %s", c.Discovery.File)
	}
	refused(t, c.Discovery.WrongFile(errors.New(list+": no such file")), path+":2: discovery.file: "+list+": no such file")
	_, err = c.ParseInstances(list, []byte("instances:\n- {ulr: x}"))
	refused(t, c.Discovery.WrongFile(err), list+`:2: instances[0].ulr: unknown key (did you mean "url"?)`)
	_, err = c.ParseInstances(list, nil)
	refused(t, c.Discovery.WrongFile(err), list+":1: the file is empty: write `instances: []` if there are none")

	t.Chdir(filepath.Dir(path))
	if c, err = Load("p.yaml", Flags{}); err != nil || c.Discovery.File != list {
		t.Errorf("from its own folder the path is %s, %v", c.Discovery.File, err)
	}
}

func TestListOfInstancesIsParsed(t *testing.T) {
	c := mustRead(t, one, Flags{})
	f := func(text string, want int) {
		t.Helper()
		list, err := c.ParseInstances("i.yaml", []byte(text))
		if err != nil || len(list) != want {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
	f("instances: []", 0)
	f("[]", 0)
	f("instances: [{url: 'http://a:1'}, {url: 'http://b:1', name: b}]", 2)
	f("- {url: 'http://a:1'}\n- url: http://[::1]:8000\n", 2)
	g := func(text, want string) {
		t.Helper()
		_, err := c.ParseInstances("i.yaml", []byte(text))
		refused(t, err, want)
	}
	g("instances: [{url: 'http://a:1'}, {url: 'http://a:1'}]", "i.yaml:1: instances[1].url: http://a:1 stands twice")
	g("", "i.yaml:1: the file is empty: write `instances: []` if there are none")
	g("# soon\n", "i.yaml:1: the file is empty: write `instances: []` if there are none")
	g("instances:", "i.yaml:1: instances: nothing is there: write `instances: []` if there are none")
	g("{}", "i.yaml:1: nothing is there: write `instances: []` if there are none")
	g("instance: []", `i.yaml:1: instance: unknown key (did you mean "instances"?)`)
	g("instances:\n- {url: 'http://127.0.0.1:8081'}", "i.yaml:2: instances[0].url: http://127.0.0.1:8081 is this router's own admin port")
}

func TestWhoRegistersIsChecked(t *testing.T) {
	c := mustRead(t, one, Flags{})
	got, err := c.Target(discovery.Target{URL: "http://GPU-1:8000/", Models: []string{"m"}})
	if err != nil || got.URL != "http://gpu-1:8000" || got.Name != "gpu-1:8000" || len(got.Models) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, url := range []string{"http://[0:0:0:0:0:0:0:1]:8000", "http://[::1]:8000/"} {
		if got, err := c.Target(discovery.Target{URL: url}); err != nil || got.URL != "http://[::1]:8000" || got.Name != "[::1]:8000" {
			t.Errorf("%s: %+v, %v", url, got, err)
		}
	}
	f := func(target discovery.Target, want string) {
		t.Helper()
		_, err := c.Target(target)
		refused(t, err, want)
	}
	f(discovery.Target{URL: "http://127.0.0.1:8080"}, "url: http://127.0.0.1:8080 is this router's own data port")
	f(discovery.Target{}, "url is missing")
	f(discovery.Target{URL: "http://a:1", Name: "a/b"}, `"a/b": letters, digits and . _ : - can name an instance, 128 at most`)
	f(discovery.Target{URL: "http://a:1", Engine: "vlm"}, `engine: "vlm" is none of: auto, vllm, sglang, lmdeploy, tgi, trtllm, triton, llamacpp, bladellm (did you mean "vllm"?)`)
}

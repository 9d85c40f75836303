package config

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"penstock/dataplane"
)

func TestKeys(t *testing.T) {
	digest := sha256.Sum256([]byte("sk-digest"))
	path := write(t, "keys.yaml", `keys:
  - {name: clear, key: sk-clear}
  - {name: digest, sha256: `+strings.ToUpper(hex.EncodeToString(digest[:]))+`, explain: true, priority: -5}
  - {name: bounded, key: sk-bounded, priority: 10, requests_per_minute: 600, tokens_per_minute: 1000000, max_in_flight: 8}
  - {name: free, key: sk-free, priority: 0, requests_per_minute: 0, tokens_per_minute: , max_in_flight: 0}
  - name: narrow
    key: 0123          # digits are a key too, as they stand
    models: [a, b]
`)
	got, err := readKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []dataplane.Key{
		{Name: "clear", Digest: sha256.Sum256([]byte("sk-clear"))},
		{Name: "digest", Digest: digest, Explain: true, Priority: -5},
		{Name: "bounded", Digest: sha256.Sum256([]byte("sk-bounded")), Priority: 10, RequestsPerMinute: 600, TokensPerMinute: 1e6, MaxInFlight: 8},
		{Name: "free", Digest: sha256.Sum256([]byte("sk-free"))},
		{Name: "narrow", Digest: sha256.Sum256([]byte("0123")), Models: []string{"a", "b"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAKeysFileKeepsClientsKeysFromTheEngines(t *testing.T) {
	path := write(t, "keys.yaml", "keys: [{name: a, key: b}]")
	f := func(more, want string) {
		t.Helper()
		c := mustRead(t, one+"auth: {keys_file: "+path+more+"}", Flags{})
		if c.Gateway.Auth.EngineKey != want {
			t.Errorf("got %s, want %s", c.Gateway.Auth.EngineKey, want)
		}
	}
	f("", "drop")
	f(", engine_key: passthrough", "passthrough")
}

func TestErrorsOfKeys(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	f := func(text, want string) {
		t.Helper()
		path := write(t, "keys.yaml", text)
		_, err := read(one+"auth: {keys_file: "+path+"}", Flags{})
		refused(t, err, path+want)
		if strings.Contains(err.Error(), "sk-") || strings.Contains(err.Error(), "abab") {
			t.Errorf("%v quotes a key", err)
		}
	}
	const none = ": keys: no key: nobody could use the router (without auth.keys_file everybody can)"
	f("", none)
	f("keys: []", none)
	f("keys:", none)
	f("key: x", `:1: key: unknown key (did you mean "keys"?)`)
	f("keys: [{key: sk-a}]", ":1: keys[0]: need a name of up to 64 printable characters without spaces: the metrics show it")
	f("keys: [{name: \"a b\", key: sk-a}]", ":1: keys[0].name: need a name of up to 64 printable characters without spaces: the metrics show it")
	f("keys: [{name: a}]", ":1: keys[0]: a: need key or sha256, one of them")
	f("keys: [{name: a, key: sk-a, sha256: "+digest+"}]", ":1: keys[0]: a: need key or sha256, one of them")
	f("keys: [{name: a, key: \"sk- a\"}]", ":1: keys[0].key: need printable characters without spaces: nothing else can stand in a header")
	f("keys: [{name: a, key: [sk-a]}]", ":1: keys[0].key: need a string, not a list")
	f("keys: [{name: a, sha256: abab}]", ":1: keys[0].sha256: need 64 hexadecimal digits (printf %s KEY | sha256sum)")
	f("keys: [{name: a, sha256: "+digest+"00}]", ":1: keys[0].sha256: need 64 hexadecimal digits (printf %s KEY | sha256sum)")
	f("keys: [{name: a, sha256: "+strings.Repeat("zz", 32)+"}]", ":1: keys[0].sha256: need 64 hexadecimal digits (printf %s KEY | sha256sum)")
	f("keys:\n- {name: a, key: sk-a}\n- {name: a, key: sk-b}", ":3: keys[1].name: a stands twice")
	f("keys:\n- {name: a, key: sk-a}\n- {name: b, key: sk-a}", ":3: keys[1]: b has the key of another name")
	f("keys: [{name: a, key: sk-a, priority: high}]", ":1: keys[0].priority: need a whole number, not a string")
	f("keys: [{name: a, key: sk-a, priority: 1001}]", ":1: keys[0].priority: 1001 is out of range: -1000 to 1000")
	f("keys: [{name: a, key: sk-a, priority: -1001}]", ":1: keys[0].priority: -1001 is out of range: -1000 to 1000")
	f("keys:\n- {name: a, key: sk-a,\n   requests_per_minute: -1}", ":3: keys[0].requests_per_minute: -1 is out of range: 0 to 1000000000")
	f("keys: [{name: a, key: sk-a, requests_per_minute: 1.5}]", ":1: keys[0].requests_per_minute: need a whole number, not a fraction")
	f("keys: [{name: a, key: sk-a, tokens_per_minute: 1000000001}]", ":1: keys[0].tokens_per_minute: 1000000001 is out of range: 0 to 1000000000")
	f("keys: [{name: a, key: sk-a, tokens_per_minute: \"5\"}]", ":1: keys[0].tokens_per_minute: need a whole number, not a string: write 5 without quotes")
	f("keys: [{name: a, key: sk-a, max_in_flight: 1048577}]", ":1: keys[0].max_in_flight: 1048577 is out of range: 0 to 1048576")
	f("keys: [{name: a, key: sk-a, tokens_per_minut: 1}]", `:1: keys[0].tokens_per_minut: unknown key (did you mean "tokens_per_minute"?)`)
	f("keys: [{name: a, key: sk-a, explain: 1}]", ":1: keys[0].explain: need true or false, not a number")
}

func TestKeysAreShownWithoutTheKeys(t *testing.T) {
	path := write(t, "keys.yaml", "keys:\n- {name: \"#a\", key: sk-a, models: [m, \"n,o\"]}\n- {name: b, key: sk-b, explain: true, priority: -5, requests_per_minute: 60, tokens_per_minute: 9000, max_in_flight: 4}\n")
	c := mustRead(t, one+"auth: {keys_file: "+path+"}", Flags{})
	got := string(c.KeysText())
	want := "# The keys of " + path + `, without the keys themselves:
# - {name: "#a", models: [m, "n,o"], explain: false, priority: 0, requests_per_minute: 0, tokens_per_minute: 0, max_in_flight: 0}
# - {name: b, models: all, explain: true, priority: -5, requests_per_minute: 60, tokens_per_minute: 9000, max_in_flight: 4}
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if _, err := read(string(c.Effective())+got, Flags{}); err != nil {
		t.Errorf("with the keys behind it, the configuration is not read again: %v", err)
	}
	if none := mustRead(t, one, Flags{}).KeysText(); len(none) != 0 {
		t.Errorf("without keys: %s", none)
	}
}

// A template that rendered nothing must not open the router to everybody.
func TestKeysFileWithoutANameIsRefused(t *testing.T) {
	_, err := read(one+"auth: {keys_file: }\n", Flags{})
	refused(t, err, "p.yaml:2: auth.keys_file: names no file, and without keys everybody may use the router: name one, or take the key out")
}

func TestQueryOfAPushURLIsNotShown(t *testing.T) {
	c := mustRead(t, one+"metrics: {push: [\"http://h:8428/api?token=sesame\"]}\n", Flags{})
	if text := string(c.Effective()); strings.Contains(text, "sesame") {
		t.Errorf("the token is shown:\n%s", text)
	}
}

package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"penstock/dataplane"
)

// readKeys reads a keys_file. Only digests leave this function; no error
// quotes a key.
func readKeys(path string) ([]dataplane.Key, error) {
	root, err := readDocument(path)
	if err != nil {
		return nil, err
	}
	var keys []dataplane.Key
	read := section{"keys": list(func(v value) error {
		k, err := readKey(v)
		if err != nil {
			return err
		}
		keys = append(keys, k)
		return unique(v, keys)
	})}
	if root.node != nil {
		if err := read.read(root); err != nil {
			return nil, err
		}
	}
	if len(keys) == 0 {
		return nil, &Error{File: path, Key: "keys", Message: "no key: nobody could use the router (without auth.keys_file everybody can)"}
	}
	return keys, nil
}

// mostPerMinute bounds a limit: what is more is meant to be none, which is 0.
const mostPerMinute = 1e9

func readKey(v value) (k dataplane.Key, err error) {
	var plain, digest string
	err = section{
		"name":                text(&k.Name),
		"key":                 verbatim(&plain),
		"sha256":              verbatim(&digest),
		"models":              texts(&k.Models, anyText),
		"explain":             boolean(&k.Explain),
		"priority":            within(&k.Priority, -dataplane.MostPriority, dataplane.MostPriority),
		"requests_per_minute": within(&k.RequestsPerMinute, 0, mostPerMinute),
		"tokens_per_minute":   within(&k.TokensPerMinute, 0, mostPerMinute),
		"max_in_flight":       within(&k.MaxInFlight, 0, 1<<20),
	}.read(v)
	if err != nil {
		return k, err
	}
	if k.Name == "" || len(k.Name) > 64 || !isKey(k.Name) {
		return k, v.orMember("name").errorf("need a name of up to 64 printable characters without spaces: the metrics show it")
	}
	switch {
	case (plain == "") == (digest == ""):
		return k, v.errorf("%s: need key or sha256, one of them", k.Name)
	case plain != "" && !isKey(plain):
		return k, v.orMember("key").errorf("need printable characters without spaces: nothing else can stand in a header")
	case plain != "":
		k.Digest = sha256.Sum256([]byte(plain))
		return k, nil
	}
	n, err := hex.Decode(k.Digest[:], []byte(digest)[:min(len(digest), 2*len(k.Digest))])
	if err != nil || n != len(k.Digest) || len(digest) != 2*n {
		return k, v.orMember("sha256").errorf("need 64 hexadecimal digits (printf %%s KEY | sha256sum)")
	}
	return k, nil
}

// unique checks the last key against those before it.
func unique(v value, keys []dataplane.Key) error {
	last := keys[len(keys)-1]
	before := keys[:len(keys)-1]
	if slices.ContainsFunc(before, func(k dataplane.Key) bool { return k.Name == last.Name }) {
		return v.orMember("name").errorf("%s stands twice", last.Name)
	}
	if slices.ContainsFunc(before, func(k dataplane.Key) bool { return k.Digest == last.Digest }) {
		return v.errorf("%s has the key of another name", last.Name)
	}
	return nil
}

// KeysText says in comments what each key may, with every default, for whoever
// checks a configuration: the file of keys is no part of Effective. It shows no
// key and no digest.
func (c *Config) KeysText() []byte {
	if c.keysFile == "" {
		return nil
	}
	text := fmt.Appendf(nil, "# The keys of %s, without the keys themselves:\n", c.keysFile)
	for _, k := range c.Gateway.Auth.Keys {
		models := any("all")
		if len(k.Models) > 0 {
			models = k.Models
		}
		line, err := yaml.MarshalWithOptions(mapping(
			"name", k.Name,
			"models", models,
			"explain", k.Explain,
			"priority", k.Priority,
			"requests_per_minute", k.RequestsPerMinute,
			"tokens_per_minute", k.TokensPerMinute,
			"max_in_flight", k.MaxInFlight,
		), yaml.Flow(true))
		if err != nil { // strings, numbers and lists of them always marshal
			panic(err)
		}
		text = fmt.Appendf(text, "# - %s\n", bytes.TrimSpace(line))
	}
	return text
}

// isKey says whether s is printable ASCII without spaces, and not empty.
func isKey(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// because wraps the error of a file that v names: one with a place of its own
// speaks for itself.
func (v value) because(err error) error {
	var at *Error
	if errors.As(err, &at) && at.Line == 0 && at.Key == "" {
		return v.errorf("%s", err)
	}
	return err
}

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file: the YAML parser's work grows faster than its input where
// brackets nest deeply, and as the square of the keys of one mapping (half a
// second at 16,384). No configuration comes near them.
const (
	maxFileBytes = 1 << 20
	maxNesting   = 16
	maxKeys      = 1 << 14
)

// value is one node of a file (or one flag), with its name and its place.
type value struct {
	file string
	line int
	name string // the last part of key, whole
	key  string // dotted, for errors: long parts are cut; the flag's own name for a flag
	node ast.Node
}

func (v value) errorf(format string, args ...any) *Error {
	return &Error{File: v.file, Line: v.line, Key: v.key, Message: fmt.Sprintf(format, args...)}
}

// isNull says whether nothing was written after the key.
func (v value) isNull() bool {
	return v.node == nil || v.node.Type() == ast.NullType
}

// find returns the member that lies under the keys, if v has it.
func (v value) find(keys ...string) (value, bool) {
	for _, key := range keys {
		m, ok := v.node.(*ast.MappingNode)
		if !ok {
			return value{}, false
		}
		found := false
		for _, member := range m.Values {
			if member.Key.GetToken().Value == key {
				v, found = v.member(member), true
				break
			}
		}
		if !found {
			return value{}, false
		}
	}
	return v, true
}

// member is the value of one entry of the mapping v.
func (v value) member(m *ast.MappingValueNode) value {
	t := m.Key.GetToken()
	key := brief(t.Value)
	if v.key != "" {
		key = v.key + "." + key
	}
	return value{file: v.file, line: t.Position.Line, name: t.Value, key: key, node: m.Value}
}

// item is the n-th entry of the list v.
func (v value) item(n int, node ast.Node) value {
	return value{file: v.file, line: node.GetToken().Position.Line, key: v.key + "[" + strconv.Itoa(n) + "]", node: node}
}

// brief is as much of a foreign key as an error shows: what was taken for a
// configuration may be a file of secrets.
func brief(key string) string {
	const most = 40
	key = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, key)
	if len(key) > most {
		return strings.ToValidUTF8(key[:most-3], "") + "…"
	}
	return key
}

// readDocument parses the YAML (or JSON) document in the file at path. Its
// errors are *Error values that name the file.
func readDocument(path string) (value, error) {
	data, err := readFile(path, maxFileBytes)
	if err != nil {
		return value{}, err
	}
	return parseDocument(path, data)
}

// readFile reads at most limit bytes and refuses a longer file, one without an
// end (a device) too.
func readFile(path string, limit int64) ([]byte, error) {
	data, err := readAtMost(path, limit+1)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, &Error{File: path, Message: err.Error()}
	}
	if int64(len(data)) > limit {
		return nil, &Error{File: path, Message: fmt.Sprintf("larger than the %d bytes that such a file may have", limit)}
	}
	return data, nil
}

func readAtMost(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

func parseDocument(name string, data []byte) (value, error) {
	root := value{file: name, line: 1}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		return root, &Error{File: name, Message: "is not UTF-8 text"}
	}
	if json.Valid(data) {
		// JSON may be indented with tabs, YAML may not. Inside its strings a
		// tab is always escaped, so each one here is white space.
		data = bytes.ReplaceAll(data, []byte("\t"), []byte(" "))
	}
	tokens := lexer.Tokenize(string(data))
	if err := checkBounds(name, tokens); err != nil {
		return root, err
	}
	// Duplicate keys are found by section.read, which can name them in full.
	file, err := parser.Parse(joinPlain(tokens), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return root, syntaxError(name, err)
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root.node != nil {
			return root, &Error{File: name, Line: doc.Body.GetToken().Position.Line, Message: "a second document: one file holds one"}
		}
		root.node = doc.Body
	}
	return root, nil
}

func checkBounds(name string, tokens token.Tokens) error {
	depth, entries, keys, line := 0, 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, entries = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			depth++
		case token.MappingEndType, token.SequenceEndType:
			depth--
		case token.SequenceEntryType, token.MappingKeyType:
			entries++ // "- - - x" nests without a bracket
		case token.MappingValueType:
			keys++
		}
		if depth+entries > maxNesting {
			return &Error{File: name, Line: line, Message: fmt.Sprintf("nested more than %d deep", maxNesting)}
		}
		if keys > maxKeys {
			return &Error{File: name, Line: line, Message: fmt.Sprintf("more than %d keys", maxKeys)}
		}
	}
	return nil
}

// syntaxError keeps the parser's sentence and line, without the picture of the
// source that its own message has.
func syntaxError(name string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) {
		return &Error{File: name, Message: err.Error()}
	}
	e := &Error{File: name, Message: at.GetMessage() + syntaxHint(at.GetMessage())}
	if t := at.GetToken(); t != nil && t.Position != nil {
		e.Line = t.Position.Line
	}
	return e
}

// syntaxHint is what most often helps against an error of the parser's.
func syntaxHint(message string) string {
	switch {
	case strings.Contains(message, "'\t'"):
		return ": indent with spaces, not tabs"
	case strings.Contains(message, "not allowed in this context"):
		return ": keys of one level begin in one column, and an address such as \"[::1]:8080\" needs quotes"
	}
	return ""
}

package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// reader takes one value into the place that it was made for.
type reader func(value) error

// section reads a mapping: each key by its own reader, also past what is wrong.
// The key "*" stands for all others; without it they are refused.
type section map[string]reader

func (s section) read(v value) error {
	m, ok := v.node.(*ast.MappingNode)
	if !ok {
		return v.errorf("need keys and values, not %s", kindOf(v.node))
	}
	seen := map[string]int{}
	var wrong []error
	for _, member := range m.Values {
		wrong = append(wrong, s.readMember(v.member(member), member.Key, seen))
	}
	return join(wrong...)
}

func (s section) readMember(v value, keyNode ast.MapKeyNode, seen map[string]int) error {
	name := keyNode.GetToken().Value
	if keyNode.IsMergeKey() {
		return v.errorf("merging is not read here: write the keys out")
	}
	if line, twice := seen[name]; twice {
		return v.errorf("stands twice (first in line %d)", line)
	}
	seen[name] = v.line
	read, ok := s[name]
	if !ok {
		read, ok = s["*"]
	}
	if !ok {
		return s.unknown(v, name)
	}
	if v.isNull() {
		return nil // a key without a value asks for nothing
	}
	if read == nil {
		return later(v)
	}
	return read(v)
}

func (s section) unknown(v value, name string) error {
	known := slices.Sorted(maps.Keys(s))
	err := v.errorf("unknown key")
	err.known = known
	if err.Near = Nearest(name, known); err.Near == "" {
		known = slices.DeleteFunc(slices.Clone(known), func(key string) bool { return s[key] == nil })
		err.Message += " (known here: " + strings.Join(known, ", ") + ")"
	}
	return err
}

// isForeign says whether a mapping has keys, and none that is known or like a
// known one: then it was written for another program.
func (s section) isForeign(v value) bool {
	m, ok := v.node.(*ast.MappingNode)
	if !ok || len(m.Values) == 0 {
		return false
	}
	known := slices.Sorted(maps.Keys(s))
	return !slices.ContainsFunc(m.Values, func(member *ast.MappingValueNode) bool {
		name := member.Key.GetToken().Value
		return member.Key.IsMergeKey() || Nearest(name, known) != ""
	})
}

// list reads each item of a list. The items' keys are KEY[0], KEY[1] …
func list(item reader) reader {
	return func(v value) error {
		n, ok := v.node.(*ast.SequenceNode)
		if !ok {
			return v.errorf("need a list, not %s", kindOf(v.node))
		}
		var wrong []error
		for i, node := range n.Values {
			wrong = append(wrong, item(v.item(i, node)))
		}
		return join(wrong...)
	}
}

// texts takes a list of strings, each checked, or one string alone. It takes
// the place of what was there before.
func texts(to *[]string, check func(value, string) error) reader {
	return func(v value) error {
		*to = nil
		one := func(v value) error {
			var s string
			if err := verbatim(&s)(v); err != nil {
				return err
			}
			*to = append(*to, s)
			return check(v, s)
		}
		if _, ok := v.node.(*ast.SequenceNode); ok {
			return list(one)(v)
		}
		return one(v)
	}
}

// notYet stands for the reader of a key whose part of the router does not exist
// yet.
var notYet reader

// later refuses such a key, unless nothing is asked of it (an empty value).
func later(v value) error {
	if isEmpty(v.node) {
		return nil
	}
	return v.errorf("not there yet: a later version of Penstock will read it; take it out")
}

func isEmpty(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.NullNode:
		return true
	case *ast.StringNode:
		return n.Value == ""
	case *ast.SequenceNode:
		return len(n.Values) == 0
	case *ast.MappingNode:
		return !slices.ContainsFunc(n.Values, func(m *ast.MappingValueNode) bool { return !isEmpty(m.Value) })
	}
	return false
}

// kindOf names a node's type for an error's reader.
func kindOf(n ast.Node) string {
	if n == nil {
		return "nothing"
	}
	switch n.Type() {
	case ast.NullType:
		return "nothing"
	case ast.StringType, ast.LiteralType:
		return "a string"
	case ast.IntegerType:
		return "a number"
	case ast.FloatType, ast.InfinityType, ast.NanType:
		return "a fraction"
	case ast.BoolType:
		return "true or false"
	case ast.SequenceType:
		return "a list"
	case ast.MappingType:
		return "keys and values"
	case ast.AnchorType, ast.AliasType:
		return "an anchor or alias (write the value out)"
	}
	return "a " + strings.ToLower(n.Type().String())
}

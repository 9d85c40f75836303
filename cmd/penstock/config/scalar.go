package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// text takes a string.
func text(to *string) reader {
	return func(v value) error {
		switch n := v.node.(type) {
		case *ast.StringNode:
			*to = n.Value
		case *ast.LiteralNode:
			*to = n.Value.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			return v.errorf("need a string, not %s: write it in quotes", kindOf(v.node))
		default:
			return v.errorf("need a string, not %s", kindOf(v.node))
		}
		return nil
	}
}

// pathPart takes a string that stands in the clients' paths.
func pathPart(to *string) reader {
	return func(v value) error {
		if err := text(to)(v); err != nil {
			return err
		}
		if *to == "" || strings.ContainsAny(*to, "/? #%") {
			return v.errorf("%q: need a value that can stand in a path", *to)
		}
		return nil
	}
}

// verbatim takes a string or a number as it is written, for what may be all
// digits without being a number: a key, a digest, a duration of 0.
func verbatim(to *string) reader {
	return func(v value) error {
		if isNumber(v.node) {
			*to = v.node.GetToken().Value
			return nil
		}
		return text(to)(v)
	}
}

// oneOf takes one of the known names. Those that are planned are refused as
// not there yet, any other as unknown.
func oneOf[T ~string](to *T, known, planned []string) reader {
	return func(v value) error {
		var name string
		if err := text(&name)(v); err != nil {
			return err
		}
		if slices.Contains(planned, name) {
			return v.errorf("%s is not there yet (there is: %s)", name, strings.Join(known, ", "))
		}
		if !slices.Contains(known, name) {
			err := v.errorf("%q is none of: %s", name, strings.Join(known, ", "))
			err.Near = Nearest(name, known)
			return err
		}
		*to = T(name)
		return nil
	}
}

// integer takes a whole number of 0 or more: nothing here counts below zero.
func integer[T ~int | ~int64](to *T) reader {
	return func(v value) error {
		i, err := whole(v)
		if err != nil {
			return err
		}
		if i < 0 {
			return v.errorf("%d is negative", i)
		}
		*to = T(i)
		return nil
	}
}

// within takes a whole number from low to high.
func within(to *int, low, high int64) reader {
	return func(v value) error {
		i, err := whole(v)
		if err != nil {
			return err
		}
		if i < low || i > high {
			return v.errorf("%d is out of range: %d to %d", i, low, high)
		}
		*to = int(i)
		return nil
	}
}

// whole is the whole number that stands there.
func whole(v value) (int64, error) {
	n, ok := v.node.(*ast.IntegerNode)
	if s, isText := v.node.(*ast.StringNode); isText && isDigits(s.Value) {
		return 0, v.errorf("need a whole number, not a string: write %s without quotes", s.Value)
	}
	if !ok {
		return 0, v.errorf("need a whole number, not %s", kindOf(v.node))
	}
	switch i := n.Value.(type) {
	case int64:
		return i, nil
	case uint64:
		if i <= math.MaxInt64 {
			return int64(i), nil
		}
	}
	return 0, v.errorf("%v is out of range", n.Value)
}

// number takes a number of 0 or more, whole or not.
func number(to *float64) reader {
	return func(v value) error {
		if f, ok := v.node.(*ast.FloatNode); ok {
			if f.Value < 0 {
				return v.errorf("%v is negative", f.Value)
			}
			*to = f.Value
			return nil
		}
		var i int64
		err := integer(&i)(v)
		*to = float64(i)
		return err
	}
}

func boolean(to *bool) reader {
	return func(v value) error {
		b, ok := v.node.(*ast.BoolNode)
		if s, isText := v.node.(*ast.StringNode); isText {
			return v.errorf("need true or false, without quotes, not %s", kindOf(s))
		}
		if !ok {
			return v.errorf("need true or false, not %s", kindOf(v.node))
		}
		*to = b.Value
		return nil
	}
}

// duration takes "10s", "500ms", "1m30s" or a plain 0.
func duration(to *time.Duration) reader {
	return func(v value) error {
		var s string
		if err := verbatim(&s)(v); err != nil {
			return v.errorf("need a duration such as 10s, not %s", kindOf(v.node))
		}
		d, err := time.ParseDuration(s)
		switch {
		case err == nil && d < 0:
			return v.errorf("%s is negative", s)
		case err == nil:
			*to = d
			return nil
		case isNumber(v.node):
			return v.errorf("%s has no unit: write %ss or %sms", s, s, s)
		}
		return v.errorf("%q is no duration: write one such as 10s or 500ms", s)
	}
}

// sizes are the units of bytes, longest first: "KiB" ends in "B" too.
var sizes = []struct {
	unit  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

// size takes a number of bytes: 65536, 64KiB or 64MB.
func size[T ~int | ~int64](to *T) reader {
	return func(v value) error {
		var s string
		if err := verbatim(&s)(v); err != nil {
			return v.errorf("need a size such as 64MiB, not %s", kindOf(v.node))
		}
		for _, u := range sizes {
			digits, ok := strings.CutSuffix(s, u.unit)
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
			if err != nil {
				break
			}
			if n < 0 || n > math.MaxInt64/u.bytes {
				return v.errorf("%s is out of range", s)
			}
			*to = T(n * u.bytes)
			return nil
		}
		return v.errorf("%q is no size: write bytes, or one such as 32KiB or 64MiB", s)
	}
}

// isDigits says whether s would be a number but for its quotes.
func isDigits(s string) bool {
	_, err := strconv.ParseUint(s, 10, 32)
	return err == nil
}

func isNumber(n ast.Node) bool {
	t := n.Type()
	return t == ast.IntegerType || t == ast.FloatType
}

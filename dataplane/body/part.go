package body

import "bytes"

// isModelPart reads the head of a form's part, which begins with the end of the
// boundary's line: whether the part is the field "model", and no file. It is
// not ok where parsers differ on which field it is.
func isModelPart(head []byte) (isModel, ok bool) {
	described := false
	for len(head) > 0 {
		line := head[len("\r\n"):]
		n := bytes.Index(line, []byte("\r\n"))
		if n < 0 {
			n = len(line)
		}
		line, head = line[:n], line[n:]
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || !isToken(name) {
			return false, false
		}
		if !bytes.EqualFold(name, []byte("Content-Disposition")) {
			continue
		}
		if described {
			return false, false
		}
		described = true
		if isModel, ok = isModelField(value); !ok {
			return false, false
		}
	}
	return isModel, described
}

// isModelField is true for the Content-Disposition of the field "model".
func isModelField(disposition []byte) (isModel, ok bool) {
	kind, params, _ := bytes.Cut(disposition, []byte(";"))
	if !bytes.EqualFold(bytes.TrimSpace(kind), []byte("form-data")) {
		return false, false
	}
	name, _, ok := param(params, "name")
	if !ok || string(name) != "model" {
		return false, ok
	}
	_, isFile, ok := param(params, "filename")
	return !isFile && ok, ok
}

// param is the value of the named one of a header's parameters, quoted or not,
// and whether it is there. It is not ok where parsers differ: it stands twice,
// or has an escape or an encoding (RFC 2231), or a parameter is out of form.
func param(params []byte, name string) (value []byte, found, ok bool) {
	for params = trimParams(params); len(params) > 0; params = trimParams(params) {
		key, rest, _ := bytes.Cut(params, []byte("="))
		v, rest, escaped, good := paramValue(rest)
		if !good || !isToken(key) {
			return nil, false, false
		}
		switch {
		case len(key) < len(name) || !bytes.EqualFold(key[:len(name)], []byte(name)):
		case len(key) == len(name):
			if found || escaped {
				return nil, false, false
			}
			value, found = v, true
		case key[len(name)] == '*':
			return nil, false, false
		}
		params = rest
	}
	return value, found, true
}

// trimParams is what follows the semicolons and spaces that s begins with.
func trimParams(s []byte) []byte { return bytes.TrimLeft(s, "; \t") }

// paramValue reads the value that s begins with, up to the next semicolon.
func paramValue(s []byte) (value, rest []byte, escaped, good bool) {
	if len(s) > 0 && s[0] == '"' {
		n := 1
		for ; n < len(s) && s[n] != '"'; n++ {
			if s[n] == '\\' {
				escaped = true
				n++
			}
		}
		if n >= len(s) {
			return nil, nil, false, false
		}
		value, rest = s[1:n], bytes.TrimLeft(s[n+1:], " \t")
		return value, rest, escaped, len(rest) == 0 || rest[0] == ';'
	}
	n := bytes.IndexByte(s, ';')
	if n < 0 {
		n = len(s)
	}
	value = bytes.TrimRight(s[:n], " \t")
	return value, s[n:], false, isBare(value)
}

// isToken is true for a name of a header or parameter (RFC 9110, 5.6.2).
func isToken(s []byte) bool {
	return isBare(s) && !bytes.ContainsAny(s, "(),/:<=>?@[]{}")
}

// isBare is true for what may stand without quotes. More than a token may:
// clients write boundaries with = and / in them.
func isBare(s []byte) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == ';' {
			return false
		}
	}
	return len(s) > 0
}

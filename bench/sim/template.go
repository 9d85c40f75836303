package sim

import "strconv"

// template is JSON as it stands on the wire, with fields in it: a $ and a
// letter. It is taken apart once, and then written without a look at what does
// not change.
type template []piece

type piece struct {
	literal string
	field   byte // after the literal; 0: none
}

// fields are what a template may name.
type fields struct {
	id, model  string // $d, $m: as JSON, quoted
	created    int64  // $c
	index      int    // $i
	text       string // $t: words only, nothing to escape
	reason     string // $f: as JSON
	stop       string // $s: as JSON
	usage      usage  // $p, $n, $a (all), $h (cached)
	choices    []byte // $o: ready JSON
	continuous bool   // $u: whether the usage so far is told, as a template of its own
}

func newTemplate(s string) (t template) {
	from := 0
	for at := 0; at < len(s); at++ {
		if s[at] == '$' {
			t = append(t, piece{s[from:at], s[at+1]})
			from = at + 2
		}
	}
	return append(t, piece{s[from:], 0})
}

// append writes t to dst; d knows how it words a usage.
func (t template) append(dst []byte, f *fields, d *dialect) []byte {
	for _, p := range t {
		dst = append(dst, p.literal...)
		switch p.field {
		case 'd':
			dst = append(dst, f.id...)
		case 'm':
			dst = append(dst, f.model...)
		case 'c':
			dst = strconv.AppendInt(dst, f.created, 10)
		case 'i':
			dst = strconv.AppendInt(dst, int64(f.index), 10)
		case 't':
			dst = append(dst, f.text...)
		case 'f':
			dst = append(dst, f.reason...)
		case 's':
			dst = append(dst, f.stop...)
		case 'p':
			dst = strconv.AppendInt(dst, int64(f.usage.prompt), 10)
		case 'n':
			dst = strconv.AppendInt(dst, int64(f.usage.completion), 10)
		case 'a':
			dst = strconv.AppendInt(dst, int64(f.usage.prompt+f.usage.completion), 10)
		case 'h':
			dst = strconv.AppendInt(dst, int64(f.usage.cached), 10)
		case 'o':
			dst = append(dst, f.choices...)
		case 'g':
			dst = d.usage.append(dst, f, d)
		case 'u':
			if f.continuous {
				dst = append(dst, `,"usage":`...)
				dst = d.usage.append(dst, f, d)
			} else {
				dst = append(dst, d.noUsage...)
			}
		}
	}
	return dst
}

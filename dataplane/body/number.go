package body

import "math"

func isDigit(c byte) bool { return c-'0' < 10 }

// number reads the number at i. whole is true when it is written as an integer,
// with neither fraction nor exponent.
func number(b []byte, i int) (end int, whole bool, err *Error) {
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i, err = digits(b, i); err != nil {
		return 0, false, err
	}
	whole = true
	if i < len(b) && b[i] == '.' {
		whole = false
		if i, err = digits(b, i+1); err != nil {
			return 0, false, err
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		whole = false
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i, err = digits(b, i); err != nil {
			return 0, false, err
		}
	}
	return i, whole, nil
}

// digits is the index after the run of digits at i, which must not be empty.
func digits(b []byte, i int) (int, *Error) {
	if i >= len(b) || !isDigit(b[i]) {
		return 0, unexpected(b, i, "a digit", "a number")
	}
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	return i, nil
}

// integer is the value of a number that number has accepted, where that is an
// integer however it is written: 34, 34.0 and 340e-1 are the same to the
// engines (pydantic). Beyond ±math.MaxInt32 it is that.
func integer(lit []byte) (v int, ok bool) {
	negative := lit[0] == '-'
	if negative {
		lit = lit[1:]
	}
	mantissa, scale := decimal(lit)
	// The zeros at its end, before the exponent: 1200e-2 is 12.
	significant := len(mantissa)
	for significant > 0 && (mantissa[significant-1] == '0' || mantissa[significant-1] == '.') {
		if mantissa[significant-1] == '0' {
			scale++
		}
		significant--
	}
	for _, c := range mantissa[:significant] {
		if c != '.' {
			v = min(v*10+int(c-'0'), math.MaxInt32)
		}
	}
	if v == 0 {
		return 0, true
	}
	if scale < 0 {
		return 0, false
	}
	for ; scale > 0 && v < math.MaxInt32; scale-- {
		v = min(v*10, math.MaxInt32)
	}
	if negative {
		v = -v
	}
	return v, true
}

// decimal splits an unsigned number into its digits, with the point still in
// them, and the power of ten that these digits as one integer are to be
// multiplied by.
func decimal(lit []byte) (mantissa []byte, scale int) {
	fraction := false
	for k, c := range lit {
		switch {
		case c == '.':
			fraction = true
		case c|0x20 == 'e':
			return lit[:k], scale + exponent(lit[k+1:])
		case fraction:
			scale--
		}
	}
	return lit, scale
}

// exponent is the value of an exponent, bounded far beyond any length of a body.
func exponent(lit []byte) (v int) {
	const bound = 1 << 48
	for _, c := range lit {
		if isDigit(c) {
			v = min(v*10+int(c-'0'), bound)
		}
	}
	if lit[0] == '-' {
		return -v
	}
	return v
}

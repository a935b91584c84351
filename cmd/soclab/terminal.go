package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// What the commands write for people goes through these: text of events, rules,
// paths and files must not act on a terminal. Only the progress bar, which
// writes no such text, has the terminal to itself.
var (
	stdout = &printer{w: os.Stdout}
	stderr = &printer{w: os.Stderr}
)

// printer writes text, in which it replaces what is not printable by escapes
// such as \u001b; but not line ends and tabs. JSON says the same before and after.
type printer struct {
	mu   sync.Mutex
	w    io.Writer
	rest []byte // the begin of a rune whose end is to come
	err  error  // the first of a write
}

func (p *printer) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	in := append(p.rest, text...)
	out := make([]byte, 0, len(in))
	for len(in) > 0 && utf8.FullRune(in) {
		r, size := utf8.DecodeRune(in)
		switch {
		case r == '\n', r == '\t', strconv.IsPrint(r) && (r != utf8.RuneError || size > 1):
			out = append(out, in[:size]...)
		case r == utf8.RuneError:
			out = append(out, `\x`...)
			out = append(out, "0123456789abcdef"[in[0]>>4], "0123456789abcdef"[in[0]&15])
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		in = in[size:]
	}
	p.rest = append(p.rest[:0], in...)
	if _, err := p.w.Write(out); err != nil {
		p.err = cmp.Or(p.err, err)
		return 0, err
	}
	return len(text), nil
}

package main

import (
	"strings"
	"testing"
)

func TestPrinter(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ünïcödé, 日本, └─ µs\n\tmore\n": "plain, ünïcödé, 日本, └─ µs\n\tmore\n",
		"id \x1b[31mRED\x1b]0;pwned\a\x1b[2J": `id \x1b[31mRED\x1b]0;pwned\a\x1b[2J`,
		"over\rwritten":                       `over\rwritten`,
		"right\u202eleft":                     `right\u202eleft`,
		"no \xff text":                        `no \xff text`,
		"\u009b31m":                           `\u009b31m`,
	} {
		for size := 1; size <= len(text); size++ { // runes may be cut between two writes
			var out strings.Builder
			p := &printer{w: &out}
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				if wrote, err := p.Write([]byte(rest[:n])); err != nil || wrote != n {
					t.Fatal(wrote, err)
				}
				rest = rest[n:]
			}
			if out.String() != want {
				t.Fatalf("%q in pieces of %d: %q, want %q", text, size, out.String(), want)
			}
		}
	}
}

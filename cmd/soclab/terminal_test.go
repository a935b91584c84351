package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"soclab/pkg/stream"
)

func TestPrinter(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ünïcödé, 日本, └─ µs\n\tmore\n": "plain, ünïcödé, 日本, └─ µs\n\tmore\n",
		"id \x1b[31mRED\x1b]0;pwned\a\x1b[2J": `id \u001b[31mRED\u001b]0;pwned\u0007\u001b[2J`,
		"over\rwritten":                       `over\u000dwritten`,
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

func TestPrintedJSON(t *testing.T) {
	const text = "id\x7f \U000e0001 \u0085 \u202e"
	var out strings.Builder
	if err := writeJSON(&printer{w: &out}, text); err != nil {
		t.Fatal(err)
	}
	var read string
	if err := json.Unmarshal([]byte(out.String()), &read); err != nil || read != text {
		t.Errorf("%s: reads as %q (%v), want %q", out.String(), read, err, text)
	}
}

// What nobody could be shown was not done.
func TestOutputThatCannotBeWritten(t *testing.T) {
	b := newBench(t)
	b.soclab("run", "--events", "10")
	readOnly, err := os.Open(b.classified())
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	for _, args := range [][]string{{"--help"}, {"rules", "list"}, {"topics", "peek", stream.Raw}} {
		cmd := b.command(args...)
		cmd.Stdout = readOnly
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("soclab %v: %v, want exit status 1", args, err)
		}
	}
}

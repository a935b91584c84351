package event_test

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"soclab/pkg/event"
)

func TestCSVRoundTrip(t *testing.T) {
	columns, err := event.ParseHeader(event.Header())
	if err != nil {
		t.Fatal(err)
	}
	want := web()
	row := string(event.AppendCSV(nil, &want))
	if strings.ContainsAny(row, "\r\n") {
		t.Errorf("more than one line: %q", row)
	}
	var got event.Event
	if err := columns.Decode(row, &got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("decoded\n%+v, want\n%+v", got, want)
	}
}

// Each column of a row, also the one that was added last, is written where the
// header has it, and read; and published where it is known before the row is
// stored.
func TestEveryColumn(t *testing.T) {
	names := event.RowColumns()
	columns, err := event.ParseHeader(strings.Join(names, ","))
	if err != nil {
		t.Fatal(err)
	}
	cells := slices.Clone(names) // text, unless it is one of these
	for column, value := range map[event.Column]string{
		event.ColumnCreated: "2026-03-01T12:00:01Z", event.ColumnIngested: "2026-03-01T12:00:02Z",
		event.ColumnPartition: "3", event.ColumnOffset: "4",
	} {
		cells[column] = value
	}
	for _, f := range event.Fields() {
		switch f.Kind() {
		case event.KindTime:
			cells[f] = "2026-03-01T12:00:00Z"
		case event.KindInteger:
			cells[f] = fmt.Sprint(ranges[f.Name()][1])
		case event.KindAddress:
			cells[f] = "10.0.0.1"
		}
	}
	want := string(event.JoinRow(nil, cells))
	var row event.Row
	if err := columns.DecodeRow(want, &row); err != nil {
		t.Fatal(err)
	}
	var encoder event.RowEncoder
	if got := string(encoder.AppendCSV(nil, &row)); got != want {
		t.Errorf("wrote\n%s, want\n%s", got, want)
	}
	record := string(encoder.AppendJSON(nil, &row))
	stored := []event.Column{event.ColumnIngested, event.ColumnTraceID, event.ColumnPartition, event.ColumnOffset}
	for i, name := range names {
		known := !slices.Contains(stored, event.Column(i))
		if published := strings.Contains(record, `"`+name+`":`); published != known {
			t.Errorf("%s is published: %v", name, published)
		}
	}
}

func TestAppendCell(t *testing.T) {
	for _, test := range []struct{ text, cell string }{
		{"", ""},
		{"alice", "alice"},
		{"a,b", `"a,b"`},
		{`say "hi"`, `"say ""hi"""`},
		{"two\nlines\tand\x00", `two\nlines\tand\u0000`},
		{`C:\new`, `C:\\new`},
		{`CORP\alice`, `CORP\alice`},
		{"=cmd()", "'=cmd()"},
		{"-1+2,3", `"'-1+2,3"`},
		{"+1", "'+1"},
		{"@SUM(A1)", "'@SUM(A1)"},
		{"'=x", "''=x"},
		{"it's", "it's"},
		{"a;=cmd()", "a;'=cmd()"},
		{"a|@x;b;'-1", "a|'@x;b;''-1"},
		{"Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"},
		{"\uff1d1+1", "'\uff1d1+1"},
		{"\u200b=1", "'\u200b=1"},
		{"\u2028", `\u2028`},
		{"\\\n", `\\\n`}, // a backslash before what is written with one
	} {
		got := string(event.AppendCell(nil, test.text))
		if got != test.cell {
			t.Errorf("%q: %s, want %s", test.text, got, test.cell)
		}
		if cells, err := event.SplitRow(got, nil); err != nil || event.Unescape(cells[0]) != test.text {
			t.Errorf("%q comes back as %q (%v)", test.text, event.Unescape(cells[0]), err)
		}
	}
}

func FuzzCell(f *testing.F) {
	for _, seed := range []string{"'=", ";'=", "|\uff1d", `\u00`, `\\n`, "a\"b", "\r\n", "'", "é\u0085"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		row := string(event.AppendCell(nil, text)) + ",end"
		cells, err := event.SplitRow(row, nil)
		if err != nil || len(cells) != 2 || event.Unescape(cells[0]) != text {
			t.Fatalf("%q became %q: %q, %v", text, row, cells, err)
		}
		if strings.ContainsAny(row, "\r\n") {
			t.Fatalf("%q is more than one line", row)
		}
		standard, err := csv.NewReader(strings.NewReader(row)).Read()
		if err != nil || len(standard) != 2 || standard[0] != cells[0] {
			t.Fatalf("encoding/csv reads %q as %q, want %q (%v)", row, standard, cells, err)
		}
		for _, part := range strings.FieldsFunc(cells[0], func(r rune) bool { return r == ';' || r == '|' }) {
			if strings.ContainsAny(string([]rune(part)[:1]), "=+-@\t\r\uff1d\uff0b\uff0d\uff20") {
				t.Fatalf("%q runs as a formula", part)
			}
		}
	})
}

// FuzzSplitRow compares with encoding/csv on single lines.
func FuzzSplitRow(f *testing.F) {
	for _, seed := range []string{`a,"b""c",`, `"a"b`, `a"b`, `"`, ",,", "a\r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, row string) {
		if row == "" || strings.ContainsAny(row, "\r\n") {
			return
		}
		cells, err := event.SplitRow(row, nil)
		standard, standardErr := csv.NewReader(strings.NewReader(row)).Read()
		if (err == nil) != (standardErr == nil) {
			t.Fatalf("%q: error %v, encoding/csv has %v", row, err, standardErr)
		}
		if err == nil && strings.Join(cells, "\x00") != strings.Join(standard, "\x00") {
			t.Fatalf("%q: %q, encoding/csv has %q", row, cells, standard)
		}
	})
}

// A row of a file is held to the same rules as a record of the topic.
func TestDecodeRefuses(t *testing.T) {
	columns, err := event.ParseHeader("@timestamp,event.id,source.ip,source.port")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ row, want string }{
		{"2026-03-01T12:00:00Z,,10.0.0.1,80", `event.id: "": want a unique id`},
		{",a,10.0.0.1,80", `@timestamp: "": want an RFC 3339 time`},
		{"1969-12-31T23:59:59Z,a,10.0.0.1,80", "from 1970 to 2100"},
		{"2026-03-01T12:00:00Z,a,10.0.0.256,80", `source.ip: "10.0.0.256"`},
		{"2026-03-01T12:00:00Z,a,fe80::1%eth0,80", "without a zone"},
		{"2026-03-01T12:00:00Z,a,10.0.0.1,65536", `source.port: "65536": want a whole number from 0 to 65535`},
		{"2026-03-01T12:00:00Z,a,10.0.0.1,+80", `source.port: "+80"`},
		{"2026-03-01T12:00:00Z,a,10.0.0.1", "row of 3 cells: want 4"},
		{"2026-03-01T12:00:00Z,a,10.0.0.1,80,", "row of 5 cells: want 4"},
	} {
		var e event.Event
		if err := columns.Decode(test.row, &e); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", test.row, err, test.want)
		}
	}
}

func TestParseHeader(t *testing.T) {
	columns, err := event.ParseHeader("\ufeffevent.id,class,@timestamp")
	if err != nil {
		t.Fatal(err)
	}
	var e event.Event
	if err := columns.Decode("C1,benign,2026-03-01T12:00:00Z\r", &e); err != nil || e.ID != "C1" {
		t.Errorf("%+v, %v", e, err)
	}
	if err := columns.Decode("benign,C1", &e); err == nil || err.Error() != "row of 2 cells: want 3 as in the header" {
		t.Errorf("short row: %v", err)
	}
	for _, header := range []string{"", "event.id", "event.id,event.id,@timestamp", "event.id,@timestamp,Source.IP", "event.id,@timestamp,destination.port "} {
		if _, err := event.ParseHeader(header); err == nil {
			t.Errorf("%q was accepted", header)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e := web()
	row := string(event.AppendCSV(nil, &e))
	columns, err := event.ParseHeader(event.Header())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := columns.Decode(row, &e); err != nil {
			b.Fatal(err)
		}
	}
}

package traffic

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"soclab/internal/need"
	"soclab/pkg/event"
)

// write makes a file of the given content and returns its path.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(t testing.TB, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// readAll returns all events of a file.
func readAll(path string) ([]event.Event, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []event.Event
	for {
		e, err := f.Next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, *e)
	}
}

func TestWholeLogs(t *testing.T) {
	const samples = "../../testdata/zeek"
	for _, c := range []struct {
		name, format string
		events       int
	}{
		{samples + "/port-scan.log", "Zeek conn.log (JSON lines)", 210},
		{samples + "/beacon.log", "Zeek conn.log (TSV)", 180},
		{"zeek-portscan/conn.log", "Zeek conn.log (JSON lines)", 4504},
		{"zeek-c2/labeled-conn.log", "Zeek conn.log (TSV)", 992},
		{"zeek-c2/conn.log", "Zeek conn.log (TSV)", 992},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := c.name
			if filepath.Dir(path) != samples {
				path = need.RealLog(t, path)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{path, write(t, "log.gz", gzipped(t, string(content)))} {
				f, err := Open(path)
				if err != nil {
					t.Fatal(err)
				}
				if f.Format() != c.format {
					t.Errorf("%s, want %s", f.Format(), c.format)
				}
				n := 0
				for {
					e, err := f.Next()
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if err := e.Validate(); err != nil {
						t.Fatalf("event %d: %v", n, err)
					}
					n++
				}
				if read, size := f.Progress(); n != c.events || read != size {
					t.Errorf("%d events and %d of %d bytes, want %d and all", n, read, size, c.events)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

const (
	tsvHeader = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n"
	tsvFields = "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\torig_pkts\tresp_pkts\tlabel\n"
	tsvTypes  = "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tcount\tcount\tstring\n"
	tsvRow    = "1664462456.755299\tC5xh\t172.16.1.11\t40042\tfd00::1\t53\tudp\tdns\t0.012167\t0\t111\tSHR\t0\t1\tBenign\n"
	jsonRow   = `{"ts":1664462456.755299,"uid":"C5xh","id.orig_h":"172.16.1.11","id.orig_p":40042,"id.resp_h":"fd00::1","id.resp_p":53,"proto":"udp","service":"dns","duration":0.012167,"orig_bytes":0,"resp_bytes":111,"conn_state":"SHR","local_orig":true,"orig_pkts":0,"resp_pkts":1,"tunnel_parents":["a"]}` + "\n"
)

var flow = event.Event{
	Timestamp: time.Date(2022, 9, 29, 14, 40, 56, 755299000, time.UTC), ID: "C5xh",
	Dataset: "zeek.conn", Category: "network", Action: "connection", Duration: event.Known(12167000),
	Source:      event.Endpoint{IP: netip.MustParseAddr("172.16.1.11"), Port: event.Known(40042), Bytes: event.Known(0), Packets: event.Known(0)},
	Destination: event.Endpoint{IP: netip.MustParseAddr("fd00::1"), Port: event.Known(53), Bytes: event.Known(111), Packets: event.Known(1)},
	Transport:   "udp", Protocol: "dns", ConnState: "SHR",
}

func with(change func(*event.Event)) event.Event {
	e := flow
	change(&e)
	return e
}

func TestConnLog(t *testing.T) {
	json := func(field, value string) string { // jsonRow with another value
		begin := strings.Index(jsonRow, `"`+field+`":`) + len(field) + 3
		return jsonRow[:begin] + value + jsonRow[begin+strings.IndexByte(jsonRow[begin:], ','):]
	}
	absent := with(func(e *event.Event) {
		e.Protocol, e.Duration, e.Source.Bytes, e.Destination.Bytes = "", event.Int{}, event.Int{}, event.Int{}
	})
	at := func(t time.Time) event.Event { return with(func(e *event.Event) { e.Timestamp = t }) }
	for _, c := range []struct {
		name, content string
		want          []event.Event
	}{
		{"TSV", tsvHeader + tsvFields + tsvTypes + tsvRow + "#close\t2022\n", []event.Event{flow}},
		{"a log without rows", tsvHeader + tsvFields + tsvTypes + "#close\t2022\n", nil},
		{"joined logs, the second with fewer columns", tsvHeader + tsvFields + tsvRow + tsvHeader + "#fields\tuid\tts\tconn_state\n" + "C2\t0.5\tS0\n",
			[]event.Event{flow, {Timestamp: time.Unix(0, 5e8).UTC(), ID: "C2", Dataset: "zeek.conn", Category: "network", Action: "connection", ConnState: "S0"}}},
		{"unset and empty", tsvHeader + tsvFields + strings.NewReplacer("dns", "(empty)", "0.012167\t0\t111", "-\t-\t-").Replace(tsvRow), []event.Event{absent}},
		{"other marks", "#separator ,\n#unset_field,NIL\n#empty_field,NONE\n#path,conn\n" + strings.ReplaceAll(tsvFields, "\t", ",") +
			strings.NewReplacer("dns", "NONE", "0.012167\t0\t111", "NIL,NIL,NIL", "\t", ",").Replace(tsvRow), []event.Event{absent}},
		{"a flow seen twice", tsvHeader + tsvFields + tsvRow + tsvRow, []event.Event{flow, flow}},
		{"CRLF and blank lines", strings.ReplaceAll(tsvHeader+tsvFields+"\n"+tsvRow+"\n\n", "\n", "\r\n"), []event.Event{flow}},
		{"gzip", gzipped(t, tsvHeader+tsvFields+tsvRow), []event.Event{flow}},
		{"gzip of two parts", gzipped(t, tsvHeader+tsvFields) + gzipped(t, tsvRow), []event.Event{flow}},

		{"JSON", jsonRow + jsonRow, []event.Event{flow, flow}},
		{"JSON with _path", `{"_path":"conn",` + jsonRow[1:], []event.Event{flow}},
		{"JSON without a last line end", strings.TrimSpace(jsonRow), []event.Event{flow}},
		{"ISO 8601", json("ts", `"2022-09-29T14:40:56.755299Z"`), []event.Event{flow}},
		{"milliseconds", json("ts", `1664462456755`), []event.Event{at(flow.Timestamp.Truncate(time.Millisecond))}},
		{"nanoseconds", json("ts", `1664462456.123456789`), []event.Event{at(time.Unix(1664462456, 123456789).UTC())}},
		{"a clock that starts at 0", json("ts", `0.0`), []event.Event{at(time.Unix(0, 0).UTC())}},
		{"a duration below 0 is none", json("duration", `-0.1`), []event.Event{with(func(e *event.Event) { e.Duration = event.Int{} })}},
		{"a duration with an exponent", json("duration", `9.5367431640625e-07`), []event.Event{with(func(e *event.Event) { e.Duration = event.Known(954) })}},
		{"null", json("service", `null`), []event.Event{with(func(e *event.Event) { e.Protocol = "" })}},
		{"escapes", json("service", `"d\u006es"`), []event.Event{flow}},
		{"an IPv4 address in IPv6", json("id.resp_h", `"::ffff:10.0.0.1"`), []event.Event{with(func(e *event.Event) { e.Destination.IP = netip.MustParseAddr("10.0.0.1") })}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(write(t, "conn.log", c.content))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// What is refused, by file, line, field and value.
func TestRefused(t *testing.T) {
	row := func(old, new string) string {
		return tsvHeader + tsvFields + tsvRow + strings.Replace(tsvRow, old, new, 1)
	}
	object := func(old, new string) string { return jsonRow + strings.Replace(jsonRow, old, new, 1) }
	for _, c := range []struct{ name, content, want string }{
		{"an empty file", "", "empty: want raw_packets.csv, Zeek conn.log (TSV), Zeek conn.log (JSON lines); plain or gzip"},
		{"a pcap file", "\xd4\xc3\xb2\xa1\x02\x00", ":1: found a pcap capture: want raw_packets.csv"},
		{"a zip archive", "PK\x03\x04", "found a zip archive"},
		{"zstd", "\x28\xb5\x2f\xfd", "found zstd compressed data"},
		{"prose", "Dear all,\n", `:1: found "Dear all,": want raw_packets.csv`},
		{"an array", "[\n{}\n]", "found a JSON array"},
		{"a damaged gzip file", gzipped(t, tsvHeader+tsvFields+tsvRow)[:40], "unexpected EOF"},

		{"a port", row("\t53\t", "\t70000\t"), `conn.log:8: id.resp_p: "70000": want a whole number from 0 to 65535`},
		{"a count", row("\t111\t", "\t-5\t"), `:8: resp_bytes: "-5": want a whole number from 0`},
		{"an address", row("fd00::1", "fd00::1%eth0"), `:8: id.resp_h: "fd00::1%eth0": want an IPv4 or IPv6 address`},
		{"a time", row("1664462456.755299", "yesterday"), `:8: ts: "yesterday": want seconds since 1970`},
		{"a time after 2100", row("1664462456.755299", "4133980800"), `:8: ts: "4133980800"`},
		{"no time", row("1664462456.755299", "-"), `:8: ts: "": want a time in every row`},
		{"no uid", row("C5xh", "-"), `:8: uid: "": want a unique id in every row`},
		{"text that is not UTF-8", row("udp", "\xff"), `:8: proto: "\xff": want text in UTF-8`},
		{"a short row", row("\tBenign", ""), ":8: row of 14 columns: want 15 as in #fields"},
		{"a torn row", strings.TrimSuffix(row("\t111\tSHR\t0\t1\tBenign", "\t11"), "\n"), "the line has no end"},
		{"a row before the columns", tsvHeader + tsvRow, ":6: a row before the columns are known"},
		{"dns.log", strings.Replace(tsvHeader, "conn", "dns", 1) + "#fields\tts\tuid\tquery\n", ":5: found Zeek's dns.log: want its conn.log"},
		{"dns.log below conn.log", tsvHeader + tsvFields + tsvRow + "#path\tdns\n", ":8: found Zeek's dns.log"},
		{"another log without a path", "#fields\tts\tuid\tquery\n", ":1: #fields ts uid query: want those of a conn.log"},
		{"no uid column", "#fields\tts\tconn_state\n", "want a column uid"},
		{"a column twice", tsvHeader + strings.Replace(tsvFields, "label", "ts", 1), `"ts": want each column once`},

		{"JSON port", object(`"id.resp_p":53`, `"id.resp_p":53.5`), `:2: id.resp_p: "53.5": want a whole number`},
		{"JSON object for a number", object(`"id.resp_p":53`, `"id.resp_p":{}`), `:2: id.resp_p: "{}"`},
		{"JSON key twice", object(`"proto":`, `"ts":1,"proto":`), `:2: `},
		{"JSON cut", object(`"orig_pkts":0`, ``), `:2: `},
		{"two objects in a line", strings.Replace(jsonRow, "\n", jsonRow, 1), "want one JSON object in a line"},
		{"no object", jsonRow + "17\n", ":2: "},
		{"JSON dns.log", `{"ts":1,"uid":"C","id.orig_h":"10.0.0.1","proto":"udp","trans_id":7,"query":"a.b"}`, ":1: found Zeek's dns.log: want its conn.log"},
		{"JSON ssh.log", `{"ts":1663683561.5,"uid":"C","id.orig_h":"10.0.0.1","id.orig_p":33728,"id.resp_h":"10.0.0.2","id.resp_p":22,"auth_attempts":0,"direction":"INBOUND","client":"SSH-2.0-x"}`, ":1: found Zeek's ssh.log: want its conn.log"},
		{"JSON _path", `{"_path":"http","ts":1}`, "found Zeek's http.log"},
		{"other JSON", `{"timestamp":"2018-03-23T22:11:37","event_type":"alert"}`, ":1: found JSON without the fields of a conn.log"},

		{"CSV without ids", "@timestamp,source.ip\n", `want a column event.id`},
		{"CSV row", event.Header() + "\n2026-03-02T08:00:00Z,a,zeek.conn\n", ":2: row of 3 cells: want"},
		{"CSV torn", event.Header() + "\n2026-03-02T08:00:00Z,a,zeek.c", "the line has no end"},
		{"a line without end", event.Header() + "\n" + strings.Repeat("x", maxLine+1), ":2: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readAll(write(t, "conn.log", c.content))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "a folder") {
		t.Errorf("%v, want a word about a folder", err)
	}
	if _, err := Open("nowhere.csv"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, want that the file does not exist", err)
	}
}

// After an error a file stays at its end.
func TestErrorsLast(t *testing.T) {
	f, err := Open(write(t, "conn.log", jsonRow+"x\n"+jsonRow))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Next(); err != nil {
		t.Fatal(err)
	}
	_, first := f.Next()
	_, again := f.Next()
	if first == nil || first != again {
		t.Errorf("%v, then %v", first, again)
	}
}

func ExampleOpen() {
	f, err := Open("../../data/sample/raw_packets.csv")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	events := 0
	for {
		_, err := f.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		events++
	}
	fmt.Println(f.Format(), events)
	// Output: raw_packets.csv 2000
}

func FuzzParseSeconds(f *testing.F) {
	for _, s := range []string{"0", "1664462456.755299", "0.012166976928710938", "9.5367431640625e-07", "-1.5", "1e3", "1.", ".5", "1e99", "0e99", "9223372036.854775807", "9223372036.854775808", "00000000000000000000000.00000000000000000000001", "123456789012345678901234567890e-25"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseSeconds(s)
		if !ok {
			return
		}
		exact, valid := new(big.Rat).SetString(s)
		if !valid {
			t.Fatalf("%q was read as %d", s, got)
		}
		difference := exact.Mul(exact, big.NewRat(1e9, 1))
		difference.Sub(difference, new(big.Rat).SetInt64(got))
		if difference.Abs(difference).Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%q was read as %d ns", s, got)
		}
	})
}

// FuzzOpen reads any content: whatever is accepted is valid and survives
// raw_packets.csv.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(tsvHeader + tsvFields + tsvRow))
	f.Add([]byte(jsonRow + jsonRow))
	f.Add([]byte(event.Header() + "\n2026-03-02T08:00:00Z,a" + strings.Repeat(",", 27) + "\n"))
	f.Add([]byte(gzipped(f, tsvHeader+tsvFields+tsvRow)))
	f.Add([]byte("#separator ,\n#fields,ts,uid,proto\n1,a,b"))
	f.Fuzz(func(t *testing.T, content []byte) {
		events, err := readAll(write(t, "file", string(content)))
		if err != nil && !strings.Contains(err.Error(), "file") {
			t.Fatalf("an error without the file's name: %v", err)
		}
		columns, err := event.ParseHeader(event.Header())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if err := e.Validate(); err != nil {
				t.Fatalf("%+v was accepted: %v", e, err)
			}
			row := string(event.AppendCSV(nil, &e))
			var again event.Event
			if err := columns.Decode(row, &again); err != nil {
				t.Fatalf("%s: %v", row, err)
			}
			if again != e {
				t.Fatalf("wrote %+v, read %+v", e, again)
			}
		}
	})
}

func BenchmarkZeekTSV(b *testing.B) { benchmarkOpen(b, tsvHeader+tsvFields, tsvRow) }

func BenchmarkZeekJSON(b *testing.B) { benchmarkOpen(b, "", jsonRow) }

func BenchmarkRaw(b *testing.B) {
	row := string(event.AppendCSV(nil, &flow)) + "\n"
	benchmarkOpen(b, event.Header()+"\n", row)
}

func benchmarkOpen(b *testing.B, header, row string) {
	f, err := Open(write(b, "file", header+strings.Repeat(row, b.N)))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := f.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

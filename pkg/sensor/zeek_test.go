package sensor

import (
	"math/big"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"soclab/pkg/event"
)

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

func TestZeek(t *testing.T) {
	json := func(field, value string) string { // jsonRow with another value
		begin := strings.Index(jsonRow, `"`+field+`":`) + len(field) + 3
		return jsonRow[:begin] + value + jsonRow[begin+strings.IndexByte(jsonRow[begin:], ','):]
	}
	absent := with(func(e *event.Event) {
		e.Protocol, e.Duration, e.Source.Bytes, e.Destination.Bytes = "", event.Int{}, event.Int{}, event.Int{}
	})
	at := func(t time.Time) event.Event { return with(func(e *event.Event) { e.Timestamp = t }) }
	few := event.Event{
		Timestamp: time.Unix(0, 5e8).UTC(), ID: "C2", Dataset: "zeek.conn", Category: "network", Action: "connection",
		Source: event.Endpoint{IP: netip.MustParseAddr("10.0.0.1")}, Destination: event.Endpoint{IP: netip.MustParseAddr("10.0.0.2")},
	}
	service := func(s string) []event.Event { return []event.Event{with(func(e *event.Event) { e.Protocol = s })} }
	nested := strings.NewReplacer(`"id.orig_h"`, `"id":{"orig_h"`, `"id.orig_p"`, `"orig_p"`, `"id.resp_h"`, `"resp_h"`, `"id.resp_p":53`, `"resp_p":53,"other":[{}]}`)
	for _, c := range []struct {
		name, content string
		want          []event.Event
	}{
		{"TSV", tsvHeader + tsvFields + tsvTypes + tsvRow + "#close\t2022\n", []event.Event{flow}},
		{"a log without rows", tsvHeader + tsvFields + tsvTypes + "#close\t2022\n", nil},
		{"joined logs, the second with fewer columns", tsvHeader + tsvFields + tsvRow + tsvHeader + "#fields\tuid\tts\tid.resp_h\tid.orig_h\n" + "C2\t0.5\t10.0.0.2\t10.0.0.1\n", []event.Event{flow, few}},
		{"unset and empty", tsvHeader + tsvFields + strings.NewReplacer("dns", "(empty)", "0.012167\t0\t111", "-\t-\t-").Replace(tsvRow), []event.Event{absent}},
		{"other marks", "#separator ,\n#unset_field,NIL\n#empty_field,NONE\n#path,conn\n" + strings.ReplaceAll(tsvFields, "\t", ",") +
			strings.NewReplacer("dns", "NONE", "0.012167\t0\t111", "NIL,NIL,NIL", "\t", ",").Replace(tsvRow), []event.Event{absent}},
		{"a separator of its own in sets", "#separator \\x09\n#set_separator\t;\n#path\tconn\n" + tsvFields + strings.Replace(tsvRow, "dns", "ssl;http", 1), service("ssl,http")},
		{"a set", tsvHeader + tsvFields + strings.Replace(tsvRow, "dns", "ssh,-ssl", 1), service("ssh")},
		{"escapes in TSV", tsvHeader + tsvFields + strings.Replace(tsvRow, "dns", `ssl\x2chttp\x5c\xc3\xa4\x9`, 1), service(`ssl,http\ä\x9`)},
		{"an escape of a mark", tsvHeader + tsvFields + strings.Replace(tsvRow, "dns", `\x2d`, 1), service("-")},
		{"escapes that are no UTF-8", tsvHeader + tsvFields + strings.Replace(tsvRow, "dns", `a\xff\x2c`, 1), service(`a\xff\x2c`)},
		{"names as a shipper writes them", tsvHeader + strings.ReplaceAll(tsvFields, "id.", "id_") + tsvRow, []event.Event{flow}},
		{"no path", tsvFields + tsvRow, []event.Event{flow}},
		{"a flow seen twice", tsvHeader + tsvFields + tsvRow + tsvRow, []event.Event{flow, flow}},
		{"CRLF and blank lines", strings.ReplaceAll(tsvHeader+tsvFields+"\n"+tsvRow+"\n\n", "\n", "\r\n"), []event.Event{flow}},
		{"gzip of two parts", gzipped(t, tsvHeader+tsvFields) + gzipped(t, tsvRow), []event.Event{flow}},

		{"JSON", jsonRow + jsonRow, []event.Event{flow, flow}},
		{"JSON with _path", `{"_path":"conn",` + jsonRow[1:], []event.Event{flow}},
		{"JSON with @stream", `{"@stream":"conn","ts":0.5,"uid":"C2","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2"}`, []event.Event{few}},
		{"JSON with a nested id", nested.Replace(jsonRow), []event.Event{flow}},
		{"JSON with id_orig_h", strings.ReplaceAll(jsonRow, `"id.`, `"id_`), []event.Event{flow}},
		{"JSON with an escaped key", strings.Replace(jsonRow, `"id.o`, `"\u0069d.o`, 1), []event.Event{flow}},
		{"JSON numbers as strings", json("id.orig_p", `"40042"`), []event.Event{flow}},
		{"a JSON array", json("service", `["ssl","http"]`), service("ssl,http")},
		{"an empty JSON array", json("service", `[]`), service("")},
		{"an empty JSON string", json("service", `""`), service("")},
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
			got, err := readText(c.content)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// What is refused, by line, field and value.
func TestZeekRefuses(t *testing.T) {
	row := func(old, new string) string {
		return tsvHeader + tsvFields + tsvRow + strings.Replace(tsvRow, old, new, 1)
	}
	object := func(old, new string) string { return jsonRow + strings.Replace(jsonRow, old, new, 1) }
	refuse(t, []refusal{
		{"a port", row("\t53\t", "\t70000\t"), `log:8: id.resp_p: "70000": want a whole number from 0 to 65535`},
		{"a count", row("\t111\t", "\t-5\t"), `:8: resp_bytes: "-5": want a whole number from 0`},
		{"an address", row("fd00::1", "fd00::1%eth0"), `:8: id.resp_h: "fd00::1%eth0": want an IPv4 or IPv6 address`},
		{"a time", row("1664462456.755299", "yesterday"), `:8: ts: "yesterday": want seconds since 1970`},
		{"a time after 2100", row("1664462456.755299", "4133980800"), `:8: ts: "4133980800"`},
		{"a time before 1970", row("1664462456.755299", "-0.5"), `:8: ts: "-0.5"`},
		{"a long row", row("\n", "\tmore\n"), " columns: want "},
		{"no time", row("1664462456.755299", "-"), `:8: ts: "": want a value in every record`},
		{"no uid", row("C5xh", "-"), `:8: uid: "": want a value in every record`},
		{"text that is not UTF-8", row("udp", "\xff"), `:8: proto: "\xff": want valid UTF-8`},
		{"a short row", row("\tBenign", ""), ":8: row of 14 columns: want 15 as in #fields"},
		{"a torn row", strings.TrimSuffix(row("\t111\tSHR\t0\t1\tBenign", "\t11"), "\n"), "the line has no end"},
		{"a row before the columns", tsvHeader + tsvRow, ":6: a row before the columns are known"},
		{"another log", strings.Replace(tsvHeader, "conn", "weather", 1) + "#fields\tts\tuid\train\n", ":5: found Zeek's weather.log: want " + zeekNames()},
		{"another log below conn.log", tsvHeader + tsvFields + tsvRow + "#path\tweather\n", ":8: found Zeek's weather.log"},
		{"another log without a path", "#fields\tts\tuid\train\n", `:1: #fields "ts uid rain": want those of ` + zeekNames()},
		{"no uid column", "#fields\tts\tconn_state\n", ":1: #fields: want a column uid"},
		{"a column twice", tsvHeader + strings.Replace(tsvFields, "label", "ts", 1), `"ts": want each column once`},

		{"JSON port", object(`"id.resp_p":53`, `"id.resp_p":53.5`), `:2: id.resp_p: "53.5": want a whole number`},
		{"JSON object for a number", object(`"id.resp_p":53`, `"id.resp_p":{}`), `:2: id.resp_p: "{}"`},
		{"JSON key twice", object(`"proto":`, `"ts":1,"proto":`), `:2: `},
		{"JSON cut", object(`"orig_pkts":0`, ``), `:2: `},
		{"two objects in a line", strings.Replace(jsonRow, "\n", jsonRow, 1), "want one JSON object in a line"},
		{"no object", jsonRow + "17\n", ":2: "},
		{"JSON of another log", `{"ts":1,"uid":"C","id.orig_h":"10.0.0.1","proto":"tcp","note":"x"}`, ":1: found Zeek's notice.log: want " + zeekNames()},
		{"JSON _path", `{"_path":"weather","ts":1}`, "found Zeek's weather.log"},
		{"other JSON", `{"timestamp":"2018-03-23T22:11:37","event_type":"alert"}`, ":1: found JSON without the fields of " + zeekNames()},
		{"a row before the columns of another header", tsvHeader + tsvFields + tsvRow + "#path\tconn\n" + tsvRow, ":9: a row before the columns are known"},
		{"no address", row("172.16.1.11", "-"), `:8: id.orig_h: "": want a value in every record`},
		{"no address column", tsvHeader + strings.Replace(tsvFields, "id.resp_h", "resp_h", 1) + tsvRow, ":6: #fields: want a column id.resp_h"},
		{"a column in another case", tsvHeader + strings.Replace(tsvFields, "service", "Service", 1) + tsvRow, `:6: #fields: service: "Service": want the name in this case exactly`},
		{"a column in two spellings", tsvHeader + strings.Replace(tsvFields, "label", "id_orig_h", 1), `"id_orig_h": want each column once`},
		{"another log without a path below", tsvHeader + tsvFields + tsvRow + "#separator \\x09\n#fields\tts\train\n", `:9: #fields "ts rain": want those of`},

		{"JSON without an address", object(`"id.orig_h":"172.16.1.11",`, ``), `:2: id.orig_h: "": want a value in every record`},
		{"JSON null address", object(`"172.16.1.11"`, `null`), `:2: id.orig_h: "": want a value in every record`},
		{"JSON id as text", object(`"id.orig_h":"172.16.1.11"`, `"id":"172.16.1.11"`), `:2: id.orig_h: "": want a value`},
		{"JSON address in two spellings", object(`"proto":`, `"id_orig_h":"10.0.0.9","proto":`), `:2: id.orig_h: "10.0.0.9": want each field once`},
		{"JSON nested address beside the flat one", object(`"proto":`, `"id":{"orig_h":"10.0.0.9"},"proto":`), `:2: id.orig_h: "10.0.0.9": want each field once`},
		{"JSON key in another case", object(`"service"`, `"Service"`), `:2: service: "Service": want the name in this case exactly`},
		{"JSON array for a uid", object(`"C5xh"`, `["C5xh"]`), `:2: uid: "[\"C5xh\"]": want a string`},
		{"JSON object for text", object(`"udp"`, ` {"a":1}`), `:2: proto: "{\"a\":1}": want a string`},
		{"JSON true for text", object(`"dns"`, `true`), `:2: service: "true": want a string or an array of strings`},
		{"JSON number for text", object(`"SHR"`, `5`), `:2: conn_state: "5": want a string`},
		{"JSON numbers in an array", object(`"dns"`, `["dns",[]]`), `:2: service: "[\"dns\",[]]": want an array of strings`},
		{"JSON path of another type", `{"_path":5}`, `log:1: _path: "5": want a string`},
	})
}

// Another log is a table: TSV and JSON are read by it.
func TestAddingALog(t *testing.T) {
	made := zeekLog{
		path: "weather", dataset: "zeek.weather", category: "network", action: "query",
		marks: []string{"rain"},
		fields: slices.Concat(zeekConnection, []zeekField{
			{name: "query", to: event.MustField("dns.question.name")},
			{name: "answers", to: event.MustField("dns.answers"), list: true},
			{name: "rtt", to: event.MustField("event.duration")},
		}),
	}
	zeekLogs = append(zeekLogs, &made)
	t.Cleanup(func() { zeekLogs = zeekLogs[:len(zeekLogs)-1] })
	question := event.Event{
		Timestamp: time.Unix(1, 0).UTC(), ID: "D1", Dataset: "zeek.weather", Category: "network", Action: "query", Duration: event.Known(500_000_000),
		Source:      event.Endpoint{IP: netip.MustParseAddr("10.0.0.1"), Port: event.Known(5)},
		Destination: event.Endpoint{IP: netip.MustParseAddr("10.0.0.2"), Port: event.Known(53)},
		DNS:         event.DNS{Question: "a.example", Answers: "10.0.0.3,10.0.0.4"},
	}
	const (
		header = "#separator \\x09\n#path\tweather\n"
		rows   = "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\train\trtt\tquery\tanswers\n" +
			"1.0\tD1\t10.0.0.1\t5\t10.0.0.2\t53\t7\t0.5\ta.example\t10.0.0.3,10.0.0.4\n"
		object = `{"ts":1,"uid":"D1","id.orig_h":"10.0.0.1","id.orig_p":5,"id.resp_h":"10.0.0.2","id.resp_p":53,"rain":7,"rtt":0.5,"query":"a.example","answers":["10.0.0.3","10.0.0.4"]}` + "\n"
	)
	for _, c := range []struct {
		name, content, format string
		want                  []event.Event
	}{
		{"TSV", header + rows, "Zeek weather.log (TSV)", []event.Event{question}},
		{"TSV without a path", rows, "Zeek weather.log (TSV)", []event.Event{question}},
		{"JSON", object, "Zeek weather.log (JSON lines)", []event.Event{question}},
		{"JSON with _path", `{"_path":"weather",` + strings.Replace(object[1:], `"rain":7,`, "", 1), "Zeek weather.log (JSON lines)", []event.Event{question}},
		{"joined TSV, each row by its own header", tsvHeader + tsvFields + tsvRow + header + rows + tsvHeader + tsvFields + tsvRow, "Zeek conn.log (TSV)", []event.Event{flow, question, flow}},
		{"mixed JSON", jsonRow + object + jsonRow, "Zeek conn.log (JSON lines)", []event.Event{flow, question, flow}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewReader(strings.NewReader(c.content), "log")
			if err != nil {
				t.Fatal(err)
			}
			if r.Format() != c.format {
				t.Errorf("%s, want %s", r.Format(), c.format)
			}
			if got, err := drain(r); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

// The tables of Zeek's logs hold together.
func TestZeekTables(t *testing.T) {
	marks, paths := map[string]string{}, map[string]bool{}
	for _, l := range zeekLogs {
		if len(l.fields) > 64 {
			t.Errorf("%s: %d fields: zeekRecord has a bit for 64", l.path, len(l.fields))
		}
		if paths[l.path] || l.path == "" || l.dataset == "" || l.category == "" || l.action == "" || len(l.marks) == 0 {
			t.Errorf("%+v: want a path of its own, a dataset, a category, an action and marks", l)
		}
		paths[l.path] = true
		for _, mark := range l.marks {
			if other := marks[mark]; other != "" {
				t.Errorf("%s marks both %s and %s", mark, other, l.path)
			}
			marks[mark] = l.path
			for _, other := range zeekLogs {
				if at, _ := other.field(mark, 0); other != l && at >= 0 {
					t.Errorf("%s marks %s, and is a field of %s", mark, l.path, other.path)
				}
			}
		}
		required := map[event.Field]bool{}
		for i, f := range l.fields {
			if at, err := l.field(f.name, 0); err != nil || at != i || f.name != strings.ToLower(f.name) {
				t.Errorf("%s: %s: want a name in lower case, once", l.path, f.name)
			}
			if f.list && f.to.Kind() != event.KindText {
				t.Errorf("%s: %s: want text for a list", l.path, f.name)
			}
			required[f.to] = required[f.to] || f.required
		}
		if !required[event.FieldTimestamp] || !required[event.FieldID] {
			t.Errorf("%s: want a timestamp and an id in every record", l.path)
		}
	}
}

func FuzzZeekTSV(f *testing.F) {
	f.Add([]byte(tsvHeader + tsvFields + tsvRow))
	f.Add([]byte("#separator ,\n#fields,ts,uid,proto\n1,a,b"))
	f.Add([]byte("#fields\tts\tuid\tid.orig_h\tid.resp_h\tservice\tconn_state\n1.5\tC\t::1\t::2\ta\\x2cb\\xff\tSF\n"))
	fuzz(f)
}

func FuzzZeekJSON(f *testing.F) {
	f.Add([]byte(jsonRow + jsonRow))
	f.Add([]byte(`{"_path":"conn","ts":"2026-03-01T12:00:00Z","uid":"C","id":{"orig_h":"::1","resp_h":"::2"},"service":["a","\u002c"],"duration":1e-7}`))
	fuzz(f)
}

func BenchmarkZeekTSV(b *testing.B) { benchmark(b, tsvHeader+tsvFields, tsvRow) }

func BenchmarkZeekJSON(b *testing.B) { benchmark(b, "", jsonRow) }

// FuzzParseSeconds compares with exact rational numbers.
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

package event_test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"soclab/pkg/event"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.UTC)

// web has most fields, and text that needs care.
func web() event.Event {
	return event.Event{
		Timestamp: noon, ID: "C5xhsO3uGtOfyrBlHh",
		Dataset: "zeek.http", Category: "web", Action: "request", Duration: event.Known(1_500_000),
		Source:      event.Endpoint{IP: netip.MustParseAddr("2001:db8::7"), Port: event.Known(40042), Bytes: event.Known(0)},
		Destination: event.Endpoint{IP: netip.MustParseAddr("192.0.2.10"), Port: event.Known(443), Bytes: event.Known(5321), Packets: event.Known(7)},
		Transport:   "tcp", Protocol: "http", User: `CORP\nick`,
		URL:  event.URL{Domain: "example.org", Path: "/a,b", Query: "q=\"x\"\n&r=é"},
		HTTP: event.HTTP{Method: "GET", Status: event.Known(200)}, UserAgent: "=1+1",
	}
}

func ExampleDecodeJSON() {
	var e event.Event
	err := event.DecodeJSON(`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"C1",
		"source.ip":"10.0.0.7","destination.ip":"10.0.0.9","destination.port":22}`, &e)
	fmt.Println(e.Source.IP, e.Destination.Port, e.Outcome == "", err)

	err = event.DecodeJSON(`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"C1","source.port":70000}`, &e)
	fmt.Println(err)
	// Output:
	// 10.0.0.7 22 true <nil>
	// source.port: "70000": want a whole number from 0 to 65535
}

func TestJSONRoundTrip(t *testing.T) {
	want := web()
	encoded := event.AppendJSON(nil, &want)
	var got event.Event
	if err := event.DecodeJSON(string(encoded), &got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("decoded\n%+v, want\n%+v", got, want)
	}
}

func TestDecodeJSON(t *testing.T) {
	const head = `{"@timestamp":"2026-03-01T12:00:00Z","event.id":"C1"`
	accepted := map[string]string{
		"minimal":               head + `}`,
		"white space":           " \n" + head + " , \t\"source.port\" : 5 } ",
		"unknown keys":          head + `,"x":{"source.port":[1,{"a":"}"}]},"y":"\"","z":-1.5e3,"w":true}`,
		"null is absent":        head + `,"source.ip":null,"source.port":null}`,
		"offset":                `{"@timestamp":"2026-03-01T13:00:00+01:00","event.id":"C1"}`,
		"widest offset":         `{"@timestamp":"2026-03-01T13:00:00.5-23:59","event.id":"C1"}`,
		"null for an object":    head + `,"source":null,"eventful":{}}`,
		"1970":                  `{"@timestamp":"1970-01-01T00:00:00Z","event.id":"C1"}`,
		"2100":                  `{"@timestamp":"2100-12-31T23:59:59.999999999Z","event.id":"C1"}`,
		"IPv6":                  head + `,"source.ip":"2001:db8::1"}`,
		"escaped key and value": `{"\u0040timestamp":"2026-03-01T12:00:00Z","event.id":"\u00431\ud83d\ude00"}`,
		"largest count":         head + `,"source.bytes":9223372036854775807}`,
		"minus zero":            head + `,"source.port":-0}`,
	}
	for name, record := range accepted {
		t.Run(name, func(t *testing.T) {
			var e event.Event
			if err := event.DecodeJSON(record, &e); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
	refused := []struct{ name, record, message string }{
		{"empty", ``, `want a JSON object`},
		{"not JSON", `hello`, `want a JSON object`},
		{"array", `[]`, `want a JSON object`},
		{"no timestamp", `{"event.id":"C1"}`, `@timestamp: "": want an RFC 3339 time`},
		{"no id", `{"@timestamp":"2026-03-01T12:00:00Z"}`, `event.id: "": want a unique id`},
		{"null id", `{"@timestamp":"2026-03-01T12:00:00Z","event.id":null}`, `event.id`},
		{"truncated", head, `want a comma or a closing brace`},
		{"open string", `{"event.id":"C1`, `closing quote`},
		{"trailing text", head + `}{}`, `nothing after the object`},
		{"trailing comma", head + `,}`, `want a string`},
		{"duplicate key", head + `,"event.id":"C2"}`, `event.id: "event.id": want each key once`},
		{"duplicate by escape", head + `,"event\u002eid":"C2"}`, `want each key once`},
		{"duplicate unknown key", head + `,"x":1,"x":2}`, `duplicate`},
		{"nested duplicate", head + `,"x":{"y":1,"y":2}}`, `duplicate`},
		{"case variant", head + `,"Source.IP":"10.0.0.1"}`, `source.ip: "Source.IP": want the name in this case exactly`},
		{"blank in a key", head + `,"source.ip ":"10.0.0.1"}`, `source.ip: "source.ip ": want the name`},
		{"nested", head + `,"source":{"ip":"10.0.0.1"}}`, `source: "{\"ip\":\"10.0.0.1\"": want flat keys, such as source.ip`},
		{"folded variant", head + `,"ſource.ip":"10.0.0.1"}`, `in this case exactly`},
		{"port out of range", head + `,"source.port":70000}`, `source.port: "70000": want a whole number from 0 to 65535`},
		{"negative port", head + `,"source.port":-1}`, `source.port: "-1"`},
		{"fraction", head + `,"source.port":80.0}`, `source.port: "80.0"`},
		{"exponent", head + `,"source.port":8e1}`, `source.port: "8e1"`},
		{"leading zero", head + `,"source.port":080}`, `source.port: "080"`},
		{"overflow", head + `,"source.bytes":9223372036854775808}`, `source.bytes`},
		{"number as text", head + `,"source.port":"80"}`, `source.port`},
		{"text as number", head + `,"user.name":5}`, `user.name: "5": want a JSON string`},
		{"not an address", head + `,"source.ip":"10.0.0.256"}`, `source.ip: "10.0.0.256": want an IPv4 or IPv6 address`},
		{"zone", head + `,"source.ip":"fe80::1%eth0"}`, `source.ip`},
		{"status of four digits", head + `,"http.response.status_code":1000}`, `from 100 to 999`},
		{"no status", head + `,"http.response.status_code":99}`, `from 100 to 999`},
		{"bad time", `{"@timestamp":"2026-03-01 12:00","event.id":"C1"}`, `@timestamp: "2026-03-01 12:00"`},
		{"hour of one digit", `{"@timestamp":"2026-03-01T1:02:03Z","event.id":"C1"}`, `1970 to 2100`},
		{"comma in a time", `{"@timestamp":"2026-03-01T12:00:00,5Z","event.id":"C1"}`, `1970 to 2100`},
		{"zone of a day", `{"@timestamp":"2026-03-01T12:00:00+24:00","event.id":"C1"}`, `1970 to 2100`},
		{"zone of 60 minutes", `{"@timestamp":"2026-03-01T12:00:00+01:60","event.id":"C1"}`, `1970 to 2100`},
		{"before 1970", `{"@timestamp":"1969-12-31T23:59:59Z","event.id":"C1"}`, `1970 to 2100`},
		{"after 2100", `{"@timestamp":"2101-01-01T00:00:00Z","event.id":"C1"}`, `1970 to 2100`},
		{"invalid UTF-8", head + `,"user.name":"` + "\xff" + `"}`, `invalid UTF-8`},
		{"lone surrogate", head + `,"user.name":"\ud800"}`, `string`},
		{"control character", head + `,"user.name":"` + "\n" + `"}`, `control characters to be escaped`},
		{"too long", head + `,"user.name":"` + strings.Repeat("a", event.MaxRecord) + `"}`, `want at most 65536`},
	}
	for _, test := range refused {
		t.Run(test.name, func(t *testing.T) {
			var e event.Event
			err := event.DecodeJSON(test.record, &e)
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v, want it to say %s", err, test.message)
			}
		})
	}
}

// Times are in UTC, whatever zone they come in.
func TestTimesAreUTC(t *testing.T) {
	want := event.Event{Timestamp: noon, ID: "a"}
	there := want
	there.Timestamp = noon.In(time.FixedZone("", -5*3600))
	for _, encoded := range []struct{ got, want []byte }{
		{event.AppendJSON(nil, &there), event.AppendJSON(nil, &want)},
		{event.AppendCSV(nil, &there), event.AppendCSV(nil, &want)},
	} {
		if string(encoded.got) != string(encoded.want) {
			t.Errorf("%s, want %s", encoded.got, encoded.want)
		}
	}
	var got event.Event
	if err := event.DecodeJSON(`{"@timestamp":"2026-03-01T07:00:00.25-05:00","event.id":"a"}`, &got); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

// An event is decoded into what held another one.
func TestDecodingOverwrites(t *testing.T) {
	columns, err := event.ParseHeader(event.Header())
	if err != nil {
		t.Fatal(err)
	}
	want := event.Event{Timestamp: noon, ID: "a"}
	for name, decode := range map[string]func(*event.Event) error{
		"JSON": func(e *event.Event) error { return event.DecodeJSON(string(event.AppendJSON(nil, &want)), e) },
		"CSV":  func(e *event.Event) error { return columns.Decode(string(event.AppendCSV(nil, &want)), e) },
	} {
		got := web()
		if err := decode(&got); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
	}
}

func TestKeysInAnyOrder(t *testing.T) {
	want := web()
	record := string(event.AppendJSON(nil, &want))
	members := strings.SplitAfter(strings.Trim(record, "{}"), `,"`)
	for i := range members {
		members[i] = `"` + strings.TrimPrefix(strings.TrimSuffix(members[i], `,"`), `"`)
	}
	for i := range members {
		order := slices.Concat(members[i:], members[:i])
		if i%2 == 1 {
			slices.Reverse(order)
		}
		var got event.Event
		if err := event.DecodeJSON("{"+strings.Join(order, " , ")+"}", &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", order, got, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for field, breakIt := range map[string]func(*event.Event){
		"@timestamp":  func(e *event.Event) { e.Timestamp = time.Time{} },
		"event.id":    func(e *event.Event) { e.ID = "" },
		"user.name":   func(e *event.Event) { e.User = "\xff" },
		"@timestamp ": func(e *event.Event) { e.Timestamp = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC) },
		"source.port": func(e *event.Event) { e.Source.Port = event.Known(65536) },
		"source.ip":   func(e *event.Event) { e.Source.IP = netip.MustParseAddr("fe80::1%eth0") },
	} {
		e := web()
		if err := e.Validate(); err != nil {
			t.Fatal(err)
		}
		breakIt(&e)
		var wrong *event.FieldError
		if err := e.Validate(); !errors.As(err, &wrong) || wrong.Field != strings.TrimSpace(field) {
			t.Errorf("%s: error %v", field, err)
		}
	}
}

// A message fits a line, however long the value is.
func TestErrorsAreShort(t *testing.T) {
	var e event.Event
	err := event.DecodeJSON(`{"source.ip":"`+strings.Repeat("x", 1000)+`"}`, &e)
	if err == nil || len(err.Error()) > 200 || !strings.Contains(err.Error(), "xxx…") {
		t.Errorf("%v", err)
	}
}

func TestFields(t *testing.T) {
	e := web()
	for _, f := range event.Fields() {
		if found, ok := event.FieldNamed(f.Name()); !ok || found != f || f.Name() == "" {
			t.Errorf("field %d, %q, is not found by its name", f, f.Name())
		}
	}
	var copied event.Event
	for _, f := range event.Fields() {
		if text := string(f.Append(nil, &e)); text != "" {
			if err := f.Parse(&copied, text); err != nil {
				t.Error(err)
			}
		}
	}
	if copied != e {
		t.Errorf("parsed %+v, want %+v", copied, e)
	}
	if err := event.MustField("user.name").Parse(&copied, "\xff"); err == nil {
		t.Error("text that is not UTF-8 was accepted")
	}
	if got := string(event.MustField("destination.port").Append(nil, &e)); got != "443" {
		t.Errorf("destination.port %s", got)
	}
	if _, ok := event.FieldNamed("source.IP"); ok {
		t.Error("names are matched exactly")
	}
}

// Each field, also the one that was added last, is written and read alone: as
// JSON, as CSV, and in a row.
func TestEveryFieldRoundTrips(t *testing.T) {
	values := map[event.Kind]string{
		event.KindTime: "2026-03-01T12:00:00Z", event.KindText: `some "text", and more`, event.KindAddress: "10.0.0.1",
	}
	columns, err := event.ParseHeader(strings.Join(event.RowColumns(), ","))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range event.Fields() {
		want := event.Event{Timestamp: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), ID: "E"}
		value := values[f.Kind()]
		if f.Kind() == event.KindInteger {
			value = fmt.Sprint(ranges[f.Name()][1])
		}
		if err := f.Parse(&want, value); err != nil {
			t.Fatal(err)
		}
		if string(f.Append(nil, &want)) != value {
			t.Errorf("%s is %q after it was set to %q", f.Name(), f.Append(nil, &want), value)
		}
		var got event.Event
		if err := event.DecodeJSON(string(event.AppendJSON(nil, &want)), &got); err != nil || got != want {
			t.Errorf("%s as JSON: %+v (%v), want %+v", f.Name(), got, err, want)
		}
		record := event.Record{Event: want, Verdict: &event.Verdict{Class: event.Benign}}
		var row event.Row
		var rows event.RowEncoder
		if err := columns.DecodeRow(string(rows.AppendCSV(nil, &event.Row{Record: &record})), &row); err != nil || row.Event != want {
			t.Errorf("%s as CSV: %+v (%v), want %+v", f.Name(), row.Event, err, want)
		}
		for _, other := range event.Fields() {
			required := other == event.FieldTimestamp || other == event.FieldID
			if text := other.Append(nil, &want); len(text) > 0 && other != f && !required {
				t.Errorf("%s was set, and %s is %q", f.Name(), other.Name(), text)
			}
		}
	}
}

// A name with the dot of the DNS's root is the same name.
func TestNamesLoseTheirDot(t *testing.T) {
	var e event.Event
	const at = `{"@timestamp":"2026-03-01T12:00:00Z","event.id":"E"`
	for name, want := range map[string]string{"evil.example.": "evil.example", "evil.example": "evil.example", ".": "."} {
		if err := event.DecodeJSON(at+`,"dns.question.name":"`+name+`","url.domain":"`+name+`"}`, &e); err != nil || e.DNS.Question != want || e.URL.Domain != want {
			t.Errorf("%s became %s and %s (%v), want %s", name, e.DNS.Question, e.URL.Domain, err, want)
		}
	}
}

// Each member of Event is a field: what code can set is also written.
func TestEveryMemberIsAField(t *testing.T) {
	members := 0
	var count func(of reflect.Type)
	count = func(of reflect.Type) {
		for field := range of.Fields() {
			switch member := field.Type; member {
			case reflect.TypeFor[time.Time](), reflect.TypeFor[string](), reflect.TypeFor[event.Int](), reflect.TypeFor[netip.Addr]():
				members++
			default:
				count(member)
			}
		}
	}
	count(reflect.TypeFor[event.Event]())
	if fields := len(event.Fields()); members != fields {
		t.Errorf("Event has %d members, and %d fields: one lacks its row in the table", members, fields)
	}
}

// ranges are those of the fields that are whole numbers.
var ranges = map[string][2]int64{
	"event.duration":            {0, math.MaxInt64},
	"source.port":               {0, 65535},
	"source.bytes":              {0, math.MaxInt64},
	"source.packets":            {0, math.MaxInt64},
	"destination.port":          {0, 65535},
	"destination.bytes":         {0, math.MaxInt64},
	"destination.packets":       {0, math.MaxInt64},
	"http.response.status_code": {100, 999},
}

// The ends of each range are accepted, and what is beyond them is refused: as
// the text of CSV and logs, and in JSON.
func TestRanges(t *testing.T) {
	for _, f := range event.Fields() {
		if f.Kind() != event.KindInteger {
			continue
		}
		ends, known := ranges[f.Name()]
		if !known {
			t.Errorf("%s has no range here", f.Name())
			continue
		}
		for value, accepted := range map[int64]bool{ends[0]: true, ends[1]: true, ends[0] - 1: false, ends[1] + 1: false} {
			e := event.Event{Timestamp: noon, ID: "E"}
			errs := map[string]error{
				"text": f.Parse(&e, fmt.Sprint(value)),
				"JSON": event.DecodeJSON(fmt.Sprintf(`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"E",%q:%d}`, f.Name(), value), &e),
			}
			for form, err := range errs {
				if (err == nil) != accepted {
					t.Errorf("%s: %d as %s: error %v", f.Name(), value, form, err)
				}
			}
		}
	}
}

// The design names all fields and columns, in their order.
func TestDesignNamesAll(t *testing.T) {
	text, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	if names := strings.Split(event.Header(), ","); !strings.Contains(string(text), "`"+strings.Join(names, ", ")+"`") {
		t.Errorf("docs/design.md (Event) does not list\n%s", strings.Join(names, ", "))
	}
	for _, name := range event.RowColumns() {
		if !strings.Contains(string(text), name) {
			t.Errorf("docs/design.md (Classified row) does not name %s", name)
		}
	}
}

// FuzzDecodeJSON holds the decoder to a strict library's view of the same
// bytes: what one refuses as JSON the other refuses, and both read the same.
func FuzzDecodeJSON(f *testing.F) {
	e := web()
	f.Add(string(event.AppendJSON(nil, &e)))
	f.Add(`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"C1","x":[{"y":null}],"source.port":-0}`)
	f.Add(`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"\ud83d\ude00"}`)
	f.Add(`{"@timestamp":"2026-03-01T12:00:00Z","event.id":"C1","dns.question.name":"example.org..","url.domain":".."}`)
	f.Fuzz(func(t *testing.T, record string) {
		var e event.Event
		err := event.DecodeJSON(record, &e)
		var oracle map[string]jsontext.Value
		oracleErr := json.Unmarshal([]byte(record), &oracle)
		if oracleErr != nil && err == nil {
			t.Fatalf("accepted what the library refuses: %v", oracleErr)
		}
		if err != nil {
			var wrong *event.FieldError
			if oracleErr == nil && oracle != nil && len(record) <= event.MaxRecord && !errors.As(err, &wrong) {
				t.Fatalf("refused valid JSON without naming a field: %v", err)
			}
			return
		}
		if err := e.Validate(); err != nil {
			t.Fatalf("accepted an invalid event: %v", err)
		}
		for _, field := range event.Fields() {
			value, there := oracle[field.Name()]
			got := string(field.Append(nil, &e))
			switch {
			case !there || value.Kind() == 'n':
				if got != "" {
					t.Fatalf("%s: %q, but it is absent", field.Name(), got)
				}
			case field.Kind() == event.KindText:
				var want string
				err := json.Unmarshal(value, &want)
				if name := field.Name(); name == "dns.question.name" || name == "url.domain" {
					if root := strings.Trim(want, ".") == ""; !root {
						want = strings.TrimRight(want, ".")
					} else if want != "" {
						want = "."
					}
				}
				if err != nil || got != want {
					t.Fatalf("%s: %q, want %q (%v)", field.Name(), got, want, err)
				}
			case field.Kind() == event.KindInteger:
				var want int64
				if err := json.Unmarshal(value, &want); err != nil || field.Int(&e) != event.Known(want) {
					t.Fatalf("%s: %s, want %d (%v)", field.Name(), got, want, err)
				}
			}
		}
		var again event.Event
		if err := event.DecodeJSON(string(event.AppendJSON(nil, &e)), &again); err != nil || again != e {
			t.Fatalf("after a round trip %+v, want %+v (%v)", again, e, err)
		}
		if !utf8.Valid(event.AppendCSV(nil, &e)) {
			t.Fatal("the CSV row is not UTF-8")
		}
	})
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	e := web()
	e.URL.Query, e.User = "q=x", "alice"
	record, row := string(event.AppendJSON(nil, &e)), string(event.AppendCSV(nil, &e))
	columns, err := event.ParseHeader(event.Header())
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 0, 4096)
	for name, step := range map[string]func(){
		"DecodeJSON": func() { err = event.DecodeJSON(record, &e) },
		"AppendJSON": func() { buffer = event.AppendJSON(buffer[:0], &e) },
		"AppendCSV":  func() { buffer = event.AppendCSV(buffer[:0], &e) },
		"Decode":     func() { err = columns.Decode(row, &e) },
	} {
		if n := testing.AllocsPerRun(100, step); n != 0 || err != nil {
			t.Errorf("%s: %v allocations, error %v", name, n, err)
		}
	}
}

func BenchmarkDecodeJSON(b *testing.B) {
	e := web()
	e.URL.Query = "q=x"
	record := string(event.AppendJSON(nil, &e))
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		if err := event.DecodeJSON(record, &e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	e := web()
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		buffer = event.AppendJSON(buffer[:0], &e)
	}
}

func BenchmarkAppendCSV(b *testing.B) {
	e := web()
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		buffer = event.AppendCSV(buffer[:0], &e)
	}
}

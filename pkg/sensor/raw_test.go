package sensor

import (
	"strings"
	"testing"

	"soclab/pkg/event"
)

func TestRaw(t *testing.T) {
	row := string(event.AppendCSV(nil, &flow)) + "\n"
	for name, content := range map[string]string{
		"columns in any order": "class,source.ip,event.id,@timestamp\nbenign,10.0.0.1,a,2026-03-02T08:00:00Z\n",
		"joined files":         event.Header() + "\n" + row + event.Header() + "\n",
		"no last line end":     event.Header() + "\n" + strings.TrimSpace(row),
	} {
		if events, err := readText(content); len(events) != 1 || err != nil {
			t.Errorf("%s: %+v, %v", name, events, err)
		}
	}
	if events, err := readText(event.Header() + "\n"); len(events) != 0 || err != nil {
		t.Errorf("a header alone: %+v, %v", events, err)
	}
	refuse(t, []refusal{
		{"no ids", "@timestamp,source.ip\n", `log:1: header: want a column event.id`},
		{"a name in another case", "@timestamp,event.id,Source.IP\n", `log:1: header: source.ip: "Source.IP": want the name in this case exactly`},
		{"a name with a blank", "@timestamp,event.id,destination.port \n", `log:1: header: destination.port: "destination.port "`},
		{"a row", event.Header() + "\n2026-03-02T08:00:00Z,a,zeek.conn\n", "log:2: row of 3 cells: want"},
		{"a torn row", event.Header() + "\n2026-03-02T08:00:00Z,a,zeek.c", "the line has no end"},
		{"a torn header", event.Header(), "log:1: no event, and the line has no end"},
	})
}

func FuzzRaw(f *testing.F) {
	f.Add([]byte(event.Header() + "\n2026-03-02T08:00:00Z,a" + strings.Repeat(",", len(event.Fields())-2) + "\n"))
	f.Add([]byte("class,event.id,@timestamp\n,'=1,2026-03-02T08:00:00Z\n"))
	fuzz(f)
}

func BenchmarkRaw(b *testing.B) {
	benchmark(b, event.Header()+"\n", string(event.AppendCSV(nil, &flow))+"\n")
}

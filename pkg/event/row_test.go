package event_test

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"soclab/pkg/event"
)

// Each column of a row is written and read, whatever text it holds, and a row
// is read into what held another one.
func TestRowRoundTrip(t *testing.T) {
	columns, err := event.ParseHeader(strings.Join(event.RowColumns(), ","))
	if err != nil {
		t.Fatal(err)
	}
	odd := func(name string) string { return "=" + name + `, "quoted" C:\new` + "\n'" }
	rows := []event.Row{
		{
			Record: &event.Record{Event: web(), Offset: 1 << 40, Time: noon.Add(time.Second), Verdict: &event.Verdict{
				Class: odd("class"), RuleID: odd("rule"), RuleLevel: odd("level"), Matches: []string{odd("one"), odd("two")},
				Tactic:    event.Threat{ID: odd("tactic"), Name: odd("tactic's name")},
				Technique: event.Threat{ID: odd("technique"), Name: odd("technique's name")},
			}},
			Partition: 7, Ingested: noon.Add(time.Minute), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		},
		{
			Record:   &event.Record{Event: event.Event{Timestamp: noon, ID: "a"}, Time: noon, Verdict: &event.Verdict{Class: event.Benign}},
			Ingested: noon,
		},
	}
	var encoder event.RowEncoder
	var got event.Row
	for _, want := range rows {
		row := string(encoder.AppendCSV(nil, &want))
		if err := columns.DecodeRow(row, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v of %+v (%v)\nwant %+v of %+v", row, got, got.Record, err, want, want.Record)
		}
	}
	const want = `{"@timestamp":"2026-03-01T12:00:00.25Z","event.id":"a","event.created":"2026-03-01T12:00:00.25Z","class":"benign"}`
	if got := string(encoder.AppendJSON(nil, &rows[1])); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// Verdicts that are not shared do not fill the memory.
func TestRowEncoderIsBounded(t *testing.T) {
	var encoder event.RowEncoder
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, buffer := heap(), make([]byte, 0, 4096)
	for i := range 60_000 {
		class := fmt.Sprint(i, strings.Repeat("x", 1000))
		record := event.Record{Event: event.Event{Timestamp: noon, ID: "a"}, Verdict: &event.Verdict{Class: class}}
		buffer = encoder.AppendCSV(buffer[:0], &event.Row{Record: &record})
	}
	if grown := int64(heap()) - int64(before); grown > 40<<20 {
		t.Errorf("60,000 verdicts of 1,000 bytes keep %d MiB", grown>>20)
	}
	runtime.KeepAlive(&encoder)
}

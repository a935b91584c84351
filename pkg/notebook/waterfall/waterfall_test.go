package waterfall

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"soclab/pkg/jaeger"
	"soclab/pkg/tracing/spans"
)

var update = flag.Bool("update", false, "write the golden files")

// trace is one event's trace that waited in the queue.
func trace(wait time.Duration) jaeger.Trace {
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	span := func(id, parent, service, name, kind string, after, took time.Duration) jaeger.Span {
		return jaeger.Span{ID: id, ParentID: parent, Service: service, Name: name, Kind: kind,
			Start: start.Add(after), Duration: took, Attributes: map[string]string{"messaging.message.id": "e-<1>"}}
	}
	const ms = time.Millisecond
	consumed := 5*ms + wait
	return jaeger.Trace{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Spans: []jaeger.Span{
		span("1", "", "producer", spans.Produce, "producer", 0, 5*ms),
		span("2", "1", "classifier", spans.Consume, "consumer", consumed, 20*ms),
		span("3", "2", "classifier", spans.Classify, "internal", consumed+10*ms, 3*time.Microsecond),
		span("4", "2", "classifier", spans.Store, "internal", consumed+15*ms, 4*ms),
	}}
}

func TestDraw(t *testing.T) {
	for name, trace := range map[string]jaeger.Trace{
		"short-wait.svg": trace(10 * time.Millisecond),
		"long-wait.svg":  trace(90 * time.Second),
		"one-span.svg":   {ID: "ab", Spans: trace(0).Spans[:1]},
		"empty.svg":      {},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(Draw(trace))
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs, see with -update and git diff:\n%s", name, got)
			}
			if strings.Contains(got, "e-<1>") {
				t.Error("an attribute is not escaped")
			}
			if broken := strings.Contains(got, "axis is broken"); broken != strings.HasPrefix(name, "long") {
				t.Errorf("broken axis: %t", broken)
			}
		})
	}
}

// TestOrder checks that times keep their order on a broken axis.
func TestOrder(t *testing.T) {
	d := newPicture(trace(time.Hour))
	if !d.broken {
		t.Fatal("the axis is not broken")
	}
	last := -1.0
	for at := time.Duration(0); at <= d.total; at += time.Millisecond * 777 {
		if x := d.x(at); x < last {
			t.Fatalf("%s is drawn at %.1f, before what came earlier", at, x)
		} else {
			last = x
		}
	}
	if end := d.x(d.total); end < width-right-1 || end > width-right+1 {
		t.Errorf("the end is drawn at %.1f, want %d", end, width-right)
	}
}

package sink_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"soclab/pkg/event"
	"soclab/pkg/sink"
)

// recorded is a sink that writes its name down, and may fail.
type recorded struct {
	name string
	log  *[]string
	err  error
}

func (r recorded) Append(context.Context, *event.Batch) error {
	*r.log = append(*r.log, r.name)
	return r.err
}

// A batch goes from sink to sink in order, not past one that fails, and not at
// all where it is read again or empty.
func TestAll(t *testing.T) {
	full := errors.New("disk full")
	one := []event.Record{{Verdict: &event.Verdict{Class: event.Benign}}}
	for _, test := range []struct {
		name  string
		batch event.Batch
		fails string
		want  []string
	}{
		{"in order", event.Batch{Records: one}, "", []string{"topic", "file", "count"}},
		{"not past a failure", event.Batch{Records: one}, "file", []string{"topic", "file"}},
		{"not a replay", event.Batch{Records: one, Replay: true}, "", nil},
		{"not an empty batch", event.Batch{}, "", nil},
	} {
		var got []string
		var all sink.All
		for _, name := range []string{"topic", "file", "count"} {
			s := recorded{name: name, log: &got}
			if name == test.fails {
				s.err = full
			}
			all = append(all, s)
		}
		if err := all.Append(t.Context(), &test.batch); errors.Is(err, full) != (test.fails != "") || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
		}
	}
}

func TestDelay(t *testing.T) {
	batch := event.Batch{Records: make([]event.Record, 5)}
	began := time.Now()
	if err := sink.Delay(10*time.Millisecond).Append(t.Context(), &batch); err != nil || time.Since(began) < 50*time.Millisecond {
		t.Errorf("%s for 5 events (%v), want at least 10 ms for each", time.Since(began), err)
	}
	if err := sink.Delay(0).Append(t.Context(), &batch); err != nil {
		t.Error(err)
	}
	// It would take hours: the wait ends with the context, and says why.
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(why)
	if err := sink.Delay(time.Hour).Append(ctx, &batch); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
}

package traffic

import (
	"io"
	"path/filepath"
	"testing"

	"soclab/pkg/event"
	"soclab/pkg/sensor"
	"soclab/pkg/store"
)

// What a run records is what it makes, and can be sent again from the file.
func TestRecordedRunIsTheSame(t *testing.T) {
	folder := t.TempDir()
	o := Options{Seed: 4, Start: monday, Events: 3000, AttackShare: 0.2}
	var want []event.Event
	attacks := map[string]event.Truth{}
	each(t, o, func(e *event.Event, truth *event.Truth) {
		want = append(want, *e)
		if truth != nil {
			attacks[e.ID] = *truth
		}
	})
	writeRun(t, folder, o)
	r, err := sensor.Open(filepath.Join(folder, "raw_packets.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, e := range want {
		if got, err := r.Next(); err != nil || *got != e {
			t.Fatalf("event %d is %+v (%v), want %+v", i, got, err, e)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last event: %v", err)
	}
	n := 0
	for truth, err := range store.ReadTruth(filepath.Join(folder, "truth.csv")) {
		if err != nil {
			t.Fatal(err)
		}
		if want := attacks[truth.EventID]; truth.Incident != want.Incident || truth.Techniques[0] != want.Techniques[0] {
			t.Errorf("%+v, want %+v", truth, want)
		}
		n++
	}
	if n != len(attacks) || n == 0 {
		t.Errorf("%d rows of truth, want %d", n, len(attacks))
	}
}

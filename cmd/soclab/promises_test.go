package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"soclab/pkg/event"
	"soclab/pkg/store"
	"soclab/pkg/stream"
	"soclab/pkg/traffic"
)

func generator(t *testing.T, events int) *traffic.Generator {
	t.Helper()
	source, err := traffic.NewGenerator(traffic.Options{Seed: 1, Start: time.Now().UTC(), Events: events, AttackShare: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// An event is in raw_packets.csv, and its truth in truth.csv, before anybody
// else can know it.
func TestEventsAreRecordedBeforeTheyAreSent(t *testing.T) {
	raw, truth := filepath.Join(t.TempDir(), rawFile), filepath.Join(t.TempDir(), truthFile)
	recorder, err := store.NewRecorder(raw, truth)
	if err != nil {
		t.Fatal(err)
	}
	defer recorder.Close()
	attacks := 0
	sent, err := sendAll(t.Context(), generator(t, 25_000), recorder, 0, func(_ context.Context, events ...event.Event) error {
		recorded, err := os.ReadFile(raw)
		if err != nil {
			return err
		}
		for _, e := range []event.Event{events[0], events[len(events)-1]} {
			if !strings.Contains(string(recorded), ","+e.ID+",") {
				t.Errorf("event %s is sent and not recorded", e.ID)
			}
		}
		known, err := os.ReadFile(truth)
		attacks = strings.Count(string(known), "\n") - 1
		return err
	})
	if err != nil || sent != 25_000 || attacks < 2000 {
		t.Errorf("%d events sent, %d of them attacks (%v)", sent, attacks, err)
	}
	full := errors.New("disk full")
	if sent, err := sendAll(t.Context(), generator(t, 100), recorder, 0, func(context.Context, ...event.Event) error { return full }); sent != 0 || !errors.Is(err, full) {
		t.Errorf("%d events sent, error %v", sent, err)
	}
}

// At a rate, n events take at least the time of all chunks but the last.
func TestRateIsKept(t *testing.T) {
	recorder, err := store.NewRecorder("", "")
	if err != nil {
		t.Fatal(err)
	}
	began, most := time.Now(), 0
	sent, err := sendAll(t.Context(), generator(t, 100), recorder, 200, func(_ context.Context, events ...event.Event) error {
		most = max(most, len(events))
		return nil
	})
	if took := time.Since(began); err != nil || sent != 100 || most > 20 || took < 400*time.Millisecond {
		t.Errorf("%d events in %s, %d at once at most (%v): want at least 400 ms and 20", sent, took, most, err)
	}
}

// What the file says is in the topic: a batch is published before it is stored.
func TestPublishedBeforeStored(t *testing.T) {
	b := newBench(t)
	running := b.stack()
	classifier := b.command("classify")
	classifier.Stderr = os.Stderr
	if err := classifier.Start(); err != nil {
		t.Fatal(err)
	}
	defer classifier.Process.Kill()
	cluster := stream.Cluster{Brokers: running.Brokers}
	holds := func(topic string) (n int64) {
		positions, err := cluster.Positions(t.Context(), "", topic)
		if err != nil {
			return 0
		}
		for _, p := range positions {
			n += p.End
		}
		return n
	}
	b.soclab("produce", "--events", "10")
	await(t, "the first rows", func() bool { _, err := os.Stat(b.classified()); return err == nil && len(b.rows()) == 10 })
	// From now on nobody can append to the file.
	lock := flock.New(b.classified() + ".lock")
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	b.soclab("produce", "--events", "50")
	await(t, "a published batch", func() bool { return holds(stream.Classified) > 10 })
	if rows := b.rows(); len(rows) > 10 {
		t.Fatalf("%d rows although the file is locked", len(rows))
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	await(t, "all rows", func() bool { return len(b.rows()) == 60 && holds(stream.Classified) == 60 })
	if err := classifier.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	classifier.Wait()
}

// await waits for a state that another process reaches, for as long as a busy
// machine may need.
func await(t *testing.T, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !reached(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not reached in five minutes", what)
		}
	}
}

package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"

	"soclab/internal/sinktest"
	"soclab/pkg/event"
)

// A wait for another writer ends with the context.
func TestAppendEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classified_packets.csv")
	results, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer results.Close()
	other := flock.New(path + ".lock")
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	batch := event.Batch{Records: []event.Record{{Verdict: &event.Verdict{Class: event.Benign}}}}
	if err := results.Append(ctx, &batch); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestResultsAreASink(t *testing.T) {
	sinktest.Run(t, sinktest.Format{
		Open: func(path string, open func(string) (sinktest.File, error)) (sinktest.Sink, error) {
			return openWith(path, func(path string) (file, error) { return open(path) })
		},
		Read: func(path string, each func(partition int, offset int64, eventID string)) error {
			for row, err := range Read(path) {
				if err != nil {
					return err
				}
				each(row.Partition, row.Offset, row.ID)
			}
			return nil
		},
	})
}

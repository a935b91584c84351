package store_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"soclab/pkg/event"
	"soclab/pkg/store"
)

// A batch that comes twice, as after a crash, is held once, and the file tells
// where to go on.
func ExampleResults() {
	dir, err := os.MkdirTemp("", "results")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "classified_packets.csv")
	results, err := store.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer results.Close()

	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	scan := &event.Verdict{Class: "Port Scan", Technique: event.Threat{ID: "T1046"}}
	batch := &event.Batch{Partition: 2, Records: []event.Record{
		{Event: event.Event{Timestamp: at, ID: "a"}, Offset: 7, Verdict: &event.Verdict{Class: event.Benign}},
		{Event: event.Event{Timestamp: at, ID: "b"}, Offset: 8, Verdict: scan},
	}}
	for range 2 {
		if err := results.Append(context.Background(), batch); err != nil {
			log.Fatal(err)
		}
	}
	for row, err := range store.Read(path) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(row.Partition, row.Offset, row.ID, row.Verdict.Class)
	}
	fmt.Println(results.Last(2))
	// Output:
	// 2 7 a benign
	// 2 8 b Port Scan
	// 8 b true <nil>
}

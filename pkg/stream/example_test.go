package stream_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"soclab/internal/broker"
	"soclab/pkg/event"
	"soclab/pkg/sigma"
	"soclab/pkg/sink"
	"soclab/pkg/store"
	"soclab/pkg/stream"
)

// The pipeline: events are sent, and a consumer classifies them and gives them
// to its sinks, each once, however often it is killed.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "pipeline")
	check(err)
	defer os.RemoveAll(dir)
	kafka, err := broker.Start(broker.Options{Dir: dir})
	check(err)
	defer kafka.Close()
	cluster := stream.Cluster{Brokers: []string{kafka.Addr()}}

	producer, err := stream.NewProducer(ctx, cluster, nil)
	check(err)
	defer producer.Close()
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	check(producer.Send(ctx,
		event.Event{Timestamp: at, ID: "a", Category: "web", URL: event.URL{Path: "/products", Query: "id=7"}},
		event.Event{Timestamp: at, ID: "b", Category: "web", URL: event.URL{Path: "/products", Query: "id=7' or '1'='1"}}))

	rules, err := sigma.DefaultRules()
	check(err)
	classifier := sigma.NewClassifier(rules)
	file := filepath.Join(dir, "classified_packets.csv")
	results, err := store.Open(file)
	check(err)
	defer results.Close()
	sinks := sink.All{results}
	consumer, err := stream.NewConsumer(ctx, stream.ConsumerOptions{Cluster: cluster, Results: results, History: classifier.History()})
	check(err)
	defer consumer.Close()
	check(consumer.Drain(ctx, func(ctx context.Context, batch *event.Batch) error {
		classifier.Classify(ctx, batch)
		return sinks.Append(ctx, batch)
	}))

	for row, err := range store.Read(file) {
		check(err)
		fmt.Println(row.ID, row.Verdict.Class)
	}
	// Unordered output:
	// a benign
	// b SQL Injection in a Web Request
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

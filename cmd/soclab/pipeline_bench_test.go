package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"soclab/internal/cost"
	"soclab/internal/stack"
	"soclab/pkg/event"
	"soclab/pkg/sigma"
	"soclab/pkg/sink"
	"soclab/pkg/store"
	"soclab/pkg/stream"
	"soclab/pkg/traffic"
)

// BenchmarkClassifyStage measures the CPU time of this process for one event
// through consume, classify and store, with the default rules: in a consumer
// group with commits, the CSV synced per batch, no event traced. The broker is
// a process of its own and not counted. Beside it stand two baselines with the
// same classifier: the plain way of tutorials (kafka.Reader.ReadMessage, which
// commits each message, encoding/json, encoding/csv), and the same with
// commits and syncs in thousands.
//
//	go test ./cmd/soclab -run - -bench ClassifyStage -benchtime 1x
func BenchmarkClassifyStage(b *testing.B) {
	const events, plainEvents = 600_000, 30_000
	cluster := startBroker(b)
	fill(b, cluster, events)
	rules, err := sigma.DefaultRules()
	if err != nil {
		b.Fatal(err)
	}
	group := 0
	measure := func(name string, stage func(ctx context.Context, group, path string) (int, error)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				group++
				before := cost.CPU()
				n, err := stage(b.Context(), fmt.Sprint("bench-", group), filepath.Join(b.TempDir(), classifiedFile))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64((cost.CPU()-before).Nanoseconds())/float64(n), "cpu-ns/event")
			}
		})
	}
	for _, publish := range []bool{false, true} {
		name := "soclab"
		if publish {
			name += "-published"
		}
		measure(name, func(ctx context.Context, group, path string) (int, error) {
			return ourStage(ctx, cluster, group, path, rules, publish)
		})
	}
	measure("plain", func(ctx context.Context, group, path string) (int, error) {
		return plainStage(ctx, cluster, group, path, rules, plainEvents, 1)
	})
	measure("plain-in-thousands", func(ctx context.Context, group, path string) (int, error) {
		return plainStage(ctx, cluster, group, path, rules, 5*plainEvents, 1000)
	})
}

// ourStage consumes, classifies and stores all that the topic holds.
func ourStage(ctx context.Context, cluster stream.Cluster, group, path string, rules *sigma.RuleSet, publish bool) (n int, err error) {
	results, err := store.Open(path)
	if err != nil {
		return 0, err
	}
	defer closing(&err, results.Close)
	sinks := sink.All{results}
	if publish {
		publisher, refused := stream.NewPublisher(ctx, cluster)
		if refused != nil {
			return 0, refused
		}
		defer closing(&err, publisher.Close)
		sinks = sink.All{publisher, results}
	}
	consumer, err := stream.NewConsumer(ctx, stream.ConsumerOptions{Cluster: cluster, Group: group, Results: results})
	if err != nil {
		return 0, err
	}
	defer closing(&err, consumer.Close)
	classifier := sigma.NewClassifier(rules)
	err = consumer.Drain(ctx, func(ctx context.Context, batch *event.Batch) error { // kafka.consume
		classifier.Classify(ctx, batch) // classification
		return sinks.Append(ctx, batch) // storage.write
	})
	handled, _ := consumer.Counts()
	return int(handled), err
}

// startBroker runs the stack in a process of its own until the test ends.
func startBroker(b testing.TB) stream.Cluster {
	cmd := (&bench{nil, b.TempDir()}).command("stack", "--free-ports", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	var at stack.Addresses
	if err := json.NewDecoder(out).Decode(&at); err != nil {
		b.Fatal(err)
	}
	return stream.Cluster{Brokers: at.Brokers}
}

func fill(b testing.TB, cluster stream.Cluster, n int) {
	producer, err := stream.NewProducer(b.Context(), cluster, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer producer.Close()
	source, err := traffic.NewGenerator(traffic.Options{
		Seed: 1, Start: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), Events: n, AttackShare: 0.02,
	})
	if err != nil {
		b.Fatal(err)
	}
	var chunk []event.Event
	for {
		e, err := source.Next()
		if err == nil {
			chunk = append(chunk, *e)
		}
		if len(chunk) == 10_000 || err == io.EOF {
			if err := producer.Send(b.Context(), chunk...); err != nil {
				b.Fatal(err)
			}
			chunk = chunk[:0]
		}
		if err == io.EOF {
			return
		}
	}
}

// plainEvent is an event for encoding/json.
type plainEvent struct {
	Timestamp   time.Time  `json:"@timestamp"`
	ID          string     `json:"event.id"`
	Dataset     string     `json:"event.dataset"`
	Category    string     `json:"event.category"`
	Action      string     `json:"event.action"`
	Outcome     string     `json:"event.outcome"`
	Duration    *int64     `json:"event.duration"`
	SourceIP    netip.Addr `json:"source.ip"`
	SourcePort  *int64     `json:"source.port"`
	SourceBytes *int64     `json:"source.bytes"`
	SourcePkts  *int64     `json:"source.packets"`
	DestIP      netip.Addr `json:"destination.ip"`
	DestPort    *int64     `json:"destination.port"`
	DestBytes   *int64     `json:"destination.bytes"`
	DestPkts    *int64     `json:"destination.packets"`
	Transport   string     `json:"network.transport"`
	Protocol    string     `json:"network.protocol"`
	User        string     `json:"user.name"`
	Question    string     `json:"dns.question.name"`
	Type        string     `json:"dns.question.type"`
	Code        string     `json:"dns.response_code"`
	Answers     string     `json:"dns.answers"`
	Domain      string     `json:"url.domain"`
	Path        string     `json:"url.path"`
	Query       string     `json:"url.query"`
	Method      string     `json:"http.request.method"`
	Status      *int64     `json:"http.response.status_code"`
	UserAgent   string     `json:"user_agent.original"`
	ConnState   string     `json:"zeek.connection.state"`
}

func known(n *int64) event.Int {
	if n == nil {
		return event.Int{}
	}
	return event.Known(*n)
}

func (p *plainEvent) event() event.Event {
	return event.Event{
		Timestamp: p.Timestamp, ID: p.ID, Dataset: p.Dataset, Category: p.Category, Action: p.Action, Outcome: p.Outcome,
		Duration:    known(p.Duration),
		Source:      event.Endpoint{IP: p.SourceIP, Port: known(p.SourcePort), Bytes: known(p.SourceBytes), Packets: known(p.SourcePkts)},
		Destination: event.Endpoint{IP: p.DestIP, Port: known(p.DestPort), Bytes: known(p.DestBytes), Packets: known(p.DestPkts)},
		Transport:   p.Transport, Protocol: p.Protocol, User: p.User,
		DNS:  event.DNS{Question: p.Question, Type: p.Type, ResponseCode: p.Code, Answers: p.Answers},
		URL:  event.URL{Domain: p.Domain, Path: p.Path, Query: p.Query},
		HTTP: event.HTTP{Method: p.Method, Status: known(p.Status)}, UserAgent: p.UserAgent, ConnState: p.ConnState,
	}
}

// plainStage consumes n events as a first program would, with every message, or
// so many at once, committed and synced.
func plainStage(ctx context.Context, cluster stream.Cluster, group, path string, rules *sigma.RuleSet, n, at int) (done int, err error) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: cluster.Brokers, GroupID: group, Topic: stream.Raw})
	defer func() { err = errors.Join(err, reader.Close()) }()
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	rows := csv.NewWriter(file)
	classifiers := map[int]*sigma.Classifier{}
	batch := event.Batch{Topic: stream.Raw, Records: make([]event.Record, 1)}
	var waiting []kafka.Message
	for ; done < n; done++ {
		read := reader.FetchMessage
		if at == 1 {
			read = reader.ReadMessage
		}
		message, err := read(ctx)
		if err != nil {
			return done, err
		}
		var p plainEvent
		if err := json.Unmarshal(message.Value, &p); err != nil {
			return done, err
		}
		if classifiers[message.Partition] == nil {
			classifiers[message.Partition] = sigma.NewClassifier(rules)
		}
		batch.Partition = message.Partition
		batch.Records[0] = event.Record{Event: p.event(), Offset: message.Offset, Time: message.Time}
		classifiers[message.Partition].Classify(ctx, &batch)
		v := batch.Records[0].Verdict
		cells := make([]string, 0, event.ColumnCount)
		for _, f := range event.Fields() {
			cells = append(cells, string(f.Append(nil, &batch.Records[0].Event)))
		}
		cells = append(cells, message.Time.Format(time.RFC3339Nano), time.Now().Format(time.RFC3339Nano),
			v.Class, v.RuleID, v.RuleLevel, "", v.Tactic.ID, v.Tactic.Name, v.Technique.ID, v.Technique.Name, "",
			strconv.Itoa(message.Partition), strconv.FormatInt(message.Offset, 10))
		if err := rows.Write(cells); err != nil {
			return done, err
		}
		if at == 1 {
			continue
		}
		if waiting = append(waiting, message); len(waiting) == at {
			rows.Flush()
			if err := errors.Join(rows.Error(), file.Sync(), reader.CommitMessages(ctx, waiting...)); err != nil {
				return done, err
			}
			waiting = waiting[:0]
		}
	}
	rows.Flush()
	return done, rows.Error()
}

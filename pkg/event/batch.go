package event

import (
	"context"
	"time"
)

// Record is an event together with where and when Kafka holds it, and what the
// classifier says of it.
type Record struct {
	Event
	Offset  int64
	Time    time.Time // the record's time: when the producer sent it
	Verdict *Verdict  // nil until the record is classified
}

// Batch is a run of records of one partition, in offset order. The consumer
// makes it and reuses its memory: it is valid until the handler returns. The
// strings of its events may be kept.
type Batch struct {
	Topic     string
	Partition int
	Records   []Record
	Sampled   []Sampled // the records that are traced, in offset order

	// Replay marks records that were consumed before and are read again only
	// to rebuild what the classifier remembers: they get no verdicts.
	Replay bool
}

// Sampled is the trace context of one record of a batch: its kafka.consume
// span, the parent of what the later stages record.
type Sampled struct {
	Index   int // into Batch.Records
	Context context.Context
}

// Benign is the class of events that no rule matches.
const Benign = "benign"

// Verdict is what the classifier says of one event. Verdicts are shared
// between events and must not be changed.
type Verdict struct {
	Class     string   // Benign or the title of the winning rule
	RuleID    string   // empty where benign, as all that follows
	RuleLevel string   // informational, low, medium, high, critical
	Matches   []string // ids of all rules that matched, the winner first
	Tactic    Threat
	Technique Threat
}

// Threat is an ATT&CK tactic or technique.
type Threat struct {
	ID   string // such as TA0007, T1046, T1110.003
	Name string
}

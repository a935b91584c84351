// Package stats turns classified_packets.csv into what an analyst reads: small
// tables as gota frames, plots, and scores against the ground truth.
//
// The file is streamed once and counted in bounded memory, whatever its length
// (a million rows take less than 32 MB); only the small tables become frames.
// [Read] counts, [Compare] compares with truth.csv, and the Plot functions draw.
package stats

import (
	"context"
	"fmt"
	"time"
)

// Summary is what one or more files of classified events hold. Lists are
// sorted by their counts, the largest first, unless they say otherwise; ties
// are broken by name, so that equal files give equal summaries. Percentages
// have two decimals.
type Summary struct {
	Events   int `json:"events"`
	Benign   int `json:"benign"`
	Detected int `json:"detected"` // events that a rule matched

	First time.Time `json:"first,omitzero"` // earliest event time
	Last  time.Time `json:"last,omitzero"`  // latest event time

	// Duplicates are rows whose (partition, offset) was counted already: the
	// files of two hosts overlap where a partition moved. They count nowhere
	// else.
	Duplicates int `json:"duplicates"`
	// Repeated are rows whose event id another offset had before: an event
	// that was published more than once. They count like any other.
	Repeated Repeated `json:"repeated"`
	// TimeStep is the width of the intervals in ByTime, in seconds: a minute, or
	// more where a log has events in more than 1,500 minutes.
	TimeStep int `json:"time_step"`
	// Torn is the number of files whose last line was left out since it has no
	// line end: its writer is still at work.
	Torn int `json:"torn"`

	// Attack is the version of ATT&CK whose matrix orders the tactics.
	Attack string `json:"attack_version"`

	ByClass     []Class     `json:"classes"`
	ByTactic    []Tactic    `json:"tactics"` // all of the ATT&CK matrix in its order, also those not seen
	ByTechnique []Technique `json:"techniques"`
	ByRule      []Rule      `json:"rules"`
	ByPartition []Partition `json:"partitions"` // in order
	ByTime      []Interval  `json:"timeline"`   // in order, those with events
	BySource    []Source    `json:"sources"`    // the 100 with most events
	Suspects    []Suspect   `json:"suspects"`   // the 100 with most detections
	// Forgotten is by how many events a count by source may be too low: 0 as
	// long as there are no more than 32,768 sources, and as many pairs of
	// source and technique, to count.
	Forgotten int `json:"forgotten"`

	Waiting Waiting `json:"latency"`

	timeline *timeline
	latency  *histogram
}

// Repeated counts rows with an event id that was seen before.
type Repeated struct {
	Rows     int      `json:"rows"`
	Sampled  bool     `json:"sampled"`            // Rows is an estimate: there were more than 1.25 million ids
	Examples []string `json:"examples,omitempty"` // the first ten such ids
}

// Class is benign or the title of a rule.
type Class struct {
	Class   string  `json:"class" dataframe:"class"`
	Events  int     `json:"events" dataframe:"events"`
	Percent float64 `json:"percent" dataframe:"percent"` // of all events
}

// Tactic is how often detections had an ATT&CK tactic.
type Tactic struct {
	ID      string  `json:"tactic" dataframe:"tactic"`
	Name    string  `json:"name" dataframe:"name"`
	Events  int     `json:"events" dataframe:"events"`
	Percent float64 `json:"percent" dataframe:"percent"` // of all detections
}

// Technique is how often detections had an ATT&CK technique or sub-technique.
type Technique struct {
	ID      string  `json:"technique" dataframe:"technique"`
	Name    string  `json:"name" dataframe:"name"`
	Events  int     `json:"events" dataframe:"events"`
	Percent float64 `json:"percent" dataframe:"percent"` // of all detections
}

// Rule is what one detection rule found.
type Rule struct {
	ID        string `json:"rule" dataframe:"rule"`
	Title     string `json:"title" dataframe:"title"` // empty where the rule never won
	Level     string `json:"level" dataframe:"level"`
	Technique string `json:"technique" dataframe:"technique"`
	Matched   int    `json:"matched" dataframe:"matched"` // events that the rule matched
	Won       int    `json:"won" dataframe:"won"`         // of them those whose class it became
}

// Partition is what came from one partition of the topic. Missing are offsets
// between the first and the last without a row, such as dead letters.
type Partition struct {
	Partition int `json:"partition" dataframe:"partition"`
	Events    int `json:"events" dataframe:"events"`
	Benign    int `json:"benign" dataframe:"benign"`
	Detected  int `json:"detected" dataframe:"detected"`
	First     int `json:"first_offset" dataframe:"first offset"`
	Last      int `json:"last_offset" dataframe:"last offset"`
	Missing   int `json:"missing" dataframe:"missing"`
}

// Interval is the events of one interval of event time.
type Interval struct {
	From     time.Time `json:"from"`
	Events   int       `json:"events"`
	Benign   int       `json:"benign"`
	Detected int       `json:"detected"`
}

// Source is a source address and its events.
type Source struct {
	IP       string  `json:"source" dataframe:"source"`
	Events   int     `json:"events" dataframe:"events"`
	Detected int     `json:"detected" dataframe:"detected"`
	Percent  float64 `json:"percent" dataframe:"percent"` // of all events
}

// Suspect is a source address with its detections by technique id; detections
// by a rule that names no technique stand under the empty id.
type Suspect struct {
	IP         string         `json:"source"`
	Detected   int            `json:"detected"`
	Techniques map[string]int `json:"techniques"`
}

// Waiting is the time from an event's record in Kafka (event.created, in
// milliseconds) until its row was written (event.ingested): the wait in the
// queue, the classification and the write. Quantiles are at most 6 % too
// high. JSON has nanoseconds.
type Waiting struct {
	Events int           `json:"events"` // with both times
	P50    time.Duration `json:"p50"`
	P90    time.Duration `json:"p90"`
	P99    time.Duration `json:"p99"`
	P999   time.Duration `json:"p99.9"`
	Max    time.Duration `json:"max"`
	// Negative are events that seem to be stored before they were sent, since
	// two clocks disagree. They count as zero.
	Negative int `json:"negative"`
}

// Read counts the rows of one file of classified events or of many (one per
// host), each (partition, offset) once. It ends with the context. Files from
// before and after a topic was recreated must be read apart.
//
// An error names file and line: a column is missing, a row has more or fewer
// cells than the header, a value is not what its column holds.
func Read(ctx context.Context, files ...string) (*Summary, error) {
	s, err := newCounter(newIDSet(idSlots, maxIDs)).read(ctx, files, func(*row) {})
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	return s, nil
}

// Package stats turns classified_packets.csv into what an analyst reads: small
// tables as gota frames, plots, and scores against the ground truth.
//
// The file is streamed once and counted in bounded memory, whatever its length
// (a million rows take less than 32 MB); only the small tables become frames.
// [Read] counts, [Score] compares with truth.csv, and the Plot functions draw.
package stats

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"soclab/pkg/attack"
	"soclab/pkg/event"
)

const (
	// maxSources is how many sources, and how many pairs of source and
	// technique, are counted exactly. Where a log holds more (a flood from
	// spoofed addresses), the rarest are forgotten.
	maxSources = 1 << 15
	// topSources is how many of them a Summary lists.
	topSources = 100
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
	// SourcesFrom says from how many events on a count by source is sure to be
	// listed: 0 as long as all sources could be held (32,768 of them).
	// Beyond, counts by source may be too low by as many events.
	SourcesFrom int `json:"sources_from"`

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
// host), each (partition, offset) once. It ends with the context. Files of two
// lives of a topic, whose offsets mean different events, must be read apart.
//
// An error names file and line: a column is missing, a row has more or fewer
// cells than the header, a value is not what its column holds.
func Read(ctx context.Context, files ...string) (*Summary, error) {
	c := newCounter(newIDSet(idSlots, maxIDs))
	passed, err := eachRow(ctx, files, c.count)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	s := c.summary()
	s.Duplicates, s.Torn = passed.duplicates, passed.torn
	return s, nil
}

// counter is the state of Read.
type counter struct {
	events, benign int
	first, last    time.Time
	ids            *idSet
	verdicts       map[verdict]*int
	matches        map[string]*int // by rule id, where several rules matched
	partitions     map[int]*Partition
	sources        *tally[string]
	pairs          *tally[pair]
	timeline       *timeline
	latency        *histogram
}

// verdict is the cells of a row that say how it was classified. There are few
// different ones; classes, tactics, techniques and rules are sums over them.
type verdict struct {
	class, rule, level, tactic, tacticName, technique, techniqueName string
}

func (v verdict) each(do func(string) string) verdict {
	return verdict{do(v.class), do(v.rule), do(v.level), do(v.tactic), do(v.tacticName), do(v.technique), do(v.techniqueName)}
}

func (v verdict) clone() verdict    { return v.each(strings.Clone) }
func (v verdict) unescape() verdict { return v.each(event.Unescape) }

func (v verdict) compare(w verdict) int {
	return cmp.Or(
		cmp.Compare(v.rule, w.rule), cmp.Compare(v.class, w.class), cmp.Compare(v.level, w.level),
		cmp.Compare(v.tactic, w.tactic), cmp.Compare(v.technique, w.technique),
		cmp.Compare(v.tacticName, w.tacticName), cmp.Compare(v.techniqueName, w.techniqueName))
}

type pair struct{ source, technique string }

func newCounter(ids *idSet) *counter {
	return &counter{
		ids:        ids,
		verdicts:   make(map[verdict]*int),
		matches:    make(map[string]*int),
		partitions: make(map[int]*Partition),
		sources:    newTally[string](maxSources),
		pairs:      newTally[pair](maxSources),
		timeline:   newTimeline(),
		latency:    new(histogram),
	}
}

func (c *counter) count(r *row) error {
	source := r.source()
	if source != "" && !c.sources.known(source) {
		if _, err := netip.ParseAddr(source); err != nil {
			return fmt.Errorf("%s: %.80q: want an address", classifiedColumns[columnSource], source)
		}
		c.sources.insert(strings.Clone(source))
	}
	if d, ok, err := r.latency(); err != nil {
		return err
	} else if ok {
		c.latency.add(d)
	}
	if c.events == 0 || r.time.Before(c.first) {
		c.first = r.time
	}
	if c.events == 0 || r.time.After(c.last) {
		c.last = r.time
	}
	c.events++
	c.ids.add(r.id())

	p := c.partitions[r.partition]
	if p == nil {
		p = &Partition{Partition: r.partition, First: int(r.offset), Last: int(r.offset)}
		c.partitions[r.partition] = p
	}
	p.Events++
	p.First = min(p.First, int(r.offset))
	p.Last = max(p.Last, int(r.offset))

	b := c.timeline.at(r.time)
	if r.benign() {
		c.benign++
		p.Benign++
		b.benign++
		return nil
	}
	p.Detected++
	b.detected++
	c.countDetection(r, b)
	return nil
}

func (c *counter) countDetection(r *row, b *bin) {
	v := verdict{
		r.cells[columnClass], r.cells[columnRule], r.cells[columnLevel],
		r.cells[columnTactic], r.cells[columnTacticName],
		r.cells[columnTechnique], r.cells[columnTechniqueName],
	}
	increment(c.verdicts, v, v.clone)
	if matches := r.cells[columnMatches]; matches != v.rule {
		for id := range strings.SplitSeq(matches, ";") {
			if id != v.rule {
				increment(c.matches, id, func() string { return strings.Clone(id) })
			}
		}
	}
	if source := r.source(); source != "" {
		if key := (pair{source, v.technique}); !c.pairs.known(key) {
			c.pairs.insert(pair{strings.Clone(source), strings.Clone(v.technique)})
		}
	}
	increment(b.tactics, v.tactic, func() string { return strings.Clone(v.tactic) })
}

// increment counts a key that may lie in the read buffer; keep copies it where
// it is new. The counts are pointers since assigning to a map's element also
// replaces its key.
func increment[K comparable](counts map[K]*int, key K, keep func() K) {
	if n := counts[key]; n != nil {
		*n++
		return
	}
	n := 1
	counts[keep()] = &n
}

func (c *counter) summary() *Summary {
	s := &Summary{
		Events: c.events, Benign: c.benign, Detected: c.events - c.benign,
		First: c.first.UTC(), Last: c.last.UTC(), Attack: attack.Version,
		SourcesFrom: max(c.sources.forgotten, c.pairs.forgotten),
		// Empty lists and not absent ones, for those who read the JSON.
		ByClass: []Class{}, ByTechnique: []Technique{}, ByRule: []Rule{}, ByPartition: []Partition{},
		ByTime: []Interval{}, BySource: []Source{}, Suspects: []Suspect{},
		timeline: c.timeline, latency: c.latency,
	}
	s.Repeated.Rows, s.Repeated.Sampled = c.ids.count()
	s.Repeated.Examples = c.ids.examples
	s.sumVerdicts(c)
	for _, p := range c.partitions {
		p.Missing = p.Last - p.First + 1 - p.Events
		s.ByPartition = append(s.ByPartition, *p)
	}
	slices.SortFunc(s.ByPartition, func(a, b Partition) int { return cmp.Compare(a.Partition, b.Partition) })
	s.sumSources(c)
	bins, width := c.timeline.minutes()
	s.TimeStep = int(width.Seconds())
	for _, b := range bins {
		s.ByTime = append(s.ByTime, Interval{b.from(), b.benign + b.detected, b.benign, b.detected})
	}
	s.Waiting = Waiting{
		Events:   c.latency.total,
		P50:      c.latency.quantile(0.50),
		P90:      c.latency.quantile(0.90),
		P99:      c.latency.quantile(0.99),
		P999:     c.latency.quantile(0.999),
		Max:      c.latency.max,
		Negative: c.latency.negative,
	}
	return s
}

func (s *Summary) sumVerdicts(c *counter) {
	classes := map[string]*Class{}
	tactics := map[string]*Tactic{}
	techniques := map[string]*Technique{}
	rules := map[string]*Rule{}
	if s.Benign > 0 {
		classes[event.Benign] = &Class{Class: event.Benign, Events: s.Benign}
	}
	for _, t := range attack.Tactics() {
		tactics[t.ID] = &Tactic{ID: t.ID, Name: t.Name}
	}
	// In a fixed order, so that what a rule is called does not change from run
	// to run where its rows disagree.
	for _, v := range slices.SortedFunc(maps.Keys(c.verdicts), verdict.compare) {
		n := *c.verdicts[v]
		v = v.unescape()
		at(classes, v.class, Class{Class: v.class}).Events += n
		if v.tactic != "" {
			at(tactics, v.tactic, Tactic{ID: v.tactic, Name: v.tacticName}).Events += n
		}
		if v.technique != "" {
			at(techniques, v.technique, Technique{ID: v.technique, Name: v.techniqueName}).Events += n
		}
		r := at(rules, v.rule, Rule{ID: v.rule, Title: v.class, Level: v.level, Technique: v.technique})
		r.Won += n
		r.Matched += n
	}
	for id, n := range c.matches {
		id = event.Unescape(id)
		at(rules, id, Rule{ID: id}).Matched += *n
	}

	for _, class := range classes {
		class.Percent = percent(class.Events, s.Events)
		s.ByClass = append(s.ByClass, *class)
	}
	slices.SortFunc(s.ByClass, func(a, b Class) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.Class, b.Class))
	})
	for _, t := range tactics {
		t.Percent = percent(t.Events, s.Detected)
		s.ByTactic = append(s.ByTactic, *t)
	}
	order := matrixOrder()
	slices.SortFunc(s.ByTactic, func(a, b Tactic) int {
		return cmp.Or(cmp.Compare(order(a.ID), order(b.ID)), cmp.Compare(a.ID, b.ID))
	})
	for _, t := range techniques {
		t.Percent = percent(t.Events, s.Detected)
		s.ByTechnique = append(s.ByTechnique, *t)
	}
	slices.SortFunc(s.ByTechnique, func(a, b Technique) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.ID, b.ID))
	})
	for _, r := range rules {
		s.ByRule = append(s.ByRule, *r)
	}
	slices.SortFunc(s.ByRule, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(b.Matched, a.Matched), cmp.Compare(a.ID, b.ID))
	})
}

func (s *Summary) sumSources(c *counter) {
	suspects := make(map[string]*Suspect)
	for p, n := range c.pairs.counts {
		suspect := at(suspects, p.source, Suspect{IP: p.source, Techniques: make(map[string]int)})
		suspect.Detected += *n
		suspect.Techniques[p.technique] += *n
	}
	for ip, n := range c.sources.counts {
		source := Source{IP: ip, Events: *n, Percent: percent(*n, s.Events)}
		if suspect := suspects[ip]; suspect != nil {
			source.Detected = suspect.Detected
		}
		s.BySource = append(s.BySource, source)
	}
	slices.SortFunc(s.BySource, func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), cmp.Compare(a.IP, b.IP))
	})
	s.BySource = slices.Clip(s.BySource[:min(len(s.BySource), topSources)])
	for _, suspect := range suspects {
		s.Suspects = append(s.Suspects, *suspect)
	}
	slices.SortFunc(s.Suspects, func(a, b Suspect) int {
		return cmp.Or(cmp.Compare(b.Detected, a.Detected), cmp.Compare(a.IP, b.IP))
	})
	s.Suspects = slices.Clip(s.Suspects[:min(len(s.Suspects), topSources)])
}

// at returns the value of a key, which it begins with first.
func at[K comparable, V any](values map[K]*V, key K, first V) *V {
	v := values[key]
	if v == nil {
		v = &first
		values[key] = v
	}
	return v
}

// matrixOrder ranks tactics as the ATT&CK matrix does, unknown ones last.
func matrixOrder() func(id string) int {
	ranks := make(map[string]int)
	for i, t := range attack.Tactics() {
		ranks[t.ID] = i - len(attack.Tactics())
	}
	return func(id string) int { return ranks[id] }
}

// percent is the share of part in whole, in percent with two decimals.
func percent(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return math.Round(10000*float64(part)/float64(whole)) / 100
}

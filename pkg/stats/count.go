package stats

import (
	"cmp"
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
			return fmt.Errorf("%s: %.80q: want an address", sourceIP.Name(), source)
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
		r.Get(event.ColumnClass), r.Get(event.ColumnRuleID), r.Get(event.ColumnRuleLevel),
		r.Get(event.ColumnTacticID), r.Get(event.ColumnTacticName),
		r.Get(event.ColumnTechniqueID), r.Get(event.ColumnTechniqueName),
	}
	increment(c.verdicts, v, v.clone)
	if matches := r.Get(event.ColumnMatches); matches != v.rule {
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
		Forgotten: max(c.sources.forgotten, c.pairs.forgotten),
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

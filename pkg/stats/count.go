package stats

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

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
	*Summary   // what is counted so far, without its lists
	ids        *idSet
	verdicts   map[verdict]*int
	matches    map[string]*int // by rule id, where several rules matched
	partitions map[int]*partition
	sources    *tally[string]
	pairs      *tally[pair]
}

// partition counts the rows of a partition, and knows them by their offsets.
type partition struct {
	Partition
	offsets offsets
}

// verdict is the cells of a row that say how it was classified. There are few
// different ones; classes, tactics, techniques and rules are sums over them.
type verdict struct {
	class, rule, level, tactic, tacticName, technique, techniqueName string
}

func (v verdict) each(do func(string) string) verdict {
	return verdict{do(v.class), do(v.rule), do(v.level), do(v.tactic), do(v.tacticName), do(v.technique), do(v.techniqueName)}
}

func (v verdict) compare(w verdict) int {
	return cmp.Or(
		cmp.Compare(v.rule, w.rule), cmp.Compare(v.class, w.class), cmp.Compare(v.level, w.level),
		cmp.Compare(v.tactic, w.tactic), cmp.Compare(v.technique, w.technique),
		cmp.Compare(v.tacticName, w.tacticName), cmp.Compare(v.techniqueName, w.techniqueName))
}

type pair struct{ source, technique string }

func newCounter(ids *idSet) *counter {
	return &counter{
		Summary:    &Summary{Attack: attack.Version, timeline: newTimeline(), latency: new(histogram)},
		ids:        ids,
		verdicts:   make(map[verdict]*int),
		matches:    make(map[string]*int),
		partitions: make(map[int]*partition),
		sources:    newTally[string](maxSources),
		pairs:      newTally[pair](maxSources),
	}
}

// count reports whether the row counts: its partition and offset did not yet.
func (c *counter) count(r *row) (bool, error) {
	parsed := &r.parsed
	p := at(c.partitions, parsed.Partition, partition{Partition: Partition{Partition: parsed.Partition}})
	if !p.offsets.add(parsed.Offset) {
		c.Duplicates++
		return false, nil
	}
	source := r.Get(columnSource)
	if source != "" {
		var err error
		c.sources.add(source, func() string {
			_, err = netip.ParseAddr(source)
			return strings.Clone(source)
		})
		if err != nil {
			return false, fmt.Errorf("%s: %.80q: want an address", columnSource.Name(), source)
		}
	}
	if !parsed.Time.IsZero() && !parsed.Ingested.IsZero() {
		c.latency.add(parsed.Ingested.Sub(parsed.Time))
	}
	if c.Events == 0 || parsed.Timestamp.Before(c.First) {
		c.First = parsed.Timestamp
	}
	if c.Events == 0 || parsed.Timestamp.After(c.Last) {
		c.Last = parsed.Timestamp
	}
	c.ids.add(r.Get(columnID))

	b := c.timeline.at(parsed.Timestamp)
	c.Events++
	p.Events++
	if r.benign() {
		c.Benign++
		p.Benign++
		b.benign++
		return true, nil
	}
	c.Detected++
	p.Detected++
	b.detected++
	c.countDetection(r, source, b)
	return true, nil
}

func (c *counter) countDetection(r *row, source string, b *bin) {
	v := verdict{
		r.Get(event.ColumnClass), r.Get(event.ColumnRuleID), r.Get(event.ColumnRuleLevel),
		r.Get(event.ColumnTacticID), r.Get(event.ColumnTacticName),
		r.Get(event.ColumnTechniqueID), r.Get(event.ColumnTechniqueName),
	}
	increment(c.verdicts, v, func() verdict { return v.each(strings.Clone) })
	if matches := r.Get(event.ColumnMatches); matches != v.rule {
		for id := range strings.SplitSeq(matches, ";") {
			if id != v.rule {
				increment(c.matches, id, func() string { return strings.Clone(id) })
			}
		}
	}
	if source != "" {
		c.pairs.add(pair{source, v.technique}, func() pair { return pair{strings.Clone(source), strings.Clone(v.technique)} })
	}
	increment(b.tactics, v.tactic, func() string { return strings.Clone(v.tactic) })
}

// sum makes the lists of the summary.
func (c *counter) sum() {
	c.Forgotten = max(c.sources.forgotten, c.pairs.forgotten)
	c.Repeated = c.ids.repeated()
	c.sumVerdicts()
	c.sumSources()
	partitions := make(map[int]*Partition)
	for id, p := range c.partitions {
		runs := p.offsets.runs
		p.First, p.Last = int(runs[0].first), int(runs[len(runs)-1].end-1)
		p.Missing = p.Last - p.First + 1 - p.Events
		partitions[id] = &p.Partition
	}
	c.ByPartition = ranked(partitions, func(p Partition) (int, string) { return -p.Partition, "" })
	c.ByTime, c.TimeStep = c.timeline.intervals()
	c.Waiting = Waiting{
		Events:   c.latency.total,
		P50:      c.latency.quantile(0.50),
		P90:      c.latency.quantile(0.90),
		P99:      c.latency.quantile(0.99),
		P999:     c.latency.quantile(0.999),
		Max:      c.latency.max,
		Negative: c.latency.negative,
	}
}

func (c *counter) sumVerdicts() {
	classes := map[string]*Class{}
	tactics := map[string]*Tactic{}
	techniques := map[string]*Technique{}
	rules := map[string]*Rule{}
	if c.Benign > 0 {
		classes[event.Benign] = &Class{event.Benign, c.Benign, percent(c.Benign, c.Events)}
	}
	order := make(map[string]int) // of tactics in the matrix; unknown ones are last
	for i, t := range attack.Tactics() {
		tactics[t.ID] = &Tactic{ID: t.ID, Name: t.Name}
		order[t.ID] = len(attack.Tactics()) - i
	}
	// In a fixed order, so that what a rule is called does not change from run
	// to run where its rows disagree.
	for _, v := range slices.SortedFunc(maps.Keys(c.verdicts), verdict.compare) {
		n := *c.verdicts[v]
		v = v.each(event.Unescape)
		class := at(classes, v.class, Class{Class: v.class})
		class.Events += n
		class.Percent = percent(class.Events, c.Events)
		if v.tactic != "" {
			t := at(tactics, v.tactic, Tactic{ID: v.tactic, Name: v.tacticName})
			t.Events += n
			t.Percent = percent(t.Events, c.Detected)
		}
		if v.technique != "" {
			t := at(techniques, v.technique, Technique{ID: v.technique, Name: v.techniqueName})
			t.Events += n
			t.Percent = percent(t.Events, c.Detected)
		}
		r := at(rules, v.rule, Rule{ID: v.rule, Title: v.class, Level: v.level, Technique: v.technique})
		r.Won += n
		r.Matched += n
	}
	for id, n := range c.matches {
		id = event.Unescape(id)
		at(rules, id, Rule{ID: id}).Matched += *n
	}
	c.ByClass = ranked(classes, func(c Class) (int, string) { return c.Events, c.Class })
	c.ByTactic = ranked(tactics, func(t Tactic) (int, string) { return order[t.ID], t.ID })
	c.ByTechnique = ranked(techniques, func(t Technique) (int, string) { return t.Events, t.ID })
	c.ByRule = ranked(rules, func(r Rule) (int, string) { return r.Matched, r.ID })
}

func (c *counter) sumSources() {
	sources := make(map[string]*Source)
	for ip, n := range c.sources.counts {
		sources[ip] = &Source{IP: ip, Events: *n, Percent: percent(*n, c.Events)}
	}
	suspects := make(map[string]*Suspect)
	for p, n := range c.pairs.counts {
		suspect := at(suspects, p.source, Suspect{IP: p.source, Techniques: make(map[string]int)})
		suspect.Detected += *n
		suspect.Techniques[p.technique] += *n
		if source := sources[p.source]; source != nil {
			source.Detected += *n
		}
	}
	c.BySource = ranked(sources, func(s Source) (int, string) { return s.Events, s.IP })
	c.Suspects = ranked(suspects, func(s Suspect) (int, string) { return s.Detected, s.IP })
	c.BySource = c.BySource[:min(len(c.BySource), topSources)]
	c.Suspects = c.Suspects[:min(len(c.Suspects), topSources)]
}

// ranked lists values by what they are ranked by: the largest number first,
// ties by name. The list may be empty, never nil, for those who read the JSON.
func ranked[K comparable, V any](values map[K]*V, by func(V) (int, string)) []V {
	list := make([]V, 0, len(values))
	for _, v := range values {
		list = append(list, *v)
	}
	slices.SortFunc(list, func(a, b V) int {
		numberA, nameA := by(a)
		numberB, nameB := by(b)
		return cmp.Or(cmp.Compare(numberB, numberA), cmp.Compare(nameA, nameB))
	})
	return list
}

// at returns the value of a key, which begins as a copy of first.
func at[K comparable, V any](values map[K]*V, key K, first V) *V {
	v := values[key]
	if v == nil {
		kept := first // only what is kept is allocated: first is not
		v = &kept
		values[key] = v
	}
	return v
}

// share is a part of a whole, from 0 to 1; nothing is a part of nothing.
func share(part, whole int) float64 { return float64(part) / float64(max(whole, 1)) }

// percent is a part of a whole in percent with two decimals.
func percent(part, whole int) float64 {
	return math.Round(10000*float64(part)/float64(max(whole, 1))) / 100
}

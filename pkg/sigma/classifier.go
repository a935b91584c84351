package sigma

import (
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"soclab/pkg/event"
	"soclab/pkg/tracing/spans"
)

// reach is how many offsets of a partition, the current one included, a
// correlation looks back at most, however long its timespan is. Its memory grows
// with it.
const reach = 200_000

// Classifier says of each event which rules match it. It remembers, by
// partition, what its correlations need. It is for one goroutine.
type Classifier struct {
	reach   int64
	history int64

	plan       []planned // plain rules first, correlations after those they refer to
	plain      int       // the number of plain rules in plan
	lanes      map[lane][]int
	partitions map[partitionKey]*partition
	verdicts   map[string]*event.Verdict // by the reported matches
	benign     event.Verdict

	view    view
	matched []int  // rules of the plan that match the event, in order
	due     []int  // correlations that one of them counts for, in order
	key     []byte // the matched ones that are reported
}

// planned is a rule in the order in which rules are tried.
type planned struct {
	rule     *Rule
	members  []int // of a correlation: its rules in the plan
	feeds    []int // correlations that refer to it
	reported bool  // its matches count by themselves
}

// lane is what decides which rules see an event.
type lane struct{ dataset, category, protocol string }

type partitionKey struct {
	topic  string
	number int
}

// partition is what is remembered of one partition.
type partition struct {
	last   int64    // the offset read last
	replay bool     // whether it was read again
	states []*state // of the correlations in the plan
}

// NewClassifier makes a classifier for the rules of a set, which must not be
// changed any more. Rules that correlations refer to count by themselves only
// where one of them says generate.
func NewClassifier(rules *RuleSet) *Classifier { return newClassifier(rules, reach) }

func newClassifier(rules *RuleSet, reach int64) *Classifier {
	c := &Classifier{
		reach:      reach,
		lanes:      make(map[lane][]int),
		partitions: make(map[partitionKey]*partition),
		verdicts:   make(map[string]*event.Verdict),
		benign:     event.Verdict{Class: event.Benign},
	}
	c.arrange(rules)
	return c
}

// arrange plans the rules and those that they refer to.
func (c *Classifier) arrange(rules *RuleSet) {
	place := make(map[*Rule]int)
	var plain, correlations []*Rule
	var visit func(*Rule)
	visit = func(r *Rule) {
		if _, seen := place[r]; seen {
			return
		}
		place[r] = 0
		if r.Correlation == nil {
			plain = append(plain, r)
			return
		}
		for _, member := range r.Correlation.rules {
			visit(member)
		}
		correlations = append(correlations, r)
	}
	deepest, depths := 0, make(map[*Rule]int)
	for _, r := range rules.Rules {
		visit(r)
		deepest = max(deepest, r.depth(depths))
	}
	c.history = c.reach * int64(deepest)
	c.plain = len(plain)
	for i, r := range append(plain, correlations...) {
		place[r] = i
		c.plan = append(c.plan, planned{rule: r})
	}
	for i, r := range correlations {
		i += c.plain
		for _, member := range r.Correlation.rules {
			m := place[member]
			c.plan[i].members = append(c.plan[i].members, m)
			c.plan[m].feeds = append(c.plan[m].feeds, i)
		}
	}
	silent := silent(rules.Rules)
	for _, r := range rules.Rules {
		c.plan[place[r]].reported = !silent[r]
	}
}

// History is the number of offsets before a record that must have been read to
// classify it: the reach, for each level of correlations that stand on each
// other. It is zero without correlations.
func (c *Classifier) History() int64 { return c.history }

// Classify says of each record of a batch what it is: it sets their verdicts.
// Records of a partition must come in the order of their offsets; where they
// begin anew at an earlier one, or are read again after others were read, the
// partition's past is forgotten first. A batch that is read again only to
// rebuild that past gets no verdicts.
//
// For every sampled record a span "classification" is recorded, as a child of
// the record's own.
func (c *Classifier) Classify(_ context.Context, batch *event.Batch) {
	if len(batch.Records) == 0 {
		return
	}
	p := c.continued(batch)
	sampled := batch.Sampled
	for i := range batch.Records {
		r := &batch.Records[i]
		if len(sampled) > 0 && sampled[0].Index == i {
			r.Verdict = c.traced(sampled[0].Context, p, r)
			sampled = sampled[1:]
		} else {
			r.Verdict = c.classify(p, r)
		}
		if batch.Replay {
			r.Verdict = nil
		}
	}
	p.last = batch.Records[len(batch.Records)-1].Offset
	p.replay = batch.Replay
}

// continued is what is remembered of a batch's partition, empty where the batch
// does not continue what was read.
func (c *Classifier) continued(batch *event.Batch) *partition {
	key := partitionKey{batch.Topic, batch.Partition}
	p := c.partitions[key]
	if p != nil && batch.Records[0].Offset > p.last && (p.replay || !batch.Replay) {
		return p
	}
	p = new(partition)
	for _, planned := range c.plan[c.plain:] {
		p.states = append(p.states, newState(planned.rule.Correlation, c.reach))
	}
	c.partitions[key] = p
	return p
}

// traced classifies a record within a span.
func (c *Classifier) traced(ctx context.Context, p *partition, r *event.Record) *event.Verdict {
	_, span := trace.SpanFromContext(ctx).TracerProvider().Tracer("soclab/sigma").Start(ctx, spans.Classify)
	defer span.End()
	v := c.classify(p, r)
	if span.IsRecording() {
		for name, value := range v.Attributes() {
			span.SetAttributes(attribute.String(name, value))
		}
	}
	return v
}

func (c *Classifier) classify(p *partition, r *event.Record) *event.Verdict {
	c.view.set(&r.Event)
	c.matched, c.due = c.matched[:0], c.due[:0]
	for _, i := range c.lane(&r.Event) {
		if c.plan[i].rule.matcher.match(&c.view) {
			c.match(i)
		}
	}
	for n := 0; n < len(c.due); n++ { // a match adds correlations behind it
		i := c.due[n]
		members := c.plan[i].members
		if p.states[i-c.plain].add(&c.view, r.Offset, func(rule int) bool { return slices.Contains(c.matched, members[rule]) }) {
			c.match(i)
		}
	}
	return c.verdict()
}

func (c *Classifier) match(i int) {
	c.matched = append(c.matched, i)
	for _, correlation := range c.plan[i].feeds {
		if at, known := slices.BinarySearch(c.due, correlation); !known {
			c.due = slices.Insert(c.due, at, correlation)
		}
	}
}

// lane lists the plain rules that see an event.
func (c *Classifier) lane(e *event.Event) []int {
	l := lane{e.Dataset, e.Category, e.Protocol}
	rules, known := c.lanes[l]
	if known {
		return rules
	}
	for i := range c.plain {
		if c.plan[i].rule.route.takes(e) {
			rules = append(rules, i)
		}
	}
	const most = 1000 // an event's dataset is not under our control
	if len(c.lanes) < most {
		c.lanes[lane{strings.Clone(l.dataset), strings.Clone(l.category), strings.Clone(l.protocol)}] = rules
	}
	return rules
}

// verdict is the one for the rules that matched.
func (c *Classifier) verdict() *event.Verdict {
	c.key = c.key[:0]
	for _, i := range c.matched {
		if c.plan[i].reported {
			c.key = binary.LittleEndian.AppendUint32(c.key, uint32(i))
		}
	}
	if len(c.key) == 0 {
		return &c.benign
	}
	if v := c.verdicts[string(c.key)]; v != nil {
		return v
	}
	v := c.newVerdict()
	const most = 10_000
	if len(c.verdicts) < most {
		c.verdicts[string(c.key)] = v
	}
	return v
}

// newVerdict sorts the rules that matched: the highest level wins, then the
// user's own rules, then correlations, then the order of the set.
func (c *Classifier) newVerdict() *event.Verdict {
	var rules []*Rule
	for _, i := range c.matched {
		if c.plan[i].reported {
			rules = append(rules, c.plan[i].rule)
		}
	}
	slices.SortStableFunc(rules, func(a, b *Rule) int { return cmp.Compare(b.rank(), a.rank()) })
	first := rules[0]
	v := event.Verdict{Class: first.Title, RuleID: first.ID, RuleLevel: first.Level}
	v.Technique, v.Tactic = first.threat()
	for _, r := range rules {
		v.Matches = append(v.Matches, r.ID)
	}
	return &v
}

// rank orders rules: the highest wins.
func (r *Rule) rank() int {
	rank := 4 * slices.Index(levels, r.Level)
	if r.User {
		rank += 2
	}
	if r.Correlation != nil {
		rank++
	}
	return rank
}

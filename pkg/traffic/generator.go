// Package traffic makes the events of a small company's network, with attacks
// in it, and their truth.
package traffic

//go:generate go test -run TestSample -update

import (
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"soclab/pkg/event"
)

// DefaultAttackShare is the share of attack events that shows several
// scenarios in small runs too.
const DefaultAttackShare = 0.05

// Options say what a Generator makes. The same options give the same events,
// ids included, on every machine.
type Options struct {
	Seed        uint64
	Start       time.Time // when the first events happen; from 1970 to 2099
	Events      int       // how many, at least 1
	AttackShare float64   // the part of them that belongs to attacks, 0 to 0.5; 0 is none
}

// Generator makes up the traffic of a small company: a stream of events in the
// order of time, in which attacks hide. An activity is planned whole when it
// begins, and a heap merges those that run. The more events, the larger the
// company, the longer the time they span (2,000 an hour, a million a day) and the
// larger the attacks; memory does not grow with their number.
type Generator struct {
	dice
	options Options
	network *network
	run     string // begins the ids of this run
	number  []byte // scratch for ids

	emitted int
	begun   int             // activities
	mean    time.Duration   // between two benign events in working hours
	current planned         // what Next returned last
	next    []time.Duration // when each habit begins again, since the start
	first   int             // the habit that begins next
	running running
	plan    plan        // the activity that is being planned
	free    [][]planned // memory for further ones

	attackEvents int           // wanted in the whole run
	attackBegun  int           // planned so far
	deck         []int         // the scenarios still to come in this round
	fixed        int           // scenarios that begin the next round in their order
	runs         []int         // how often each scenario ran
	retry        time.Duration // no scenario fitted: not before
}

// planned is an event that will happen, and what it belongs to.
type planned struct {
	event.Event
	truth *event.Truth // nil where benign; without the event's id
}

// running are the activities with events to come, as a heap by their next
// event's time.
type running []activity

// activity is what happens in one go: its events, in the order of time.
type activity struct {
	events []planned
	next   int
	order  int // among activities whose next events are at the same time
}

func (a *activity) at() time.Time { return a.events[a.next].Timestamp }

func (r running) Len() int      { return len(r) }
func (r running) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r running) Less(i, j int) bool {
	c := r[i].at().Compare(r[j].at())
	return c < 0 || c == 0 && r[i].order < r[j].order
}
func (r *running) Push(a any) { *r = append(*r, a.(activity)) }
func (r *running) Pop() any {
	last := len(*r) - 1
	a := (*r)[last]
	*r = (*r)[:last]
	return a
}

// NewGenerator returns a generator before its first event.
func NewGenerator(o Options) (*Generator, error) {
	o.Start = o.Start.UTC()
	switch year := o.Start.Year(); {
	case o.Events < 1:
		return nil, fmt.Errorf("generate %d events: want at least 1", o.Events)
	case !(o.AttackShare >= 0 && o.AttackShare <= 0.5):
		return nil, fmt.Errorf("generate with an attack share of %v: want 0 to 0.5", o.AttackShare)
	case year < 1970 || year > 2099:
		return nil, fmt.Errorf("generate from %s: want a start from 1970 to 2099", o.Start.Format(time.RFC3339))
	}
	var key []byte
	for _, n := range []uint64{o.Seed, uint64(o.Start.UnixNano()), uint64(o.Events), math.Float64bits(o.AttackShare)} {
		key = binary.BigEndian.AppendUint64(key, n)
	}
	sum := sha256.Sum256(key)

	// The time that a run covers, about. Square root and quotient are exact
	// (IEEE 754), so it is the same everywhere.
	span := time.Duration(math.Sqrt(float64(o.Events)/2000) * float64(time.Hour))
	attackEvents := int(math.Round(o.AttackShare * float64(o.Events)))
	g := &Generator{
		options:      o,
		run:          strconv.FormatUint(binary.BigEndian.Uint64(sum[16:]), 36),
		mean:         span / time.Duration(max(1, o.Events-attackEvents)),
		attackEvents: attackEvents,
		fixed:        firstScenarios,
		runs:         make([]int, len(scenarios)),
	}
	g.PCG = *rand.NewPCG(binary.BigEndian.Uint64(sum[0:]), binary.BigEndian.Uint64(sum[8:]))

	const perStation = 20 * time.Second // one event for each workstation in this time
	stations := min(max(12, int(perStation/g.mean)), 1000)
	g.network = newNetwork(&g.dice, stations)
	g.plan = plan{dice: &g.dice, network: g.network, start: o.Start.Truncate(time.Microsecond)}
	for i := range habits {
		g.next = append(g.next, time.Duration(g.below(int(g.pause(&habits[i], 10)))).Truncate(time.Microsecond))
	}
	g.first = slices.Index(g.next, slices.Min(g.next))
	return g, nil
}

// Next returns the next event, or io.EOF after the last.
func (g *Generator) Next() (*event.Event, error) {
	if g.emitted == g.options.Events {
		return nil, io.EOF
	}
	g.begin()
	a := &g.running[0]
	g.current = a.events[a.next]
	if a.next++; a.next < len(a.events) {
		heap.Fix(&g.running, 0)
	} else {
		if cap(a.events) <= 64 { // else all memory would grow to the size of the largest
			g.free = append(g.free, a.events[:0])
		}
		heap.Pop(&g.running)
	}
	g.emitted++
	g.current.ID = g.id(g.emitted)
	return &g.current.Event, nil
}

// Truth is the truth of the event that Next returned last, nil where it is
// benign.
func (g *Generator) Truth() *event.Truth {
	if g.current.truth == nil {
		return nil
	}
	t := *g.current.truth
	t.EventID = g.current.ID
	return &t
}

// Close does nothing: a Generator holds no resources.
func (g *Generator) Close() error { return nil }

// Progress is how many events are made, and how many there will be.
func (g *Generator) Progress() (made, all int64) { return int64(g.emitted), int64(g.options.Events) }

// id is unique over all runs: it begins with 64 bits of a hash of the options.
func (g *Generator) id(n int) string {
	g.number = append(append(g.number[:0], g.run...), '-')
	g.number = strconv.AppendInt(g.number, int64(n), 36)
	return string(g.number)
}

// begin begins all activities that begin before the next event.
func (g *Generator) begin() {
	for {
		h, next := &habits[g.first], &g.next[g.first]
		if len(g.running) > 0 && g.running[0].at().Before(g.plan.start.Add(*next)) {
			return
		}
		g.plan.at = *next
		if g.attackDue() {
			g.attack()
			g.plan.at = *next
		}
		h.plan(&g.plan, h.who(&g.plan))
		*next += g.pause(h, g.enqueue())
		g.first = slices.Index(g.next, slices.Min(g.next))
	}
}

// enqueue moves the planned events into the heap and returns how many they are.
func (g *Generator) enqueue() int {
	n := len(g.plan.events)
	if n > 0 {
		g.begun++
		heap.Push(&g.running, activity{events: g.plan.events, order: g.begun})
		g.plan.events = nil
		if last := len(g.free) - 1; last >= 0 {
			g.plan.events, g.free = g.free[last], g.free[:last]
		}
	}
	return n
}

// pause is the time from an activity with n events to the next of the habit: so
// long that the habit makes its share of all events.
func (g *Generator) pause(h *habit, n int) time.Duration {
	mean := g.mean * time.Duration(max(1, n)*habitShares) / time.Duration(h.share)
	if h.rhythm == human {
		mean = mean * 100 / time.Duration(busy(g.plan.start.Add(g.plan.at)))
	}
	percent := 99
	if h.rhythm == regular {
		percent = 1
	}
	return g.jitter(mean.Truncate(time.Microsecond), percent)
}

// busy is how much people do at t, in percent of the busiest hours.
func busy(t time.Time) int {
	hours := [24]int{20, 15, 15, 15, 15, 20, 35, 60, 85, 100, 100, 100, 80, 90, 100, 100, 95, 85, 65, 50, 45, 40, 35, 25}
	percent := hours[t.Hour()]
	if day := t.Weekday(); day == time.Saturday || day == time.Sunday {
		return percent/3 + 10
	}
	return percent
}

// attackDue reports whether the attacks lag behind their share of the events.
// They begin and end a little within the run, so that none is cut off.
func (g *Generator) attackDue() bool {
	margin := g.options.Events / 40
	due := g.attackEvents * (g.emitted - margin) / max(1, g.options.Events-3*margin)
	return g.attackBegun < min(due, g.attackEvents) && g.plan.at >= g.retry
}

// attack begins the next scenario that fits into the rest of the run.
func (g *Generator) attack() {
	p := &g.plan
	benign := float64(g.options.Events-g.emitted) * (1 - g.options.AttackShare)
	p.until = p.at + g.mean*time.Duration(benign)*8/10
	missing := g.attackEvents - g.attackBegun
	for range scenarios {
		i := g.deal()
		s := &scenarios[i]
		if p.until-p.at < s.least || missing*3/5 < s.fewest {
			continue // no time, or no room beside others
		}
		g.runs[i]++
		p.scenario, p.run, p.number = s.name, g.run, g.runs[i]
		p.most = min(g.attackEvents/40, missing)
		p.incident("", s.tactic, s.techniques...)
		s.plan(p, s.who(p))
		g.attackBegun += g.enqueue()
		p.truth = nil
		return
	}
	g.retry = p.at + g.mean*100
}

// deal draws the next scenario: all of them in turn, in another order in each
// round. The first round begins with those that small runs should show.
func (g *Generator) deal() int {
	if len(g.deck) == 0 {
		for i := range scenarios {
			g.deck = append(g.deck, i)
		}
		shuffle(&g.dice, g.deck[g.fixed:])
		g.fixed = 0
	}
	next := g.deck[0]
	g.deck = g.deck[1:]
	return next
}

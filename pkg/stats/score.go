package stats

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"soclab/pkg/attack"
	"soclab/pkg/event"
	"soclab/pkg/store"
)

// exercise is the generator's scenario that no default rule finds: its rule is
// for students to write.
const exercise = "exercise"

// Answers are the right ones: they say which events are part of an attack; all
// others are benign. They take about 200 bytes per attack event.
type Answers struct {
	// LeaveOut names scenarios that count in no average: neither in Overall nor
	// in MacroF1. Their incidents have rows of their own in Scores.ByTechnique
	// and Scores.ByScenario. ReadAnswers sets it to the exercise that students
	// write a rule for; set it to nil to average over all.
	LeaveOut []string

	events    map[string]int // index into list, by event id
	list      []answer
	incidents []incident
}

// answer is what is expected of one attack event.
type answer struct {
	incident int
	accepted []string // technique ids, the best first
}

// accepts reports whether a technique is a right answer.
func (a *answer) accepts(technique string) bool {
	return slices.ContainsFunc(a.accepted, func(expected string) bool { return attack.Answers(technique, expected) })
}

// incident is one run of one scenario's step.
type incident struct {
	scenario  string
	technique string // the first one accepted for its first event
}

// ReadAnswers reads the truth.csv at path. Of an event that stands there twice,
// since its run was repeated, the first row counts.
func ReadAnswers(ctx context.Context, path string) (*Answers, error) {
	a := &Answers{LeaveOut: []string{exercise}, events: make(map[string]int)}
	incidents := make(map[string]int)
	accepted := make(map[string][]string) // one copy of each
	for truth, err := range store.ReadTruth(path) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, fmt.Errorf("truth: %w", err)
		}
		if _, repeated := a.events[truth.EventID]; repeated {
			continue
		}
		of, ok := incidents[truth.Incident]
		if !ok {
			of = len(a.incidents)
			incidents[truth.Incident] = of
			a.incidents = append(a.incidents, incident{truth.Scenario, truth.Techniques[0]})
		}
		techniques := strings.Join(truth.Techniques, ";")
		if accepted[techniques] == nil {
			accepted[techniques] = truth.Techniques
		}
		a.events[strings.Clone(truth.EventID)] = len(a.list)
		a.list = append(a.list, answer{of, accepted[techniques]})
	}
	return a, nil
}

// Scores compares classified rows with the truth. A row is labelled when its
// class is not benign, and its label is its technique. A label is right when
// the truth of the row's event accepts it: it is one of the accepted
// techniques, the parent of one, or a sub-technique of one.
type Scores struct {
	Summary *Summary `json:"-"` // what Read says of the same files

	Events int `json:"events"` // rows that were compared
	Attack int `json:"attack"` // of them rows of attack events
	Unseen int `json:"unseen"` // attack events of the truth that have no row; they count nowhere else

	// Overall covers all techniques together.
	Overall Score `json:"overall"`
	// MacroF1 is the plain average of the F1 of the techniques that have
	// incidents and are not left out, Averaged of them.
	MacroF1  float64 `json:"macro_f1"`
	Averaged int     `json:"averaged"`
	// MacroF1All is the same with those that are left out.
	MacroF1All float64 `json:"macro_f1_all"`

	// FalseAlarms are labelled rows of benign events, also those of left-out
	// techniques; per hour of event time (0 where the rows span no time), and
	// in percent of all rows of benign events.
	FalseAlarms        int     `json:"false_alarms"`
	FalseAlarmsPerHour float64 `json:"false_alarms_per_hour"`
	FalseAlarmPercent  float64 `json:"false_alarm_percent"`

	// ByTechnique is in the order of the ids; sub-techniques count with their
	// parent. ByScenario is in the order of the names; the precision of a
	// scenario is that of the labels on its own rows.
	ByTechnique []Score `json:"techniques"`
	ByScenario  []Score `json:"scenarios"`

	Confusion Confusion `json:"confusion"`
}

// Score is the score of one technique, one scenario, or all. Shares are from 0
// to 1, and 0 where there is nothing to share.
type Score struct {
	ID      string `json:"id" dataframe:"id"` // technique id, scenario, or "all"
	Name    string `json:"name,omitempty" dataframe:"name"`
	LeftOut bool   `json:"left_out,omitempty" dataframe:"left out"`

	// An incident is found when one of its rows is labelled right. It counts
	// for the first technique that the truth accepts for it.
	Incidents int     `json:"incidents" dataframe:"incidents"`
	Found     int     `json:"found" dataframe:"found"`
	Recall    float64 `json:"recall" dataframe:"recall"` // Found of Incidents

	// Right labels count for the technique of their incident, wrong ones for
	// their own.
	Labelled  int     `json:"labelled" dataframe:"labelled"`
	Right     int     `json:"right" dataframe:"right"`
	Precision float64 `json:"precision" dataframe:"precision"` // Right of Labelled

	F1 float64 `json:"f1" dataframe:"F1"` // harmonic mean of Recall and Precision

	Rows      int     `json:"rows" dataframe:"rows"`             // of the incidents
	RowRecall float64 `json:"row_recall" dataframe:"row recall"` // Right of Rows

	// What passes until an incident is found, from its first row to its first
	// right one by event time: the medians (of two, the lower) over those that
	// were found. RowsBefore are the incident's rows with an earlier time than
	// the first right one; JSON has Delay in nanoseconds.
	Delay      time.Duration `json:"delay" dataframe:"-"`
	RowsBefore int           `json:"rows_before" dataframe:"rows before"`

	delays     []time.Duration
	rowsBefore []int
}

// Confusion counts rows by what they are and what they are labelled. Both axes
// have the same names: benign, technique ids in order, and "none" for labels
// without a technique. A row of an attack event stands at the first technique
// accepted for it, and a right label there too: all that is right, and nothing
// else, is on the diagonal.
type Confusion struct {
	Names  []string `json:"names"`
	Counts [][]int  `json:"counts"` // [truth][label]
}

// noTechnique is the label of a detection whose rule names no technique.
const noTechnique = "none"

// Score reads files of classified events once, counts them as [Read] does, and
// compares each row with the answers.
func (a *Answers) Score(ctx context.Context, files ...string) (*Scores, error) {
	c := comparison{
		answers:   a,
		seen:      make([]bool, len(a.list)),
		unseen:    len(a.list),
		found:     make([]outcome, len(a.incidents)),
		wrong:     make(map[string]int),
		confusion: make(map[[2]string]*int),
	}
	summary, err := newCounter(newIDSet(idSlots, maxIDs)).read(ctx, files, c.compare)
	if err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	return c.scores(summary), nil
}

// comparison is the state of Score.
type comparison struct {
	answers     *Answers
	benign      int // rows of benign events
	falseAlarms int
	seen        []bool         // by answer
	unseen      int            // of them those that were not
	found       []outcome      // by incident
	wrong       map[string]int // wrong labels by technique, without those on left-out rows
	confusion   map[[2]string]*int
}

// outcome is what the rows of one incident say.
type outcome struct {
	times    []time.Time // of all rows
	labelled int
	right    int
	detected time.Time // earliest right row
}

func (c *comparison) compare(r *row) {
	technique := event.Unescape(r.Get(event.ColumnTechniqueID))
	label := event.Benign
	if !r.benign() {
		label = cmp.Or(technique, noTechnique)
	}
	i, attacked := c.answers.events[event.Unescape(r.Get(columnID))]
	if !attacked {
		c.benign++
		if !r.benign() {
			c.falseAlarms++
			c.wrong[strings.Clone(attack.Parent(label))]++
		}
		c.confuse(event.Benign, label)
		return
	}
	answer, when := &c.answers.list[i], r.parsed.Timestamp
	f := &c.found[answer.incident]
	if !c.seen[i] {
		c.seen[i] = true
		c.unseen--
	}
	f.times = append(f.times, when)
	expected := answer.accepted[0]
	switch {
	case r.benign():
	case answer.accepts(technique):
		if f.right == 0 || when.Before(f.detected) {
			f.detected = when
		}
		f.labelled++
		f.right++
		label = expected
	default:
		f.labelled++
		if !c.leftOut(answer.incident) {
			c.wrong[strings.Clone(attack.Parent(label))]++
		}
	}
	c.confuse(expected, label)
}

func (c *comparison) confuse(truth, label string) {
	key := [2]string{truth, label}
	increment(c.confusion, key, func() [2]string { return [2]string{truth, strings.Clone(label)} })
}

func (c *comparison) leftOut(incident int) bool {
	return slices.Contains(c.answers.LeaveOut, c.answers.incidents[incident].scenario)
}

func (c *comparison) scores(of *Summary) *Scores {
	s := &Scores{Summary: of, Events: of.Events, Attack: of.Events - c.benign, FalseAlarms: c.falseAlarms, Unseen: c.unseen}
	if hours := of.Last.Sub(of.First).Hours(); hours > 0 {
		s.FalseAlarmsPerHour = float64(c.falseAlarms) / hours
	}
	s.FalseAlarmPercent = 100 * share(c.falseAlarms, c.benign)

	type group struct {
		technique string
		leftOut   bool
	}
	techniques := make(map[group]*Score)
	scenarios := make(map[string]*Score)
	for i, f := range c.found {
		if len(f.times) == 0 {
			continue
		}
		in := c.answers.incidents[i]
		g := group{attack.Parent(in.technique), c.leftOut(i)}
		at(techniques, g, Score{ID: g.technique, LeftOut: g.leftOut}).join(f.score(f.right))
		at(scenarios, in.scenario, Score{ID: in.scenario, LeftOut: g.leftOut}).join(f.score(f.labelled))
	}
	for technique, labels := range c.wrong {
		g := group{technique: technique}
		if techniques[g] == nil && techniques[group{technique, true}] != nil {
			g.leftOut = true
		}
		at(techniques, g, Score{ID: technique}).Labelled += labels
	}

	s.ByTechnique = finished(techniques)
	s.ByScenario = finished(scenarios)
	s.Overall.ID = "all"
	all, sum := 0, 0.0
	for i := range s.ByTechnique {
		t := &s.ByTechnique[i]
		if known, err := attack.TechniqueByID(t.ID); err == nil {
			t.Name = known.Name
		}
		if t.Incidents > 0 {
			all++
			sum += t.F1
		}
		if t.LeftOut {
			continue
		}
		s.Overall.join(t)
		if t.Incidents > 0 {
			s.MacroF1 += t.F1
			s.Averaged++
		}
	}
	s.Overall.finish()
	s.MacroF1 /= float64(max(s.Averaged, 1))
	s.MacroF1All = sum / float64(max(all, 1))
	s.Confusion = newConfusion(c.confusion)
	return s
}

// finished computes and sorts the scores, what is left out behind its like.
func finished[K comparable](scores map[K]*Score) []Score {
	for _, s := range scores {
		s.finish()
	}
	return ranked(scores, func(s Score) (int, string) {
		if s.LeftOut {
			return 0, s.ID + " left out"
		}
		return 0, s.ID
	})
}

// score is that of one incident; labelled are the labels that count for it.
func (f *outcome) score(labelled int) *Score {
	s := &Score{Incidents: 1, Rows: len(f.times), Labelled: labelled, Right: f.right}
	if f.right > 0 {
		s.Found = 1
		before := 0
		for _, t := range f.times {
			if t.Before(f.detected) {
				before++
			}
		}
		s.delays = []time.Duration{f.detected.Sub(slices.MinFunc(f.times, time.Time.Compare))}
		s.rowsBefore = []int{before}
	}
	return s
}

// join adds the counts of another score.
func (s *Score) join(t *Score) {
	s.Incidents += t.Incidents
	s.Found += t.Found
	s.Labelled += t.Labelled
	s.Right += t.Right
	s.Rows += t.Rows
	s.delays = append(s.delays, t.delays...)
	s.rowsBefore = append(s.rowsBefore, t.rowsBefore...)
}

// finish computes the shares and medians of what was counted.
func (s *Score) finish() {
	s.Recall = share(s.Found, s.Incidents)
	s.Precision = share(s.Right, s.Labelled)
	s.RowRecall = share(s.Right, s.Rows)
	if sum := s.Recall + s.Precision; sum > 0 {
		s.F1 = 2 * s.Recall * s.Precision / sum
	}
	s.Delay = median(s.delays)
	s.RowsBefore = median(s.rowsBefore)
}

func median[T cmp.Ordered](values []T) T {
	if len(values) == 0 {
		var none T
		return none
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

func newConfusion(counts map[[2]string]*int) Confusion {
	names := make(map[string]*string)
	for pair := range counts {
		names[pair[0]], names[pair[1]] = &pair[0], &pair[1]
	}
	c := Confusion{Names: ranked(names, func(name string) (int, string) {
		switch name {
		case event.Benign:
			return 1, "" // first
		case noTechnique:
			return -1, "" // last
		}
		return 0, name
	})}
	c.Counts = make([][]int, len(c.Names))
	for i, truth := range c.Names {
		c.Counts[i] = make([]int, len(c.Names))
		for j, label := range c.Names {
			if n := counts[[2]string{truth, label}]; n != nil {
				c.Counts[i][j] = *n
			}
		}
	}
	return c
}

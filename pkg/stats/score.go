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

// Compare reads files of classified events once, counts them as [Read] does, and
// compares each row with the truth.csv at the path truth. It says which events
// are part of an attack; all others are benign. Of an event that stands there
// twice, since its run was repeated, the first row counts. An attack event takes
// about 250 bytes.
func Compare(ctx context.Context, truth string, files ...string) (*Scores, error) {
	return compare(ctx, exercise, truth, files)
}

// comparison is the state of Compare.
type comparison struct {
	answers     map[string]*answer // by event id
	incidents   []*incident
	unseen      int // answers whose event no row has
	benign      int // rows of benign events
	falseAlarms int
	wrong       map[string]int // wrong labels by technique, without those on left-out rows
	confusion   map[[2]string]*int
}

// answer is what is expected of one attack event.
type answer struct {
	*incident
	accepted []string // technique ids, the best first
	seen     bool
}

// accepts reports whether a technique is a right answer.
func (a *answer) accepts(technique string) bool {
	return slices.ContainsFunc(a.accepted, func(expected string) bool { return attack.Answers(technique, expected) })
}

// incident is one run of one scenario's step, and what its rows say.
type incident struct {
	scenario  string
	technique string // the first one accepted for its first event
	leftOut   bool   // of the averages

	times    []time.Time // of all rows
	labelled int
	right    int
	detected time.Time // earliest right row
}

func compare(ctx context.Context, leftOut, truth string, files []string) (*Scores, error) {
	c := comparison{
		answers:   make(map[string]*answer),
		wrong:     make(map[string]int),
		confusion: make(map[[2]string]*int),
	}
	if err := c.readTruth(ctx, leftOut, truth); err != nil {
		return nil, fmt.Errorf("truth: %w", err)
	}
	summary, err := newCounter(newIDSet(idSlots, maxIDs)).read(ctx, files, c.count)
	if err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	return c.scores(summary), nil
}

func (c *comparison) readTruth(ctx context.Context, leftOut, path string) error {
	incidents := make(map[string]*incident)
	accepted := make(map[string][]string) // one copy of each
	for truth, err := range store.ReadTruth(path) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
		if c.answers[truth.EventID] != nil {
			continue
		}
		of := incidents[truth.Incident]
		if of == nil {
			of = &incident{scenario: truth.Scenario, technique: truth.Techniques[0], leftOut: truth.Scenario == leftOut}
			incidents[truth.Incident] = of
			c.incidents = append(c.incidents, of)
		}
		techniques := strings.Join(truth.Techniques, ";")
		if accepted[techniques] == nil {
			accepted[techniques] = truth.Techniques
		}
		c.answers[strings.Clone(truth.EventID)] = &answer{incident: of, accepted: accepted[techniques]}
	}
	c.unseen = len(c.answers)
	return nil
}

func (c *comparison) count(r *row) {
	technique := event.Unescape(r.Get(event.ColumnTechniqueID))
	label := event.Benign
	if !r.benign() {
		label = cmp.Or(technique, noTechnique)
	}
	answer := c.answers[event.Unescape(r.Get(columnID))]
	if answer == nil {
		c.benign++
		if !r.benign() {
			c.falseAlarms++
			c.wrong[strings.Clone(attack.Parent(label))]++
		}
		c.confuse(event.Benign, label)
		return
	}
	if !answer.seen {
		answer.seen = true
		c.unseen--
	}
	when, expected := r.parsed.Timestamp, answer.accepted[0]
	answer.times = append(answer.times, when)
	switch {
	case r.benign():
	case answer.accepts(technique):
		if answer.right == 0 || when.Before(answer.detected) {
			answer.detected = when
		}
		answer.labelled++
		answer.right++
		label = expected
	default:
		answer.labelled++
		if !answer.leftOut {
			c.wrong[strings.Clone(attack.Parent(label))]++
		}
	}
	c.confuse(expected, label)
}

func (c *comparison) confuse(truth, label string) {
	increment(c.confusion, [2]string{truth, label}, func() [2]string { return [2]string{truth, strings.Clone(label)} })
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
	for _, i := range c.incidents {
		if len(i.times) > 0 {
			g := group{attack.Parent(i.technique), i.leftOut}
			at(techniques, g, Score{ID: g.technique, LeftOut: i.leftOut}).join(i.score(i.right))
			at(scenarios, i.scenario, Score{ID: i.scenario, LeftOut: i.leftOut}).join(i.score(i.labelled))
		}
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
	for i := range s.ByTechnique {
		t := &s.ByTechnique[i]
		if known, err := attack.TechniqueByID(t.ID); err == nil {
			t.Name = known.Name
		}
		if !t.LeftOut {
			s.Overall.join(t)
		}
	}
	s.Overall.finish()
	s.MacroF1, s.Averaged = macroF1(s.ByTechnique, false)
	s.MacroF1All, _ = macroF1(s.ByTechnique, true)
	s.Confusion = newConfusion(c.confusion)
	return s
}

// macroF1 is the average over the techniques that have incidents, and how many
// they are.
func macroF1(techniques []Score, all bool) (average float64, n int) {
	for _, t := range techniques {
		if t.Incidents > 0 && (all || !t.LeftOut) {
			average += t.F1
			n++
		}
	}
	return average / float64(max(n, 1)), n
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

// score is that of the incident alone; labelled are the labels that count for it.
func (i *incident) score(labelled int) *Score {
	s := &Score{Incidents: 1, Rows: len(i.times), Labelled: labelled, Right: i.right}
	if i.right > 0 {
		s.Found = 1
		before := 0
		for _, t := range i.times {
			if t.Before(i.detected) {
				before++
			}
		}
		s.delays = []time.Duration{i.detected.Sub(slices.MinFunc(i.times, time.Time.Compare))}
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

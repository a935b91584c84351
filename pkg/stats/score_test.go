package stats

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-gota/gota/dataframe"
	"github.com/go-gota/gota/series"

	"soclab/pkg/event"
)

const truthHeader = "event.id,incident,scenario,threat.tactic.id,threat.technique.id\n"

// scored is one row of a test: its event, what it is, and what it was called.
type scored struct {
	id       string
	seconds  int    // of event time
	incident string // empty where benign
	scenario string
	accepted string
	label    string // technique, "benign", or "none" for a rule without one
}

func score(t *testing.T, leftOut string, rows ...scored) *Scores {
	t.Helper()
	var classifiedRows []classified
	truth := truthHeader
	for i, r := range rows {
		v := event.Verdict{Class: "Some Rule", RuleID: "r", Matches: []string{"r"}}
		switch r.label {
		case event.Benign:
			v = benign
		case noTechnique:
		default:
			v.Technique.ID = r.label
		}
		row := rowAt(r.seconds, 0, int64(i), "10.0.0.1", v)
		row.ID = r.id
		classifiedRows = append(classifiedRows, row)
		if r.incident != "" {
			truth += strings.Join([]string{r.id, r.incident, r.scenario, "TA0007", r.accepted}, ",") + "\n"
		}
	}
	s, err := compare(t.Context(), leftOut, write(t, truth), []string{write(t, csvFile(classifiedRows...))})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// twoHours is a log with one incident found late, one missed, one of two
// techniques, an exercise, and false alarms.
var twoHours = []scored{
	{"b1", 0, "", "", "", "benign"},
	{"b2", 10, "", "", "", "T1046"}, // false alarm
	{"s1", 100, "scan-1", "scan", "T1046", "benign"},
	{"s3", 130, "scan-1", "scan", "T1046", "T1046"},
	{"s2", 110, "scan-1", "scan", "T1046", "T1190"}, // wrong technique
	{"s4", 140, "scan-1", "scan", "T1046", "T1046"},
	{"t1", 200, "scan-2", "scan", "T1046", "benign"},
	{"g1", 300, "guess-1", "guess", "T1110.001;T1110.003", "T1110.003"},
	{"g2", 301, "guess-1", "guess", "T1110.001;T1110.003", "T1110"},
	{"e1", 400, "ex-1", "exercise", "T1048.003", "benign"},
	{"e2", 401, "ex-1", "exercise", "T1048.003", "T1046"},
	{"b3", 7200, "", "", "", "none"}, // false alarm
	{"b4", 5000, "", "", "", "benign"},
}

func TestScore(t *testing.T) {
	s := score(t, exercise, twoHours...)
	var text strings.Builder
	if err := s.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "scores.txt", text.String()+"\n"+frameOf(s.Confusion).String())
	js, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "scores.json", string(js)+"\n")
}

// frameOf has a row per true class and a column per label.
func frameOf(c Confusion) dataframe.DataFrame {
	columns := []series.Series{series.New(c.Names, series.String, "truth")}
	for label, name := range c.Names {
		counts := make([]int, len(c.Names))
		for truth := range c.Names {
			counts[truth] = c.Counts[truth][label]
		}
		columns = append(columns, series.New(counts, series.Int, name))
	}
	return dataframe.New(columns...)
}

func (s *Scores) technique(t *testing.T, id string) Score {
	t.Helper()
	for _, score := range s.ByTechnique {
		if score.ID == id {
			return score
		}
	}
	t.Fatalf("no score of %s in %v", id, s.ByTechnique)
	return Score{}
}

func TestScoreByTechnique(t *testing.T) {
	s := score(t, exercise, twoHours...)
	scan := s.technique(t, "T1046")
	if scan.Incidents != 2 || scan.Found != 1 || scan.Recall != 0.5 {
		t.Errorf("recall by incident %+v: want 1 of 2", scan)
	}
	// Right: s3, s4. Wrong: b2; not e2, whose scenario is left out.
	if scan.Labelled != 3 || scan.Right != 2 || scan.RowRecall != 2./5 {
		t.Errorf("precision by row %+v: want 2 of 3, 2 of 5 rows", scan)
	}
	if want := 2 * 0.5 * (2. / 3) / (0.5 + 2./3); math.Abs(scan.F1-want) > 1e-9 {
		t.Errorf("F1 %f: want %f", scan.F1, want)
	}
	if scan.Delay != 30*time.Second || scan.RowsBefore != 2 {
		t.Errorf("%v and %d rows until the first detection: want 30s and 2, by event time", scan.Delay, scan.RowsBefore)
	}
	if guess := s.technique(t, "T1110"); guess.F1 != 1 {
		t.Errorf("%+v: want every accepted technique and the parent to be right", guess)
	}
	if web := s.technique(t, "T1190"); web.Incidents != 0 || web.Labelled != 1 || web.Precision != 0 {
		t.Errorf("%+v: want one wrong label", web)
	}
	if exercise := s.technique(t, "T1048"); !exercise.LeftOut || exercise.Incidents != 1 || exercise.Found != 0 {
		t.Errorf("%+v: want the exercise listed, and left out", exercise)
	}
	if want := (scan.F1 + 1) / 2; s.Averaged != 2 || math.Abs(s.MacroF1-want) > 1e-9 {
		t.Errorf("macro F1 %f over %d: want %f over 2", s.MacroF1, s.Averaged, want)
	}
}

func TestFalseAlarms(t *testing.T) {
	s := score(t, "", twoHours...)
	if s.FalseAlarms != 2 || s.FalseAlarmsPerHour != 1 || s.FalseAlarmPercent != 50 {
		t.Errorf("%d false alarms, %g an hour, %g %%: want 2, 1, 50", s.FalseAlarms, s.FalseAlarmsPerHour, s.FalseAlarmPercent)
	}
}

func TestFoundExerciseRaisesItsScoreAlone(t *testing.T) {
	before := score(t, exercise, twoHours...)
	found := append([]scored{}, twoHours...)
	found[9].label = "T1048.003"
	after := score(t, exercise, found...)
	if was, is := before.technique(t, "T1048"), after.technique(t, "T1048"); was.F1 != 0 || is.F1 != 1 {
		t.Errorf("F1 of the exercise from %g to %g: want from 0 to 1", was.F1, is.F1)
	}
	if before.MacroF1 != after.MacroF1 || before.Overall.F1 != after.Overall.F1 {
		t.Error("averages changed: want the exercise left out of them")
	}
	if all := score(t, "", found...); all.Averaged != 3 {
		t.Errorf("%d techniques averaged: want 3 where nothing is left out", all.Averaged)
	}
}

func TestConfusionHasAllThatIsRightOnItsDiagonal(t *testing.T) {
	s := score(t, "", twoHours...)
	diagonal, sum := 0, 0
	for i, row := range s.Confusion.Counts {
		diagonal += row[i]
		for _, n := range row {
			sum += n
		}
	}
	if right := s.Overall.Right + 2; diagonal != right || sum != s.Events { // b1 and b4 are benign
		t.Errorf("%d of %d on the diagonal: want %d of %d", diagonal, sum, right, s.Events)
	}
}

func TestAccepts(t *testing.T) {
	for _, test := range []struct {
		accepted []string
		label    string
		want     bool
	}{
		{[]string{"T1046"}, "T1046", true},
		{[]string{"T1110.001"}, "T1110", true},
		{[]string{"T1110"}, "T1110.001", true},
		{[]string{"T1110.001"}, "T1110.003", false},
		{[]string{"T1110.001", "T1110.003"}, "T1110.003", true},
		{[]string{"T1046"}, "T104", false},
		{[]string{"T1046"}, "", false},
	} {
		if got := (&answer{accepted: test.accepted}).accepts(test.label); got != test.want {
			t.Errorf("%q accepts %q: %v", test.accepted, test.label, got)
		}
	}
}

func TestTruth(t *testing.T) {
	rows := csvFile(rowAt(0, 0, 0, "10.0.0.1", portScan)) // event E0-0
	for _, test := range []struct {
		name, truth    string
		attack, unseen int
		err            string
	}{
		{"other order", "incident,threat.technique.id,event.id,scenario,threat.tactic.id\ni,T1046,E0-0,s,\n", 1, 0, ""},
		{"run repeated", truthHeader + "E0-0,i,s,,T1046\nE0-0,i,s,,T1046\n", 1, 0, ""},
		{"event not stored", truthHeader + "E0-0,i,s,,T1046\nE9,j,s,,T1190\n", 1, 1, ""},
		{"torn", truthHeader + "E0-0,i,s,,T10", 0, 0, ""},
		{"no technique", truthHeader + "E0-0,i,s,TA0007,\n", 0, 0, ":2: threat.technique.id: want a value"},
		{"narrow", truthHeader + "E0-0,i\n", 0, 0, ":2: row of 2 cells"},
		{"missing column", "event.id,incident\n", 0, 0, `:1: header "event.id,incident": want the columns event.id,incident,scenario`},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := write(t, test.truth)
			s, err := Compare(t.Context(), file, write(t, rows))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), file+test.err) {
					t.Fatalf("error %v: want %s%s", err, file, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Attack != test.attack || s.Unseen != test.unseen || len(s.ByTechnique) != 1 {
				t.Errorf("%+v: want %d attack rows, %d unseen, one technique", s, test.attack, test.unseen)
			}
		})
	}
}

func TestScoreFrames(t *testing.T) {
	s := score(t, exercise, twoHours...)
	for _, test := range []struct{ got, want []string }{
		{s.Techniques().Col("technique").Records(), []string{"T1046", "T1048", "T1110", "T1190", "none"}},
		{s.Techniques().Col("delay seconds").Records(), []string{"30.000000", "0.000000", "0.000000", "0.000000", "0.000000"}},
		{Frame(s.ByScenario).Col("id").Records(), []string{"exercise", "guess", "scan"}},
		{s.Confusion.Names, []string{"benign", "T1046", "T1048.003", "T1110.001", "T1190", "none"}},
	} {
		if strings.Join(test.got, " ") != strings.Join(test.want, " ") {
			t.Errorf("%v: want %v", test.got, test.want)
		}
	}
}

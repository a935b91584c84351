package stats

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/go-gota/gota/dataframe"
	"github.com/go-gota/gota/series"
)

// Classes has a row per class: class, events, percent of all events.
func (s *Summary) Classes() dataframe.DataFrame { return frame(s.ByClass) }

// Tactics has a row per tactic of the ATT&CK matrix in its order: tactic,
// name, events, percent of all detections.
func (s *Summary) Tactics() dataframe.DataFrame { return frame(s.ByTactic) }

// Techniques has a row per technique: technique, name, events, percent of all
// detections.
func (s *Summary) Techniques() dataframe.DataFrame { return frame(s.ByTechnique) }

// Rules has a row per rule: rule, title, level, technique, matched, won.
func (s *Summary) Rules() dataframe.DataFrame { return frame(s.ByRule) }

// Processing has a row per partition: partition, events, benign, detected,
// first offset, last offset, missing.
func (s *Summary) Processing() dataframe.DataFrame { return frame(s.ByPartition) }

// TopSources has the n sources with most events, at most 100: source, events,
// detected, percent of all events.
func (s *Summary) TopSources(n int) dataframe.DataFrame {
	return frame(s.BySource[:min(n, len(s.BySource))])
}

// Timeline has a row per interval of event time: from (RFC 3339), events,
// benign, detected. All intervals have one width, the smallest round one by
// which there are no more than most rows; a second is the least.
func (s *Summary) Timeline(most int) dataframe.DataFrame {
	type interval struct {
		From     string `dataframe:"from"`
		Events   int    `dataframe:"events"`
		Benign   int    `dataframe:"benign"`
		Detected int    `dataframe:"detected"`
	}
	var intervals []interval
	bins, _ := s.timeline.span(most)
	for _, b := range bins {
		intervals = append(intervals, interval{b.from().Format(time.RFC3339), b.benign + b.detected, b.benign, b.detected})
	}
	return frame(intervals)
}

// Heatmap has a row per technique and a column per source, for the n sources
// with most detections (at most 100): how often the technique was detected.
func (s *Summary) Heatmap(n int) dataframe.DataFrame {
	suspects := s.Suspects[:min(n, len(s.Suspects))]
	techniques := techniquesOf(suspects, math.MaxInt)
	columns := []series.Series{series.New(techniques, series.String, "technique")}
	for _, suspect := range suspects {
		counts := make([]int, len(techniques))
		for i, technique := range techniques {
			counts[i] = suspect.Techniques[technique]
		}
		columns = append(columns, series.New(counts, series.Int, suspect.IP))
	}
	return dataframe.New(columns...)
}

// techniquesOf lists the most frequent techniques of suspects in the order of
// their ids.
func techniquesOf(suspects []Suspect, most int) []string {
	counts := make(map[string]int)
	for _, suspect := range suspects {
		for technique, n := range suspect.Techniques {
			counts[technique] += n
		}
	}
	delete(counts, "") // of rules that name none
	ids := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	ids = ids[:min(most, len(ids))]
	slices.Sort(ids)
	return ids
}

// Latency has a row per quantile of the time from record to row: quantile,
// milliseconds.
func (s *Summary) Latency() dataframe.DataFrame {
	w := s.Waiting
	milliseconds := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return dataframe.New(
		series.New([]string{"50 %", "90 %", "99 %", "99.9 %", "max"}, series.String, "quantile"),
		series.New([]float64{
			milliseconds(w.P50), milliseconds(w.P90), milliseconds(w.P99), milliseconds(w.P999), milliseconds(w.Max),
		}, series.Float, "milliseconds"),
	)
}

// frame makes a frame of structs with dataframe tags; without rows it still
// has its columns, which gota alone refuses.
func frame[T any](rows []T) dataframe.DataFrame {
	if len(rows) > 0 {
		return dataframe.LoadStructs(rows)
	}
	return dataframe.LoadStructs(make([]T, 1)).Subset([]int{})
}

// Techniques has a row per technique, sub-techniques counted with their parent:
// technique, name, left out, incidents, found, recall, labelled, right,
// precision, F1, rows, row recall, rows before, delay seconds.
func (s *Scores) Techniques() dataframe.DataFrame { return scoreFrame(s.ByTechnique, "technique") }

// Scenarios has a row per scenario, with the columns of Techniques.
func (s *Scores) Scenarios() dataframe.DataFrame { return scoreFrame(s.ByScenario, "scenario") }

func scoreFrame(scores []Score, id string) dataframe.DataFrame {
	delays := make([]float64, len(scores))
	for i, s := range scores {
		delays[i] = s.Delay.Seconds()
	}
	return frame(scores).Rename(id, "id").Mutate(series.New(delays, series.Float, "delay seconds"))
}

// Frame has a row per true class and a column per label, after a first column
// "truth".
func (c Confusion) Frame() dataframe.DataFrame {
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

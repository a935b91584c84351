package stats

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/go-gota/gota/dataframe"
	"github.com/go-gota/gota/series"
)

// Frame has a row for each element of a list of a [Summary] or of [Scores], and
// a column for each field that has a dataframe tag. Without rows it still has
// its columns, which gota alone refuses.
func Frame[T any](list []T) dataframe.DataFrame {
	if len(list) > 0 {
		return dataframe.LoadStructs(list)
	}
	return dataframe.LoadStructs(make([]T, 1)).Subset([]int{})
}

// Heatmap has a row per technique and a column per source, for the n sources
// with most detections (at most 100): how often the technique was detected.
func (s *Summary) Heatmap(n int) dataframe.DataFrame {
	suspects := s.Suspects[:min(n, len(s.Suspects))]
	techniques := techniquesOf(suspects, math.MaxInt)
	columns := []series.Series{series.New(techniques, series.String, "technique")}
	for _, suspect := range suspects {
		columns = append(columns, series.New(suspect.counts(techniques), series.Int, suspect.IP))
	}
	return dataframe.New(columns...)
}

// counts are the suspect's detections of each technique.
func (s *Suspect) counts(techniques []string) []int {
	counts := make([]int, len(techniques))
	for i, technique := range techniques {
		counts[i] = s.Techniques[technique]
	}
	return counts
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

// Techniques has a row per technique, sub-techniques counted with their parent:
// technique, name, left out, incidents, found, recall, labelled, right,
// precision, F1, rows, row recall, rows before, delay seconds.
func (s *Scores) Techniques() dataframe.DataFrame {
	delays := make([]float64, len(s.ByTechnique))
	for i, score := range s.ByTechnique {
		delays[i] = score.Delay.Seconds()
	}
	return Frame(s.ByTechnique).Rename("technique", "id").Mutate(series.New(delays, series.Float, "delay seconds"))
}

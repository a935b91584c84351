//go:build unix

package stats

import (
	"os"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/go-gota/gota/dataframe"

	"soclab/internal/cost"
)

// BenchmarkRead counts a million rows (a tenth with -short), beside gota that
// reads the same file into a frame and counts its classes. It reports CPU time
// per row and the highest heap seen, garbage included.
func BenchmarkRead(b *testing.B) {
	rows := 1_000_000
	if testing.Short() {
		rows = 100_000
	}
	file := writeDay(b, rows)
	for _, bench := range []struct {
		name string
		read cost.Work
	}{
		{"stats", reading(b, file)},
		{"gota", readingByGota(file)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			peak := watchHeap()
			begin := cost.CPU()
			for b.Loop() {
				runtime.GC() // what the read before left
				if events, err := bench.read(); err != nil || events != rows {
					b.Fatalf("%d of %d rows: %v", events, rows, err)
				}
			}
			b.ReportMetric(float64(cost.CPU()-begin)/float64(b.N*rows), "cpu-ns/row")
			b.ReportMetric(float64(peak())/(1<<20), "peak-MiB")
		})
	}
}

func reading(t testing.TB, file string) cost.Work {
	return func() (int, error) {
		s, err := Read(t.Context(), file)
		if err != nil {
			return 0, err
		}
		return s.Events, nil
	}
}

func readingByGota(file string) cost.Work {
	return func() (int, error) {
		f, err := os.Open(file)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		df := dataframe.ReadCSV(f, dataframe.DetectTypes(false))
		events := 0
		for _, class := range df.GroupBy("class").GetGroups() {
			events += class.Nrow()
		}
		return events, df.Err
	}
}

// watchHeap looks at the heap every 2 ms until peak is called.
func watchHeap() (peak func() uint64) {
	stop, result := make(chan struct{}), make(chan uint64)
	go func() {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		var highest uint64
		for {
			metrics.Read(sample)
			highest = max(highest, sample[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				result <- highest
				return
			}
		}
	}()
	return func() uint64 { close(stop); return <-result }
}

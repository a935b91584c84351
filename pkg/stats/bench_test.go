//go:build unix

package stats

import (
	"os"
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/go-gota/gota/dataframe"
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
		read func() (events int, err error)
	}{
		{"stats", func() (int, error) {
			s, err := Read(b.Context(), file)
			if err != nil {
				return 0, err
			}
			return s.Events, nil
		}},
		{"gota", func() (int, error) {
			f, err := os.Open(file)
			if err != nil {
				return 0, err
			}
			defer f.Close()
			df := dataframe.ReadCSV(f, dataframe.DetectTypes(false))
			classes := df.GroupBy("class").GetGroups()
			events := 0
			for _, class := range classes {
				events += class.Nrow()
			}
			return events, df.Err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			peak := watchHeap()
			begin := cpu(b)
			for b.Loop() {
				runtime.GC() // what the read before left
				if events, err := bench.read(); err != nil || events != rows {
					b.Fatalf("%d of %d rows: %v", events, rows, err)
				}
			}
			b.ReportMetric(float64(cpu(b)-begin)/float64(b.N*rows), "cpu-ns/row")
			b.ReportMetric(float64(peak())/(1<<20), "peak-MiB")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
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

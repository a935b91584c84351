package stats_test

import (
	"context"
	"fmt"
	"log"

	"soclab/pkg/stats"
)

// Two hosts stored overlapping rows: each counts once.
func ExampleRead() {
	s, err := stats.Read(context.Background(), "testdata/host1.csv", "testdata/host2.csv")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Events, "events,", s.Duplicates, "duplicates")
	fmt.Println(stats.Frame(s.ByClass))
	// Output:
	// 4 events, 2 duplicates
	// [2x3] DataFrame
	//
	//     class                   events percent
	//  0: benign                  3      75.000000
	//  1: Port Scan of Many Ports 1      25.000000
	//     <string>                <int>  <float>
}

package notebook_test

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"soclab/pkg/human"
	"soclab/pkg/notebook"
)

// A cell opens what it uses, works until it is done or the stop button is
// pressed, and says what went wrong in a sentence.
func Example() {
	ctx, stop := notebook.Context()
	defer stop()

	port := notebook.Must(strconv.Atoi("8080")) // an error ends the cell
	notebook.Check(ctx.Err())
	notebook.Checkpoint(port > 1024, "port %d is for root alone: take one above 1024", port)
	// Output:
	// ✓ *Checkpoint passed.*
}

func ExampleEvery() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	looks := 0
	for range notebook.Every(ctx, time.Millisecond) {
		if looks++; looks == 3 {
			cancel()
		}
	}
	fmt.Println(looks, "looks, then", ctx.Err())
	// Output: 3 looks, then context canceled
}

func ExampleTable() {
	table := notebook.Table{{"technique", "events"}}
	table.Add("T1046 Network Service Discovery", human.Count(12000))
	table.Add("T1571 Non-Standard Port", 72)
	for _, row := range table {
		fmt.Println(row)
	}
	// Output:
	// [technique events]
	// [T1046 Network Service Discovery 12,000]
	// [T1571 Non-Standard Port 72]
}

package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// The loop is the same in the notebook's cell, in the worker and in the
// benchmark: what a student reads is what runs.
func TestTheLoopIsOne(t *testing.T) {
	const want = `func(ctx context.Context, batch *event.Batch) error { // kafka.consume
	classifier.Classify(ctx, batch) // classification
	return sinks.Append(ctx, batch) // storage.write
})`
	notebook, err := os.ReadFile("../../notebooks/1. Mittre classification/Consumer_Classifier.ipynb")
	if err != nil {
		t.Fatal(err)
	}
	var cells struct{ Cells []struct{ Source []string } }
	if err := json.Unmarshal(notebook, &cells); err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"Consumer_Classifier.ipynb": ""}
	for _, cell := range cells.Cells {
		texts["Consumer_Classifier.ipynb"] += strings.Join(cell.Source, "") + "\n"
	}
	for _, file := range []string{"classify.go", "pipeline_bench_test.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
	}
	for file, text := range texts {
		var loops []string
		for _, after := range strings.Split(text, "// kafka.consume\n")[1:] {
			steps, _, _ := strings.Cut(after, "})")
			loops = append(loops, steps)
		}
		_, steps, _ := strings.Cut(want, "// kafka.consume\n")
		if len(loops) != 1 || squeezed(loops[0]) != squeezed(strings.TrimSuffix(steps, "})")) {
			t.Errorf("%s: the loop is %q, want\n%s", file, loops, want)
		}
	}
}

// squeezed is text without indentation.
func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

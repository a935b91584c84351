package stats

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"soclab/pkg/event"
)

// The columns of classified_packets.csv that statistics are made of.
const (
	columnTime = iota
	columnID
	columnSource
	columnCreated
	columnIngested
	columnClass
	columnRule
	columnLevel
	columnMatches
	columnTactic
	columnTacticName
	columnTechnique
	columnTechniqueName
	columnPartition
	columnOffset
)

var classifiedColumns = []string{
	columnTime:          event.FieldTimestamp.Name(),
	columnID:            event.FieldID.Name(),
	columnSource:        event.FieldSourceIP.Name(),
	columnCreated:       "event.created",
	columnIngested:      "event.ingested",
	columnClass:         "class",
	columnRule:          "rule.id",
	columnLevel:         "rule.level",
	columnMatches:       "rule.matches",
	columnTactic:        "threat.tactic.id",
	columnTacticName:    "threat.tactic.name",
	columnTechnique:     "threat.technique.id",
	columnTechniqueName: "threat.technique.name",
	columnPartition:     "kafka.partition",
	columnOffset:        "kafka.offset",
}

// row is one classified event. Its strings are cells of the read buffer, still
// escaped, and valid only during the visit.
type row struct {
	cells     []string
	time      time.Time // of the event
	partition int
	offset    int64
}

func (r *row) id() string     { return r.cells[columnID] }
func (r *row) source() string { return r.cells[columnSource] }
func (r *row) benign() bool   { return r.cells[columnClass] == event.Benign }

// latency is the time from Kafka's record time until the row was written; ok
// is false where one of them is not known.
func (r *row) latency() (d time.Duration, ok bool, err error) {
	if r.cells[columnCreated] == "" || r.cells[columnIngested] == "" {
		return 0, false, nil
	}
	created, err := r.parseTime(columnCreated)
	if err != nil {
		return 0, false, err
	}
	ingested, err := r.parseTime(columnIngested)
	return ingested.Sub(created), true, err
}

func (r *row) parse() (err error) {
	if r.time, err = r.parseTime(columnTime); err != nil {
		return err
	}
	for _, column := range []int{columnID, columnClass} {
		if r.cells[column] == "" {
			return fmt.Errorf("%s: want a value", classifiedColumns[column])
		}
	}
	partition, err := r.parseNumber(columnPartition, math.MaxInt32)
	if err != nil {
		return err
	}
	r.partition = int(partition)
	r.offset, err = r.parseNumber(columnOffset, math.MaxInt64-1)
	return err
}

func (r *row) parseTime(column int) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, r.cells[column])
	if err != nil {
		return t, fmt.Errorf("%s: %.80q: want an RFC 3339 time", classifiedColumns[column], r.cells[column])
	}
	return t, nil
}

func (r *row) parseNumber(column int, most int64) (int64, error) {
	n, err := strconv.ParseInt(r.cells[column], 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s: %.80q: want a whole number from 0 to %d", classifiedColumns[column], r.cells[column], most)
	}
	return n, nil
}

// passedOver counts what eachRow did not visit.
type passedOver struct {
	duplicates int // rows of a (partition, offset) that was visited already
	torn       int // files whose last line is not complete
}

// eachRow visits every (partition, offset) of the files once, file by file, in
// the order of the rows.
func eachRow(ctx context.Context, files []string, visit func(*row) error) (passedOver, error) {
	var passed passedOver
	if len(files) == 0 {
		return passed, errors.New("no file of classified events given")
	}
	seen := make(map[int]*offsets)
	var r row
	visitOnce := func(cells []string) error {
		r.cells = cells
		if err := r.parse(); err != nil {
			return err
		}
		of := seen[r.partition]
		if of == nil {
			of = new(offsets)
			seen[r.partition] = of
		}
		if !of.add(r.offset) {
			passed.duplicates++
			return nil
		}
		return visit(&r)
	}
	for _, name := range files {
		torn, err := readFile(ctx, name, classifiedColumns, visitOnce)
		if err != nil {
			return passed, err
		}
		if torn {
			passed.torn++
		}
	}
	return passed, nil
}

func readFile(ctx context.Context, name string, columns []string, visit func(cells []string) error) (torn bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return readTable(ctx, name, f, columns, visit)
}

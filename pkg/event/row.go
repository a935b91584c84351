package event

import (
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"
)

// Row is a classified event: a row of classified_packets.csv, and what is
// published to events.classified.
type Row struct {
	*Record             // with its verdict
	Partition int       // of the topic
	Ingested  time.Time // when the row was written
	TraceID   string    // 32 hexadecimal digits, empty where the event was not traced
}

// Column is one column of a row: a [Field] of its event, or one of those below.
type Column uint8

// The columns that a row has beside the fields of its event.
const (
	ColumnCreated       Column = Column(FieldCount) + iota // event.created: the record's time
	ColumnIngested                                         // event.ingested
	ColumnClass                                            // class
	ColumnRuleID                                           // rule.id
	ColumnRuleLevel                                        // rule.level
	ColumnMatches                                          // rule.matches, separated by semicolons
	ColumnTacticID                                         // threat.tactic.id
	ColumnTacticName                                       // threat.tactic.name
	ColumnTechniqueID                                      // threat.technique.id
	ColumnTechniqueName                                    // threat.technique.name
	ColumnTraceID                                          // trace.id
	ColumnPartition                                        // kafka.partition
	ColumnOffset                                           // kafka.offset
	ColumnCount                                            // how many there are; no column itself
)

// columns is all that is known of the columns beside the event's fields: from
// here come the header of classified_packets.csv and its reader, the messages
// of events.classified, and the attributes of classification spans.
var columns = [ColumnCount]column{
	ColumnCreated:       instant("event.created", func(r *Row) *time.Time { return &r.Time }),
	ColumnIngested:      instant("event.ingested", func(r *Row) *time.Time { return &r.Ingested }),
	ColumnClass:         judgement("class", func(v *Verdict) *string { return &v.Class }),
	ColumnRuleID:        judgement("rule.id", func(v *Verdict) *string { return &v.RuleID }),
	ColumnRuleLevel:     judgement("rule.level", func(v *Verdict) *string { return &v.RuleLevel }),
	ColumnMatches:       matches("rule.matches"),
	ColumnTacticID:      judgement("threat.tactic.id", func(v *Verdict) *string { return &v.Tactic.ID }),
	ColumnTacticName:    judgement("threat.tactic.name", func(v *Verdict) *string { return &v.Tactic.Name }),
	ColumnTechniqueID:   judgement("threat.technique.id", func(v *Verdict) *string { return &v.Technique.ID }),
	ColumnTechniqueName: judgement("threat.technique.name", func(v *Verdict) *string { return &v.Technique.Name }),
	ColumnTraceID: {
		name:  "trace.id",
		text:  func(r *Row) string { return r.TraceID },
		parse: func(text string, r *Row) error { r.TraceID = text; return nil },
	},
	ColumnPartition: number("kafka.partition", math.MaxInt32,
		func(r *Row) int64 { return int64(r.Partition) }, func(r *Row, n int64) { r.Partition = int(n) }),
	ColumnOffset: number("kafka.offset", math.MaxInt64-1,
		func(r *Row) int64 { return r.Offset }, func(r *Row, n int64) { r.Offset = n }),
}

type column struct {
	name   string
	text   func(*Row) string               // of a column of text, empty where absent
	append func(dst []byte, r *Row) []byte // of any other: its value, which needs no quotes in CSV
	parse  func(text string, r *Row) error
	// ofVerdict columns depend on the verdict alone. They and event.created are
	// known before the row is written, and are published.
	ofVerdict bool
}

func judgement(name string, at func(*Verdict) *string) column {
	return column{
		name: name, ofVerdict: true,
		text:  func(r *Row) string { return *at(r.Verdict) },
		parse: func(text string, r *Row) error { *at(r.Verdict) = text; return nil },
	}
}

func matches(name string) column {
	const separator = ";"
	return column{
		name: name, ofVerdict: true,
		text:  func(r *Row) string { return strings.Join(r.Verdict.Matches, separator) },
		parse: func(text string, r *Row) error { r.Verdict.Matches = strings.Split(text, separator); return nil },
	}
}

func instant(name string, at func(*Row) *time.Time) column {
	return column{
		name: name,
		append: func(dst []byte, r *Row) []byte {
			if at(r).IsZero() { // a record without a time
				return dst
			}
			return appendTime(dst, *at(r))
		},
		parse: func(text string, r *Row) (err error) {
			if *at(r), err = time.Parse(time.RFC3339Nano, text); err != nil {
				err = fieldError(name, text, "an RFC 3339 time")
			}
			return err
		},
	}
}

func number(name string, most int64, get func(*Row) int64, set func(*Row, int64)) column {
	return column{
		name:   name,
		append: func(dst []byte, r *Row) []byte { return strconv.AppendInt(dst, get(r), 10) },
		parse: func(text string, r *Row) error {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 0 || n > most {
				return fieldError(name, text, fmt.Sprintf("a whole number from 0 to %d", most))
			}
			set(r, n)
			return nil
		},
	}
}

// Name is the column's name in files and messages.
func (c Column) Name() string {
	if c < Column(FieldCount) {
		return Field(c).Name()
	}
	return columns[c].name
}

// Parse sets what the column stands for to what a cell says, which must not be
// empty.
func (c Column) Parse(cell string, r *Row) error {
	if c < Column(FieldCount) {
		return Field(c).Parse(&r.Event, cell)
	}
	return columns[c].parse(cell, r)
}

// RowColumns lists the names of all columns in the order of the file.
func RowColumns() []string {
	names := make([]string, ColumnCount)
	for c := range ColumnCount {
		names[c] = c.Name()
	}
	return names
}

// Attributes yields the columns that a verdict fills, by name.
func (v *Verdict) Attributes() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		r := Row{Record: &Record{Verdict: v}}
		for c := range columns {
			if d := &columns[c]; d.ofVerdict {
				if text := d.text(&r); text != "" && !yield(d.name, text) {
					return
				}
			}
		}
	}
}

// RowEncoder writes rows as CSV and as JSON. The zero value is ready for use by
// one goroutine. It keeps what many rows share: the cells of their verdicts.
type RowEncoder struct {
	cells, members map[*Verdict][]byte
}

// AppendCSV appends a row without line end, in the order of [RowColumns].
func (e *RowEncoder) AppendCSV(dst []byte, r *Row) []byte {
	dst = AppendCSV(dst, &r.Event)
	for c := ColumnCreated; c < ColumnCount; c++ {
		switch d := &columns[c]; {
		case c == ColumnClass:
			dst = append(dst, shared(&e.cells, r, appendCells)...)
		case d.ofVerdict: // among those above
		case d.text != nil:
			dst = AppendCell(append(dst, ','), d.text(r))
		default:
			dst = d.append(append(dst, ','), r)
		}
	}
	return dst
}

func appendCells(dst []byte, r *Row) []byte {
	for c := range columns {
		if d := &columns[c]; d.ofVerdict {
			dst = AppendCell(append(dst, ','), d.text(r))
		}
	}
	return dst
}

// AppendJSON appends a row as one flat JSON object, the form of the topic
// events.classified: what is known before the row is stored.
func (e *RowEncoder) AppendJSON(dst []byte, r *Row) []byte {
	dst = appendMembers(dst, &r.Event)
	if created := &columns[ColumnCreated]; !r.Time.IsZero() {
		dst = append(appendKey(dst, created.name), '"')
		dst = append(created.append(dst, r), '"')
	}
	dst = append(dst, shared(&e.members, r, appendVerdict)...)
	return append(dst, '}')
}

func appendVerdict(dst []byte, r *Row) []byte {
	for name, value := range r.Verdict.Attributes() {
		dst = appendMember(dst, name, value)
	}
	return dst
}

// shared is what encode makes of a row's verdict, made once for each.
func shared(kept *map[*Verdict][]byte, r *Row, encode func([]byte, *Row) []byte) []byte {
	if encoded, ok := (*kept)[r.Verdict]; ok {
		return encoded
	}
	const most = 10_000 // a classifier that does not share its verdicts must not fill the memory
	if *kept == nil || len(*kept) == most {
		*kept = make(map[*Verdict][]byte)
	}
	encoded := encode(nil, r)
	(*kept)[r.Verdict] = encoded
	return encoded
}

package sensor

import (
	"strings"

	"soclab/pkg/event"
)

// raw is raw_packets.csv, known by the names in its header.
type raw struct {
	header  string
	columns event.Columns
}

func isRaw(begin string) bool {
	return strings.Contains(begin, event.FieldTimestamp.Name()) && begin[0] != '{'
}

func newRaw() decoder { return &raw{} }

func (r *raw) format() string { return "raw_packets.csv" }

func (r *raw) decode(row string, e *event.Event) (held bool, err error) {
	switch r.header {
	case "":
		r.header = row
		r.columns, err = event.ParseHeader(row)
		return false, err
	case row: // files that were joined
		return false, nil
	}
	return true, r.columns.Decode(row, e)
}

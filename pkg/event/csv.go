package event

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Header is the first row of a CSV file of events: the fields' names.
func Header() string { return strings.Join(RowColumns()[:FieldCount], ",") }

// AppendCSV appends e as the cells of one CSV row in the order of [Header],
// without line end. Absent fields are empty cells.
func AppendCSV(dst []byte, e *Event) []byte {
	for f := range FieldCount {
		if f > 0 {
			dst = append(dst, ',')
		}
		if d := &fields[f]; d.kind == KindText {
			dst = AppendCell(dst, *d.text(e))
		} else {
			dst = f.Append(dst, e)
		}
	}
	return dst
}

func appendInt(dst []byte, n Int) []byte {
	if !n.Known {
		return dst
	}
	return strconv.AppendInt(dst, n.Value, 10)
}

// AppendCell appends text as one CSV cell (RFC 4180) that keeps its row on one
// line and is safe to open in a spreadsheet: line breaks, tabs and other
// control characters are written as \n, \r, \t and \uXXXX (a backslash that
// would read as one of these is doubled), and what would run as a formula gets
// an apostrophe in front, also after a semicolon or a bar, at which some
// spreadsheets split (OWASP, CSV Injection). [Unescape] undoes both.
func AppendCell(dst []byte, text string) []byte {
	if text == "" {
		return dst
	}
	plain := !suspect(text)
	for i := 0; i < len(text) && plain; i++ {
		c := text[i]
		plain = c >= ' ' && c < 0x7f && c != '"' && c != ',' && c != '\\' && (!separator(c) || !suspect(text[i+1:]))
	}
	if plain {
		return append(dst, text...)
	}
	quoted := strings.ContainsAny(text, `",`)
	if quoted {
		dst = append(dst, '"')
	}
	if armed(text) {
		dst = append(dst, '\'')
	}
	for i, r := range text {
		switch {
		case r == '"':
			dst = append(dst, '"', '"')
		case r == '\\' && ambiguous(text[i+1:]):
			dst = append(dst, '\\', '\\')
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case control(r):
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = utf8.AppendRune(dst, r)
			if r < utf8.RuneSelf && separator(byte(r)) && armed(text[i+1:]) {
				dst = append(dst, '\'')
			}
		}
	}
	if quoted {
		dst = append(dst, '"')
	}
	return dst
}

// separator reports whether some spreadsheets take c for the end of a cell. The
// comma is quoted, and a tab escaped.
func separator(c byte) bool { return c == ';' || c == '|' }

// suspect reports whether ASCII text may need an apostrophe in front.
func suspect(text string) bool { return text != "" && strings.IndexByte("'=+-@", text[0]) >= 0 }

// armed reports whether text needs one more apostrophe in front: behind
// apostrophes and blanks that do not show, it begins as formulas do, in ASCII
// or full width.
func armed(text string) bool {
	rest := strings.TrimLeft(text, "'\u00a0\u200b\ufeff")
	first, _ := utf8.DecodeRuneInString(rest)
	return rest != "" && strings.ContainsRune("=+-@\uff1d\uff0b\uff0d\uff20", first)
}

// escape reports whether a backslash before rest begins an escape.
func escape(rest string) bool {
	return rest != "" && strings.IndexByte(`\nrtu`, rest[0]) >= 0
}

// ambiguous reports whether a backslash written as it is before rest would
// read as the begin of an escape.
func ambiguous(rest string) bool {
	next, _ := utf8.DecodeRuneInString(rest)
	return escape(rest) || control(next)
}

// control reports whether r is written as an escape.
func control(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// Unescape returns the text that [AppendCell] wrote as cell, after [SplitRow].
func Unescape(cell string) string {
	if strings.HasPrefix(cell, "'") && armed(cell) {
		cell = cell[1:]
	}
	if strings.IndexByte(cell, '\\') < 0 && !strings.Contains(cell, ";'") && !strings.Contains(cell, "|'") {
		return cell
	}
	var text strings.Builder
	for i := 0; i < len(cell); i++ {
		switch {
		case cell[i] == '\'' && i > 0 && separator(cell[i-1]) && armed(cell[i:]): // it was put there
		case cell[i] != '\\' || !escape(cell[i+1:]):
			text.WriteByte(cell[i])
		default:
			i += unescape(&text, cell[i+1:])
		}
	}
	return text.String()
}

// unescape writes what stands for an escape, whose backslash is before rest,
// and returns how many bytes of rest it takes.
func unescape(text *strings.Builder, rest string) int {
	switch rest[0] {
	case 'n':
		text.WriteByte('\n')
	case 'r':
		text.WriteByte('\r')
	case 't':
		text.WriteByte('\t')
	case 'u':
		if r, err := strconv.ParseUint(rest[1:min(5, len(rest))], 16, 16); err == nil && len(rest) >= 5 {
			text.WriteRune(rune(r))
			return 5
		}
		text.WriteString(`\u`)
	default:
		text.WriteByte(rest[0])
	}
	return 1
}

// SplitRow appends the cells of one CSV row to cells[:0]. Quotes are removed,
// escapes are left to [Unescape]. The cells are substrings of row, so with
// enough room in cells it allocates only for cells with doubled quotes.
func SplitRow(row string, cells []string) ([]string, error) {
	cells = cells[:0]
	row = strings.TrimSuffix(row, "\r")
	quotes := strings.IndexByte(row, '"') >= 0
	for {
		if row == "" || row[0] != '"' {
			end := strings.IndexByte(row, ',')
			cell := row
			if end >= 0 {
				cell = row[:end]
			}
			if quotes && strings.IndexByte(cell, '"') >= 0 {
				return cells, fmt.Errorf("column %d: %.40q: want quotes around the whole cell or none", len(cells)+1, cell)
			}
			cells = append(cells, cell)
			if end < 0 {
				return cells, nil
			}
			row = row[end+1:]
			continue
		}
		end := closingQuote(row)
		if end < 0 {
			return cells, fmt.Errorf("column %d: %.40q: want a closing quote", len(cells)+1, row)
		}
		cell := row[1:end]
		if strings.IndexByte(cell, '"') >= 0 {
			cell = strings.ReplaceAll(cell, `""`, `"`)
		}
		cells = append(cells, cell)
		row = row[end+1:]
		if row == "" {
			return cells, nil
		}
		if row[0] != ',' {
			return cells, fmt.Errorf("column %d: %.40q: want a comma after the closing quote", len(cells), row)
		}
		row = row[1:]
	}
}

// closingQuote finds the quote that ends the cell which row begins with.
func closingQuote(row string) int {
	for i := 1; i < len(row); i++ {
		if row[i] != '"' {
			continue
		}
		if i+1 == len(row) || row[i+1] != '"' {
			return i
		}
		i++
	}
	return -1
}

// Columns tells which column of a CSV file holds what.
type Columns struct {
	columns []Column         // by place in a row; ColumnCount for one that is not known
	places  [ColumnCount]int // by column: its place in a row, counted from 1; 0 where the file has none
}

// ParseHeader reads the header row of a CSV file of events, classified or not.
// The columns may stand in any order and others may stand between them;
// @timestamp, event.id and those needed must be there. A name that differs from
// a field's in case or blanks alone is refused.
func ParseHeader(row string, needed ...Column) (Columns, error) {
	names, err := SplitRow(strings.TrimPrefix(row, "\ufeff"), nil)
	if err != nil {
		return Columns{}, fmt.Errorf("header: %w", err)
	}
	var c Columns
	for i, name := range names {
		column := columnNamed(name)
		if column == ColumnCount {
			err = checkSpelling(name)
		} else if c.places[column] > 0 {
			err = fmt.Errorf("%q: want each column once", name)
		} else {
			c.places[column] = i + 1
		}
		if err != nil {
			return Columns{}, fmt.Errorf("header: %w", err)
		}
		c.columns = append(c.columns, column)
	}
	for _, column := range append([]Column{Column(FieldTimestamp), Column(FieldID)}, needed...) {
		if c.places[column] == 0 {
			return Columns{}, fmt.Errorf("header: want a column %s", column.Name())
		}
	}
	return c, nil
}

func columnNamed(name string) Column {
	if f := fieldNamed(name); f < FieldCount {
		return Column(f)
	}
	for c := range columns {
		if columns[c].name == name && name != "" {
			return Column(c)
		}
	}
	return ColumnCount
}

// Split splits a row as [SplitRow] does, and checks its width.
func (c *Columns) Split(row string, cells []string) ([]string, error) {
	cells, err := SplitRow(row, cells)
	if err == nil && len(cells) != len(c.columns) {
		err = fmt.Errorf("row of %d cells: want %d as in the header", len(cells), len(c.columns))
	}
	return cells, err
}

// Cell is the cell of a column in a row that was split, still escaped; empty
// where the file has no such column.
func (c *Columns) Cell(cells []string, column Column) string {
	if place := c.places[column]; place > 0 {
		return cells[place-1]
	}
	return ""
}

// Decode reads one row into e, which it overwrites; it refuses what
// [DecodeJSON] refuses, and a row of another width than the header's.
func (c *Columns) Decode(row string, e *Event) error {
	var room [2 * ColumnCount]string
	cells, err := c.Split(row, room[:])
	if err != nil {
		return err
	}
	return c.decodeEvent(cells, e)
}

func (c *Columns) decodeEvent(cells []string, e *Event) (err error) {
	*e = Event{}
	for i, column := range c.columns {
		cell := cells[i]
		if column >= Column(FieldCount) || cell == "" {
			continue
		}
		f := Field(column)
		if fields[f].kind == KindText {
			cell = Unescape(cell)
		}
		if err := f.Parse(e, cell); err != nil {
			return err
		}
	}
	return finish(e)
}

// DecodeRow reads the row of a classified event into r, which it overwrites.
func (c *Columns) DecodeRow(row string, r *Row) error {
	*r = Row{Record: &Record{Verdict: new(Verdict)}}
	var room [2 * ColumnCount]string
	cells, err := c.Split(row, room[:])
	if err != nil {
		return err
	}
	if err := c.decodeEvent(cells, &r.Event); err != nil {
		return err
	}
	for column := ColumnCreated; column < ColumnCount; column++ {
		if cell := c.Cell(cells, column); cell != "" {
			if err := column.Parse(Unescape(cell), r); err != nil {
				return err
			}
		}
	}
	return nil
}

// JoinRow appends cells that [SplitRow] has split as a row again.
func JoinRow(dst []byte, cells []string) []byte {
	for i, cell := range cells {
		if i > 0 {
			dst = append(dst, ',')
		}
		if strings.ContainsAny(cell, `",`) {
			cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		}
		dst = append(dst, cell...)
	}
	return dst
}

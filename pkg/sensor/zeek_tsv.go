package sensor

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"soclab/pkg/event"
)

// zeekTSV reads Zeek's own format: rows below header lines that say how the
// rows are to be read, and that come again where logs were joined.
type zeekTSV struct {
	separator, setSeparator, empty, unset string
	log                                   *zeekLog
	columns                               []int // the log's field in each column, -1 where it is passed over; nil before #fields
}

var zeekDefaults = zeekTSV{separator: "\t", setSeparator: ",", empty: "(empty)", unset: "-"}

// isZeekTSV knows the format by a header line.
func isZeekTSV(begin string) bool {
	headers := []string{"#separator", "#set_separator", "#empty_field", "#unset_field", "#path", "#open", "#fields"}
	return slices.ContainsFunc(headers, func(key string) bool { return strings.HasPrefix(begin, key) })
}

func newZeekTSV() decoder {
	z := zeekDefaults
	return &z
}

func (z *zeekTSV) format() string { return z.log.format("TSV") }

func (z *zeekTSV) decode(line string, e *event.Event) (bool, error) {
	if line[0] == '#' {
		return false, z.header(line[1:])
	}
	if z.columns == nil {
		return false, errors.New("a row before the columns are known: want a #fields line above it")
	}
	record := z.log.record(e)
	escaped := strings.Contains(line, `\x`)
	width := 0
	for text := range strings.SplitSeq(line, z.separator) {
		width++
		if width > len(z.columns) {
			continue
		}
		column := z.columns[width-1]
		if column < 0 || text == z.unset || text == z.empty {
			continue
		}
		if z.setSeparator != "," && z.log.fields[column].list {
			text = strings.ReplaceAll(text, z.setSeparator, ",")
		}
		if escaped {
			text = unescape(text)
		}
		if err := record.put(column, text); err != nil {
			return false, err
		}
	}
	if width != len(z.columns) {
		return false, fmt.Errorf("row of %d columns: want %d as in #fields", width, len(z.columns))
	}
	return true, record.end()
}

func (z *zeekTSV) header(line string) error {
	if separator, ok := strings.CutPrefix(line, "separator "); ok {
		s := unescape(separator) // written as \x09
		if s == "" {
			return fmt.Errorf("#separator %.40q: want a character such as \\x09", separator)
		}
		*z = zeekDefaults // another log begins
		z.separator = s
		return nil
	}
	key, value, _ := strings.Cut(line, z.separator)
	switch key {
	case "set_separator":
		if value != "" {
			z.setSeparator = value
		}
	case "empty_field":
		z.empty = value
	case "unset_field":
		z.unset = value
	case "path":
		log, err := zeekLogAt(value)
		z.log, z.columns = log, nil
		return err
	case "fields":
		return z.fields(strings.Split(value, z.separator))
	}
	return nil // #types, #open, #close: nothing that an event depends on
}

func (z *zeekTSV) fields(names []string) error {
	for i := 0; z.log == nil && i < len(names); i++ {
		z.log = zeekLogWith(names[i])
	}
	if z.log == nil {
		return fmt.Errorf("#fields %.80q: want those of %s", strings.Join(names, " "), zeekNames())
	}
	columns, seen := make([]int, len(names)), uint64(0)
	for i, name := range names {
		field, err := z.log.field(name, 0)
		if err != nil {
			return fmt.Errorf("#fields: %w", err)
		}
		columns[i] = field
		if field < 0 {
			continue
		}
		if seen&(1<<field) != 0 {
			return fmt.Errorf("#fields: %q: want each column once", name)
		}
		seen |= 1 << field
	}
	for i, field := range z.log.fields {
		if field.required && seen&(1<<i) == 0 {
			return fmt.Errorf("#fields: want a column %s", field.name)
		}
	}
	z.columns = columns
	return nil
}

// unescape undoes Zeek's escapes of single bytes, such as \x2c
// (src/Desc.cc, ODesc::AddBytes). Where the bytes are no UTF-8, the text stays
// as Zeek wrote it.
func unescape(text string) string {
	if !strings.Contains(text, `\x`) {
		return text
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], `\x`) && i+4 <= len(text) {
			if c, err := strconv.ParseUint(text[i+2:i+4], 16, 8); err == nil {
				plain = append(plain, byte(c))
				i += 3
				continue
			}
		}
		plain = append(plain, text[i])
	}
	if !utf8.Valid(plain) {
		return text
	}
	return string(plain)
}

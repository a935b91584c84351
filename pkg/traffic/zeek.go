package traffic

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"soclab/pkg/event"
)

// What every event of a conn.log has.
const (
	zeekConnDataset  = "zeek.conn"
	networkCategory  = "network"
	connectionAction = "connection"
)

// connField is a field of Zeek's conn.log (base/protocols/conn/main.zeek,
// record Conn::Info) and where an event keeps it.
type connField struct {
	name string
	want string
	set  func(e *event.Event, text string) bool // false where text is not as wanted
}

const (
	wantCount   = "a whole number from 0"
	wantPort    = "a whole number from 0 to 65535"
	wantAddress = "an IPv4 or IPv6 address"
	wantText    = "text in UTF-8"
)

// connFields are the fields that events keep; the others of a log (history,
// tunnel_parents, labels of data sets) are passed over. For ICMP, Zeek keeps
// type and code as the ports, and so do the events.
var connFields = []connField{
	{"ts", "seconds since 1970 or an RFC 3339 time, from 1970 to 2100", setTime},
	{"uid", wantText, text(func(e *event.Event) *string { return &e.ID })},
	{"id.orig_h", wantAddress, address(func(e *event.Event) *netip.Addr { return &e.Source.IP })},
	{"id.orig_p", wantPort, count(math.MaxUint16, func(e *event.Event) *event.Int { return &e.Source.Port })},
	{"id.resp_h", wantAddress, address(func(e *event.Event) *netip.Addr { return &e.Destination.IP })},
	{"id.resp_p", wantPort, count(math.MaxUint16, func(e *event.Event) *event.Int { return &e.Destination.Port })},
	{"proto", wantText, text(func(e *event.Event) *string { return &e.Transport })},
	{"service", wantText, text(func(e *event.Event) *string { return &e.Protocol })},
	{"duration", "seconds from 0", setDuration},
	{"orig_bytes", wantCount, count(math.MaxInt64, func(e *event.Event) *event.Int { return &e.Source.Bytes })},
	{"resp_bytes", wantCount, count(math.MaxInt64, func(e *event.Event) *event.Int { return &e.Destination.Bytes })},
	{"conn_state", wantText, text(func(e *event.Event) *string { return &e.ConnState })},
	{"orig_pkts", wantCount, count(math.MaxInt64, func(e *event.Event) *event.Int { return &e.Source.Packets })},
	{"resp_pkts", wantCount, count(math.MaxInt64, func(e *event.Event) *event.Int { return &e.Destination.Packets })},
}

func connFieldNamed(name string) *connField {
	for i := range connFields {
		if connFields[i].name == name {
			return &connFields[i]
		}
	}
	return nil
}

func (f *connField) read(e *event.Event, text string) error {
	if !f.set(e, text) {
		return &event.FieldError{Field: f.name, Value: text, Want: f.want}
	}
	return nil
}

// connOnly tells a field that only a conn.log has, among Zeek's logs.
func connOnly(name string) bool {
	switch name {
	case "conn_state", "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts", "missed_bytes", "local_orig":
		return true
	}
	return false
}

// beginConn makes e an event of a conn.log without values.
func beginConn(e *event.Event) {
	*e = event.Event{Dataset: zeekConnDataset, Category: networkCategory, Action: connectionAction}
}

// endConn checks that e has what an event must have.
func endConn(e *event.Event) error {
	switch {
	case e.Timestamp.IsZero():
		return &event.FieldError{Field: "ts", Want: "a time in every row"}
	case e.ID == "":
		return &event.FieldError{Field: "uid", Want: "a unique id in every row"}
	}
	return nil
}

// otherLog refuses a Zeek log that is no conn.log.
func otherLog(name string) error {
	return fmt.Errorf("found Zeek's %s.log: want its conn.log", name)
}

func text(at func(*event.Event) *string) func(*event.Event, string) bool {
	return func(e *event.Event, s string) bool {
		*at(e) = s
		return utf8.ValidString(s)
	}
}

func address(at func(*event.Event) *netip.Addr) func(*event.Event, string) bool {
	return func(e *event.Event, s string) bool {
		a, err := netip.ParseAddr(s)
		*at(e) = a.Unmap()
		return err == nil && a.Zone() == ""
	}
}

func count(most int64, at func(*event.Event) *event.Int) func(*event.Event, string) bool {
	return func(e *event.Event, s string) bool {
		n, err := strconv.ParseUint(s, 10, 63)
		*at(e) = event.Known(int64(n))
		return err == nil && int64(n) <= most
	}
}

var lastSecond = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC).Unix() // exclusive

// setTime reads the forms that Zeek writes times in: seconds with decimals
// (TSV and JSON::TS_EPOCH), whole milliseconds (JSON::TS_MILLIS, told by being
// far beyond 2100 as seconds) and ISO 8601 (JSON::TS_ISO8601).
func setTime(e *event.Event, s string) bool {
	if strings.Contains(s, "T") {
		if e.Timestamp.UnmarshalText([]byte(s)) != nil {
			return false
		}
		e.Timestamp = e.Timestamp.UTC()
	} else if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms >= 100e9 {
		e.Timestamp = time.UnixMilli(ms).UTC()
	} else {
		ns, ok := parseSeconds(s)
		if !ok {
			return false
		}
		e.Timestamp = time.Unix(0, ns).UTC()
	}
	second := e.Timestamp.Unix()
	return 0 <= second && second < lastSecond
}

// setDuration leaves out a duration below zero: Zeek computes one where packets
// were captured out of order, and it says nothing.
func setDuration(e *event.Event, s string) bool {
	ns, ok := parseSeconds(s)
	if ok && ns >= 0 {
		e.Duration = event.Known(ns)
	}
	return ok
}

// parseSeconds turns decimal seconds, such as 12.5 or 9.5e-07, into
// nanoseconds: exactly, where a float would lose digits; what is below a
// nanosecond is rounded.
func parseSeconds(s string) (int64, bool) {
	negative := strings.HasPrefix(s, "-")
	mantissa, scale, ok := strings.TrimPrefix(s, "-"), 9, true
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		exponent, err := strconv.Atoi(mantissa[i+1:])
		if err != nil || exponent < -99 || exponent > 99 {
			return 0, false
		}
		scale += exponent
		mantissa = mantissa[:i]
	}
	whole, decimals, point := strings.Cut(mantissa, ".")
	if whole == "" || point && decimals == "" {
		return 0, false
	}
	scale -= len(decimals)
	ns, dropped, up := uint64(0), false, false
	for _, digits := range [...]string{whole, decimals} {
		for _, c := range []byte(digits) {
			if c < '0' || c > '9' {
				return 0, false
			}
			if ns > math.MaxUint64/10-1 { // enough digits: the rest is below a nanosecond, or too much
				if !dropped {
					dropped, up = true, c >= '5'
				}
				scale++
				continue
			}
			ns = ns*10 + uint64(c-'0')
		}
	}
	for ; scale > 0 && ns > 0 && ok; scale-- {
		ns, ok = ns*10, ns <= math.MaxInt64/10
	}
	for ; scale < -1 && ns > 0; scale++ {
		ns /= 10
	}
	switch {
	case scale == -1:
		ns = ns/10 + ns%10/5
	case up && scale == 0:
		ns++
	}
	if !ok || ns > math.MaxInt64 {
		return 0, false
	}
	if negative {
		return -int64(ns), true
	}
	return int64(ns), true
}

// zeekTSV reads Zeek's own format: rows below header lines that say how the
// rows are to be read, and that may come again where logs were joined.
type zeekTSV struct {
	separator, empty, unset string
	columns                 []*connField // nil for a column that is passed over
}

// sniffZeekTSV knows the format by a header line.
func sniffZeekTSV(line string) (decoder, error) {
	known := []string{"#separator", "#set_separator", "#empty_field", "#unset_field", "#path", "#open", "#fields"}
	if !slices.ContainsFunc(known, func(key string) bool { return strings.HasPrefix(line, key) }) {
		return nil, nil
	}
	z := &zeekTSV{separator: "\t", empty: "(empty)", unset: "-"}
	return z.decode, nil
}

func (z *zeekTSV) decode(line string, e *event.Event) (bool, error) {
	if line[0] == '#' {
		return false, z.header(line[1:])
	}
	if z.columns == nil {
		return false, errors.New("a row before the columns are known: want a #fields line above it")
	}
	beginConn(e)
	width := 0
	for text := range strings.SplitSeq(line, z.separator) {
		width++
		if width > len(z.columns) {
			continue
		}
		field := z.columns[width-1]
		if field == nil || text == z.unset || text == z.empty {
			continue
		}
		if err := field.read(e, text); err != nil {
			return false, err
		}
	}
	if width != len(z.columns) {
		return false, fmt.Errorf("row of %d columns: want %d as in #fields", width, len(z.columns))
	}
	return true, endConn(e)
}

func (z *zeekTSV) header(line string) error {
	if separator, ok := strings.CutPrefix(line, "separator "); ok {
		s, err := strconv.Unquote(`"` + separator + `"`) // written as \x09
		if err != nil || s == "" {
			return fmt.Errorf("#separator %q: want a character such as \\x09", separator)
		}
		z.separator = s
		return nil
	}
	key, value, _ := strings.Cut(line, z.separator)
	switch key {
	case "empty_field":
		z.empty = value
	case "unset_field":
		z.unset = value
	case "path":
		if value != "conn" {
			return otherLog(value)
		}
	case "fields":
		return z.fields(strings.Split(value, z.separator))
	}
	return nil // #set_separator, #types, #open, #close: nothing that a flow's fields depend on
}

func (z *zeekTSV) fields(names []string) error {
	for _, needed := range []string{"ts", "uid"} {
		if !slices.Contains(names, needed) {
			return fmt.Errorf("#fields %s: want a column %s", strings.Join(names, " "), needed)
		}
	}
	if !slices.ContainsFunc(names, connOnly) {
		return fmt.Errorf("#fields %s: want those of a conn.log", strings.Join(names, " "))
	}
	z.columns = make([]*connField, len(names))
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("#fields: %q: want each column once", name)
		}
		z.columns[i] = connFieldNamed(name)
	}
	return nil
}

// zeekJSON reads conn.log as JSON lines, one flat object in each.
type zeekJSON struct {
	text   strings.Reader
	object *jsontext.Decoder
}

// sniffZeekJSON knows the format by the keys of its first object.
func sniffZeekJSON(line string) (decoder, error) {
	if line[0] != '{' {
		return nil, nil
	}
	z := &zeekJSON{}
	z.object = jsontext.NewDecoder(&z.text)
	return z.decode, nil
}

func (z *zeekJSON) decode(line string, e *event.Event) (bool, error) {
	z.text.Reset(line)
	z.object.Reset(&z.text)
	beginConn(e)
	if kind := z.object.PeekKind(); kind != '{' {
		return false, fmt.Errorf("%.60q: want a JSON object in each line", line)
	}
	if _, err := z.object.ReadToken(); err != nil {
		return false, err
	}
	conn := false
	for z.object.PeekKind() == '"' {
		raw, err := z.object.ReadValue()
		if err != nil {
			return false, err
		}
		key := line[z.object.InputOffset()-int64(len(raw))+1 : z.object.InputOffset()-1]
		value, err := z.object.ReadValue() // refuses a key that came before
		if err != nil {
			return false, err
		}
		conn = conn || connOnly(key)
		field := connFieldNamed(key)
		if field == nil && key != "_path" || value.Kind() == 'n' {
			continue
		}
		text := line[z.object.InputOffset()-int64(len(value)) : z.object.InputOffset()]
		if value.Kind() == '"' {
			if text, err = unquote(text); err != nil {
				return false, err
			}
		}
		if key == "_path" {
			if text != "conn" {
				return false, otherLog(text)
			}
			conn = true
			continue
		}
		if err := field.read(e, text); err != nil {
			return false, err
		}
	}
	if _, err := z.object.ReadToken(); err != nil {
		return false, fmt.Errorf("JSON: %w", err)
	}
	if _, err := z.object.ReadToken(); err != io.EOF {
		return false, fmt.Errorf("%.60q: want one JSON object in a line and nothing behind it", line)
	}
	if !conn {
		return false, notConn(line)
	}
	return true, endConn(e)
}

// notConn says what a JSON line is that has none of a conn.log's fields.
func notConn(line string) error {
	marks := []struct{ key, log string }{
		{`"trans_id"`, "dns"}, {`"auth_attempts"`, "ssh"}, {`"user_agent"`, "http"}, {`"method"`, "http"},
		{`"cipher"`, "ssl"}, {`"fuid"`, "files"}, {`"mailfrom"`, "smtp"}, {`"note"`, "notice"},
	}
	if strings.Contains(line, `"id.orig_h"`) {
		for _, m := range marks {
			if strings.Contains(line, m.key) {
				return otherLog(m.log)
			}
		}
	}
	return fmt.Errorf("found JSON without the fields of a conn.log: %.60q: want Zeek's conn.log", line)
}

// unquote returns the text of a JSON string, without an allocation where it
// has no escapes.
func unquote(literal string) (string, error) {
	if !strings.Contains(literal, `\`) {
		return literal[1 : len(literal)-1], nil
	}
	text, err := jsontext.AppendUnquote(nil, literal)
	return string(text), err
}

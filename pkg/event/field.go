package event

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Field names one field of an Event. Fields are ordered as in the CSV files.
type Field uint8

// Kind is the type of a field's value.
type Kind uint8

// The kinds of values.
const (
	KindTime Kind = iota
	KindText
	KindInteger
	KindAddress
)

type definition struct {
	name     string
	kind     Kind
	min, max int64 // of a KindInteger
	text     func(*Event) *string
	integer  func(*Event) *Int
	address  func(*Event) *netip.Addr
}

func text(name string, at func(*Event) *string) definition {
	return definition{name: name, kind: KindText, text: at}
}

func integer(name string, low, high int64, at func(*Event) *Int) definition {
	return definition{name: name, kind: KindInteger, min: low, max: high, integer: at}
}

func address(name string, at func(*Event) *netip.Addr) definition {
	return definition{name: name, kind: KindAddress, address: at}
}

func (d *definition) rangeError(value string) error {
	return fieldError(d.name, value, fmt.Sprintf("a whole number from %d to %d", d.min, d.max))
}

// Fields lists all fields in the order of the CSV columns.
func Fields() []Field {
	all := make([]Field, FieldCount)
	for i := range all {
		all[i] = Field(i)
	}
	return all
}

// FieldNamed finds a field by its exact ECS name.
func FieldNamed(name string) (Field, bool) {
	f := fieldNamed(name)
	return f, f != FieldCount
}

// MustField is FieldNamed for names that stand in code: it panics where there is
// no such field.
func MustField(name string) Field {
	f, ok := FieldNamed(name)
	if !ok {
		panic("events have no field " + name)
	}
	return f
}

// byLength holds the fields by the length of their names.
var byLength = func() (index [][]Field) {
	for f := range FieldCount {
		for len(index) <= len(fields[f].name) {
			index = append(index, nil)
		}
		index[len(fields[f].name)] = append(index[len(fields[f].name)], f)
	}
	return index
}()

// fieldNamed returns FieldCount where no field has the name.
func fieldNamed(name string) Field {
	if len(name) < len(byLength) {
		for _, f := range byLength[len(name)] {
			if fields[f].name == name {
				return f
			}
		}
	}
	return FieldCount
}

// checkSpelling refuses a name that is no field's but differs from one in case
// or blanks alone: another reader might take it for the field, and an attacker
// hide behind that.
func checkSpelling(name string) error {
	for i := range fields {
		if field := fields[i].name; strings.EqualFold(field, strings.TrimSpace(name)) {
			return fieldError(field, name, "the name in this case exactly")
		}
	}
	return nil
}

// Name is the field's ECS name.
func (f Field) Name() string { return fields[f].name }

// Kind is the type of the field's value; it tells which of Text, Int and
// Address may be called.
func (f Field) Kind() Kind { return fields[f].kind }

// Text returns the value of a field of kind KindText, empty where absent.
func (f Field) Text(e *Event) string { return *fields[f].text(e) }

// Int returns the value of a field of kind KindInteger.
func (f Field) Int(e *Event) Int { return *fields[f].integer(e) }

// Address returns the value of a field of kind KindAddress, invalid where absent.
func (f Field) Address(e *Event) netip.Addr { return *fields[f].address(e) }

// Append appends the field's value as text to dst: nothing where it is absent.
func (f Field) Append(dst []byte, e *Event) []byte {
	switch d := &fields[f]; d.kind {
	case KindTime:
		return appendTime(dst, e.Timestamp)
	case KindText:
		return append(dst, *d.text(e)...)
	case KindInteger:
		return appendInt(dst, *d.integer(e))
	default:
		return appendAddress(dst, *d.address(e))
	}
}

// Parse sets the field to what [Field.Append] writes as text, which must not be
// empty. It refuses what [Event.Validate] refuses, with a [FieldError].
func (f Field) Parse(e *Event, text string) (err error) {
	switch d := &fields[f]; d.kind {
	case KindTime:
		e.Timestamp, err = parseTime(text)
	case KindText:
		if !utf8.ValidString(text) {
			return fieldError(d.name, text, "valid UTF-8")
		}
		*d.text(e) = text
	case KindInteger:
		*d.integer(e), err = parseInt(d, text)
	default:
		*d.address(e), err = parseAddress(d, text)
	}
	return err
}

// appendTime writes UTC with as many decimals as needed.
func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, time.RFC3339Nano)
}

func appendAddress(dst []byte, a netip.Addr) []byte {
	if !a.IsValid() {
		return dst
	}
	return a.AppendTo(dst)
}

// FieldError says which field of an event is wrong, and what was expected.
type FieldError struct {
	Field string // ECS name, or the log's own where the event comes from one
	Value string // as found
	Want  string
}

// Error shows no more of the value than fits a line.
func (e *FieldError) Error() string {
	const most = 80
	value := e.Value
	if len(value) > most {
		value = value[:most] + "…"
	}
	return fmt.Sprintf("%s: %q: want %s", e.Field, value, e.Want)
}

func fieldError(name, value, want string) error {
	return &FieldError{Field: name, Value: value, Want: want}
}

const (
	wantAddress = "an IPv4 or IPv6 address without a zone"
	wantTime    = "an RFC 3339 time from 1970 to 2100, such as 2026-03-01T12:00:00Z"
)

var (
	firstTime = time.Unix(0, 0)
	lastTime  = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC) // exclusive
)

func checkTime(t time.Time) error {
	if t.Before(firstTime) || !t.Before(lastTime) {
		return fieldError(FieldTimestamp.Name(), t.Format(time.RFC3339Nano), wantTime)
	}
	return nil
}

func parseTime(s string) (time.Time, error) {
	var t time.Time
	if err := t.UnmarshalText([]byte(s)); err != nil || !strictTime(s) {
		return t, fieldError(FieldTimestamp.Name(), s, wantTime)
	}
	t = t.UTC()
	return t, checkTime(t)
}

// strictTime refuses what package time takes for an RFC 3339 time although it is
// none (golang.org/issue/54580): an hour of one digit, a comma before the
// decimals, a zone of a day or more.
func strictTime(s string) bool {
	if s[len("2006-01-02T1")] == ':' || s[len("2006-01-02T15:04:05")] == ',' {
		return false
	}
	zone := s[len(s)-len("07:00"):]
	return zone[len(zone)-1] == 'Z' || zone[:2] <= "23" && zone[3:] <= "59"
}

func parseAddress(d *definition, s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fieldError(d.name, s, wantAddress)
	}
	return a.Unmap(), nil
}

func parseInt(d *definition, s string) (Int, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < d.min || n > d.max || s[0] == '+' {
		return Int{}, d.rangeError(s)
	}
	return Known(n), nil
}

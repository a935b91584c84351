package sensor

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"soclab/pkg/event"
)

// zeekLogs are Zeek's logs that are read. Each has its file.
var zeekLogs = []*zeekLog{&zeekConn}

// zeekLog is one of Zeek's logs and what events keep of it, whether it is
// written as TSV or as JSON.
type zeekLog struct {
	path                      string      // Zeek's name of it, as in #path and _path
	dataset, category, action string      // of its events
	marks                     []string    // fields that no other log has: they tell it where no path does
	fields                    []zeekField // at most 64; others are passed over
}

// zeekField is a field of a log and where events keep it.
type zeekField struct {
	name     string // as Zeek writes it, in lower case
	to       event.Field
	required bool // a record without it is refused
	list     bool // a set or vector: the event has its elements with commas between them
}

var (
	fieldDataset  = event.MustField("event.dataset")
	fieldDuration = event.MustField("event.duration")
	fieldProtocol = event.MustField("network.protocol")
)

// zeekConnection are the fields that begin the logs of what happens on a
// connection (base/init-bare.zeek, record conn_id).
var zeekConnection = []zeekField{
	{name: "ts", to: event.FieldTimestamp, required: true},
	{name: "uid", to: event.FieldID, required: true},
	{name: "id.orig_h", to: event.MustField("source.ip"), required: true},
	{name: "id.orig_p", to: event.MustField("source.port")},
	{name: "id.resp_h", to: event.MustField("destination.ip"), required: true},
	{name: "id.resp_p", to: event.MustField("destination.port")},
}

// zeekNames lists the logs that are read.
func zeekNames() string {
	names := make([]string, len(zeekLogs))
	for i, l := range zeekLogs {
		names[i] = l.path + ".log"
	}
	return "Zeek " + strings.Join(names, ", ")
}

// zeekLogAt finds a log by its path.
func zeekLogAt(path string) (*zeekLog, error) {
	for _, l := range zeekLogs {
		if l.path == path {
			return l, nil
		}
	}
	return nil, fmt.Errorf("found Zeek's %.40s.log: want %s", path, zeekNames())
}

// zeekLogWith finds a log by a field that no other has, nil where there is none.
func zeekLogWith(name string) *zeekLog {
	for _, l := range zeekLogs {
		if slices.Contains(l.marks, name) {
			return l
		}
	}
	return nil
}

// format names a log in an encoding; l may be nil.
func (l *zeekLog) format(encoding string) string {
	if l == nil {
		return "Zeek log (" + encoding + ")"
	}
	return "Zeek " + l.path + ".log (" + encoding + ")"
}

// field returns the index of a field, or -1 where events keep none of that
// name. The search goes round from the index next, where the field is found at
// once if the names come in Zeek's order. Some shippers write id_orig_h for
// id.orig_h. A name in another case is refused: another reader might take it
// for the field.
func (l *zeekLog) field(name string, next int) (int, error) {
	var variant string
	for range l.fields {
		if next >= len(l.fields) {
			next = 0
		}
		if f := l.fields[next].name; len(f) == len(name) {
			switch {
			case f == name, strings.HasPrefix(f, "id.") && strings.HasPrefix(name, "id_") && f[3:] == name[3:]:
				return next, nil
			case strings.EqualFold(f, name):
				variant = f
			}
		}
		next++
	}
	if variant != "" {
		return -1, &event.FieldError{Field: variant, Value: name, Want: "the name in this case exactly"}
	}
	return -1, nil
}

// zeekRecord is a record of a log on its way into an event.
type zeekRecord struct {
	log   *zeekLog
	event *event.Event
	set   uint64 // a bit for each field that has a value
}

// record makes e an event of the log without values.
func (l *zeekLog) record(e *event.Event) zeekRecord {
	*e = event.Event{Dataset: l.dataset, Category: l.category, Action: l.action}
	return zeekRecord{log: l, event: e}
}

// put sets the field with index i. An empty text is an absent value.
func (r *zeekRecord) put(i int, text string) error {
	f := &r.log.fields[i]
	if text == "" {
		return nil
	}
	if r.set&(1<<i) != 0 {
		return &event.FieldError{Field: f.name, Value: text, Want: "each field once"}
	}
	r.set |= 1 << i
	if f.to == fieldProtocol {
		text = confirmed(text)
	}
	switch f.to {
	case event.FieldTimestamp:
		return f.time(r.event, text)
	case fieldDuration:
		return f.duration(r.event, text)
	}
	return f.named(f.to.Parse(r.event, text))
}

// confirmed are the services of a connection without those that Zeek took back,
// which it writes as -ssl (base/protocols/conn/main.zeek, Conn::Info).
func confirmed(services string) string {
	if strings.IndexByte(services, '-') < 0 {
		return services
	}
	removed := func(service string) bool { return len(service) > 1 && service[0] == '-' }
	return strings.Join(slices.DeleteFunc(strings.Split(services, ","), removed), ",")
}

// end checks that the record has all that it must have.
func (r *zeekRecord) end() error {
	for i := range r.log.fields {
		if f := &r.log.fields[i]; f.required && r.set&(1<<i) == 0 {
			return &event.FieldError{Field: f.name, Want: "a value in every record"}
		}
	}
	return nil
}

// named gives an error about an event's field the name that the log has for it.
func (f *zeekField) named(err error) error {
	if wrong, ok := errors.AsType[*event.FieldError](err); ok {
		wrong.Field = f.name
	}
	return err
}

var lastSecond = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC).Unix() // exclusive

// time reads the forms that Zeek writes times in: seconds with decimals (TSV
// and JSON::TS_EPOCH), whole milliseconds (JSON::TS_MILLIS, told by being far
// beyond 2100 as seconds) and ISO 8601 (JSON::TS_ISO8601).
func (f *zeekField) time(e *event.Event, text string) error {
	if strings.Contains(text, "T") {
		return f.named(f.to.Parse(e, text))
	}
	ns, ok := parseSeconds(text)
	t := time.Unix(0, ns)
	if !ok { // too many for seconds
		ms, err := strconv.ParseInt(text, 10, 64)
		t, ok = time.UnixMilli(ms), err == nil
	}
	if second := t.Unix(); !ok || second < 0 || second >= lastSecond {
		return &event.FieldError{Field: f.name, Value: text, Want: "seconds since 1970 or an RFC 3339 time, from 1970 to 2100"}
	}
	e.Timestamp = t.UTC()
	return nil
}

// duration reads seconds and leaves out what is below zero: Zeek computes it
// where packets were captured out of order, and it says nothing.
func (f *zeekField) duration(e *event.Event, text string) error {
	ns, ok := parseSeconds(text)
	if !ok {
		return &event.FieldError{Field: f.name, Value: text, Want: "seconds from 0"}
	}
	if ns >= 0 {
		e.Duration = event.Known(ns)
	}
	return nil
}

var decimal = regexp.MustCompile(`^-?\d+(\.\d+)?([eE][-+]?\d{1,2})?$`)

// parseSeconds turns decimal seconds, such as 12.5 or 9.5e-07, into
// nanoseconds: exactly, where a float would lose digits; what is below a
// nanosecond is rounded.
func parseSeconds(s string) (int64, bool) {
	whole, decimals, point := strings.Cut(s, ".")
	if whole != "" && len(whole) <= 10 && len(decimals) <= 9 { // as Zeek writes nearly all
		digits := (whole + decimals + "000000000")[:len(whole)+9]
		ns, err := strconv.ParseInt(digits, 10, 64)
		if err == nil && whole != "-" && s[0] != '+' && (!point || decimals != "") {
			return ns, true
		}
	}
	if !decimal.MatchString(s) {
		return 0, false
	}
	exact, _ := new(big.Rat).SetString(s)
	exact.Mul(exact, big.NewRat(1e9, 1))
	text := exact.FloatString(0) // it rounds halves away from zero
	ns, err := strconv.ParseInt(text, 10, 64)
	return ns, err == nil
}

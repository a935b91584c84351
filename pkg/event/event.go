// Package event defines the one thing that flows through the pipeline: a
// network event with flat ECS field names, its strict JSON and CSV forms, and
// the batches and verdicts that the stages hand to each other.
package event

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

// MaxRecord is the size in bytes above which a JSON record is refused.
const MaxRecord = 64 << 10

// Event is one network or login event. Field names follow the Elastic Common
// Schema (ECS); [Fields] maps them to this struct. Timestamp and ID are
// required, all else may be absent: an empty string, an invalid address and an
// Int that is not Known mean "not observed", never zero or failure.
type Event struct {
	Timestamp time.Time // UTC, 1970 to 2100
	ID        string    // unique; Zeek's uid where the event comes from Zeek

	Dataset  string // where it was observed, such as "zeek.conn"
	Category string // ECS category: network, authentication, web, ...
	Action   string
	Outcome  string // success, failure, or absent where it is not known
	Duration Int    // nanoseconds

	Source, Destination Endpoint

	Transport string // tcp, udp, icmp
	Protocol  string // application protocol: dns, http, ssh, ...
	User      string
	DNS       DNS
	URL       URL
	HTTP      HTTP
	UserAgent string
	ConnState string // Zeek's conn_state, such as SF, S0, REJ
}

// Endpoint is one side of a connection.
type Endpoint struct {
	IP      netip.Addr // without zone; an IPv4-mapped address is kept as IPv4
	Port    Int        // 0 to 65535
	Bytes   Int        // payload sent by this side
	Packets Int        // packets sent by this side
}

// DNS is a question and its answer.
type DNS struct {
	Question     string // the name asked for, without the trailing dot
	Type         string // A, AAAA, TXT, ...
	ResponseCode string // NOERROR, NXDOMAIN, ...
	Answers      string // the answers' data, separated by commas
}

// URL is what a web request asked for.
type URL struct {
	Domain string
	Path   string
	Query  string // without the question mark
}

// HTTP is a web request's method and the status of its response.
type HTTP struct {
	Method string
	Status Int // 100 to 999
}

// Int is a whole number, or absent. Its zero value is absent.
type Int struct {
	Value int64
	Known bool
}

// Known returns an Int that is present.
func Known(value int64) Int { return Int{Value: value, Known: true} }

// String is the number in decimal, or nothing where it is absent.
func (n Int) String() string {
	if !n.Known {
		return ""
	}
	return strconv.FormatInt(n.Value, 10)
}

// FieldError says which field of an event is wrong, and what was expected.
type FieldError struct {
	Field string // ECS name
	Value string // as found, shortened
	Want  string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %q: want %s", e.Field, e.Value, e.Want)
}

func fieldError(name, value, want string) error {
	const most = 80
	if len(value) > most {
		value = value[:most] + "…"
	}
	return &FieldError{Field: name, Value: value, Want: want}
}

// Validate reports the first field that breaks a rule of the package: a
// missing timestamp or id, a number or time out of range, an address with a
// zone, text that is not UTF-8. What the decoders accept is valid; events made
// in code should be checked before they are sent.
func (e *Event) Validate() error {
	if e.Timestamp.IsZero() {
		return fieldError(FieldTimestamp.Name(), "", "an RFC 3339 time")
	}
	if err := checkTime(e.Timestamp); err != nil {
		return err
	}
	if e.ID == "" {
		return fieldError(FieldID.Name(), "", "a unique id")
	}
	for f := range FieldCount {
		switch d := &fields[f]; d.kind {
		case KindText:
			if s := *d.text(e); !utf8.ValidString(s) {
				return fieldError(d.name, s, "valid UTF-8")
			}
		case KindInteger:
			if n := *d.integer(e); n.Known && (n.Value < d.min || n.Value > d.max) {
				return d.rangeError(n.String())
			}
		case KindAddress:
			if a := *d.address(e); a.Zone() != "" {
				return fieldError(d.name, a.String(), wantAddress)
			}
		}
	}
	return nil
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
	// UnmarshalText is strict where time.Parse also takes "T1:02:03" or a comma.
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return t, fieldError(FieldTimestamp.Name(), s, wantTime)
	}
	t = t.UTC()
	return t, checkTime(t)
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

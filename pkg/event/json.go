package event

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends e as one flat JSON object with ECS names as keys, in the
// order of [Fields]. Absent fields are left out.
func AppendJSON(dst []byte, e *Event) []byte {
	return append(appendMembers(dst, e), '}')
}

// appendMembers appends the object without its closing brace.
func appendMembers(dst []byte, e *Event) []byte {
	dst = append(dst, `{"@timestamp":"`...)
	dst = append(appendTime(dst, e.Timestamp), '"')
	for f := FieldTimestamp + 1; f < FieldCount; f++ {
		switch d := &fields[f]; d.kind {
		case KindText:
			if s := *d.text(e); s != "" {
				dst = appendMember(dst, d.name, s)
			}
		case KindInteger:
			if n := *d.integer(e); n.Known {
				dst = appendInt(appendKey(dst, d.name), n)
			}
		case KindAddress:
			if a := *d.address(e); a.IsValid() {
				dst = append(appendKey(dst, d.name), '"')
				dst = append(a.AppendTo(dst), '"')
			}
		}
	}
	return dst
}

func appendKey(dst []byte, name string) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	return append(dst, `":`...)
}

func appendMember(dst []byte, name, value string) []byte {
	dst, _ = jsontext.AppendQuote(appendKey(dst, name), value) // its only error is invalid UTF-8, which it replaces
	return dst
}

// DecodeJSON reads one JSON object into e, which it overwrites. Keys that are
// not fields are passed over; null is absent. Refused are: records over
// [MaxRecord], invalid UTF-8, duplicate keys, keys that differ from a field's
// name only in case (another parser might take them for it, and an attacker
// hide behind that), fields within an object (such as "source": {"ip": ...}),
// values of another type, and all that [Event.Validate] refuses. The strings of e are substrings of record, so decoding allocates
// only for strings with escapes and for keys that are not fields.
func DecodeJSON(record string, e *Event) error {
	*e = Event{}
	if len(record) > MaxRecord {
		return fmt.Errorf("record of %d bytes: want at most %d", len(record), MaxRecord)
	}
	if !utf8.ValidString(record) {
		return fmt.Errorf("invalid UTF-8: want JSON in UTF-8")
	}
	d := decoder{text: record}
	if err := d.object(e); err != nil {
		return err
	}
	if d.space(); d.at < len(d.text) {
		return d.unexpected("nothing after the object")
	}
	return finish(e)
}

// finish ends the decoding of an event: names of the DNS lose the dots at their
// end, all of them, so that an event that is decoded again is the same; and an
// absent required field is an error.
func finish(e *Event) error {
	for _, name := range []*string{&e.DNS.Question, &e.URL.Domain} {
		for len(*name) > 1 && strings.HasSuffix(*name, ".") {
			*name = strings.TrimSuffix(*name, ".")
		}
	}
	if e.Timestamp.IsZero() {
		return fieldError(FieldTimestamp.Name(), "", wantTime)
	}
	if e.ID == "" {
		return fieldError(FieldID.Name(), "", "a unique id")
	}
	return nil
}

const _ = 64 - FieldCount // decoder.seen has a bit for each: this does not compile when they are too few

// decoder scans a flat JSON object (RFC 8259) from left to right.
type decoder struct {
	text    string
	at      int
	seen    uint64 // a bit for each field
	next    Field  // the one after the last that came
	checked bool   // by jsontext: all syntax and all keys
}

func (d *decoder) object(e *Event) error {
	if !d.take('{') {
		return d.unexpected("a JSON object")
	}
	if d.take('}') {
		return nil
	}
	for {
		f, key, err := d.key()
		if err != nil {
			return err
		}
		if !d.take(':') {
			return d.unexpected("a colon")
		}
		if f == FieldCount {
			err = d.pass(key)
		} else if d.seen&(1<<f) != 0 {
			err = fieldError(key, key, "each key once")
		} else {
			d.seen |= 1 << f
			err = d.value(f, e)
		}
		if err != nil {
			return err
		}
		if d.take(',') {
			continue
		}
		if d.take('}') {
			return nil
		}
		return d.unexpected("a comma or a closing brace")
	}
}

// key reads a key and finds its field, FieldCount where it is none. Keys mostly
// come in the order of the table: so the text is first compared with the names
// of the next few fields.
func (d *decoder) key() (f Field, key string, err error) {
	d.space()
	if d.at < len(d.text) && d.text[d.at] == '"' {
		const few = 8
		begin := d.at + 1
		for f := d.next; f < min(d.next+few, FieldCount); f++ {
			name := fields[f].name
			end := begin + len(name)
			if end < len(d.text) && d.text[end] == '"' && d.text[begin:end] == name {
				d.at, d.next = end+1, f+1
				return f, name, nil
			}
		}
	}
	key, err = d.string()
	f = fieldNamed(key)
	if f < FieldCount {
		d.next = f + 1
	}
	return f, key, err
}

func (d *decoder) value(f Field, e *Event) error {
	d.space()
	if strings.HasPrefix(d.text[d.at:], "null") {
		d.at += len("null")
		return nil
	}
	def := &fields[f]
	if def.kind == KindInteger {
		n, err := d.integer(def)
		*def.integer(e) = n
		return err
	}
	if d.at == len(d.text) || d.text[d.at] != '"' {
		return fieldError(def.name, d.rest(), "a JSON string")
	}
	s, err := d.string()
	if err != nil || s == "" {
		return err
	}
	if def.kind == KindText {
		*def.text(e) = s // the whole record is known to be UTF-8
		return nil
	}
	return f.Parse(e, s)
}

func (d *decoder) integer(def *definition) (Int, error) {
	digits := d.number()
	if digits == "" {
		return Int{}, def.rangeError(d.rest())
	}
	if digits == "-0" {
		return Known(0), nil
	}
	if digits[0] == '0' && len(digits) > 1 {
		return Int{}, def.rangeError(digits)
	}
	var n int64
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' || n > (math.MaxInt64-int64(c-'0'))/10 {
			return Int{}, def.rangeError(digits)
		}
		n = n*10 + int64(c-'0')
	}
	if n < def.min || n > def.max {
		return Int{}, def.rangeError(digits)
	}
	return Known(n), nil
}

// number takes what looks like a number, whole or not.
func (d *decoder) number() string {
	start, i := d.at, d.at
	for ; i < len(d.text); i++ {
		switch c := d.text[i]; {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			continue
		}
		break
	}
	d.at = i
	return d.text[start:i]
}

// string reads a string. It is a part of the text unless it has escapes.
func (d *decoder) string() (string, error) {
	if !d.take('"') {
		return "", d.unexpected("a string")
	}
	text, start := d.text, d.at
	i := start
	for i < len(text) && text[i] != '"' && text[i] != '\\' && text[i] >= ' ' {
		i++
	}
	d.at = i
	switch {
	case i == len(text):
		return "", d.unexpected("a closing quote")
	case text[i] == '\\':
		return d.escaped(start)
	case text[i] < ' ':
		return "", d.unexpected("control characters to be escaped")
	}
	d.at++
	return text[start:i], nil
}

func (d *decoder) escaped(start int) (string, error) {
	for ; d.at < len(d.text) && d.text[d.at] != '"'; d.at++ {
		if d.text[d.at] == '\\' {
			d.at++
		}
	}
	if d.at >= len(d.text) {
		d.at = len(d.text)
		return "", d.unexpected("a closing quote")
	}
	d.at++
	quoted := d.text[start-1 : d.at]
	s, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return "", fmt.Errorf("string %.80s: %w", quoted, err)
	}
	return string(s), nil
}

// pass skips the value of a key that is no field, of any JSON type. From the
// first such key on, the record is one that a library has found valid, nested
// values and their keys included.
func (d *decoder) pass(key string) error {
	if err := checkSpelling(key); err != nil {
		return err
	}
	if d.space(); d.at < len(d.text) && d.text[d.at] == '{' {
		for i := range fields {
			if strings.HasPrefix(fields[i].name, key+".") {
				return fieldError(key, d.rest(), "flat keys, such as "+fields[i].name)
			}
		}
	}
	if !d.checked {
		d.checked = true
		if _, err := jsontext.NewDecoder(strings.NewReader(d.text)).ReadValue(); err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
	}
	for depth := 0; d.at < len(d.text); d.at++ {
		switch d.text[d.at] {
		case '"':
			for d.at++; d.text[d.at] != '"'; d.at++ {
				if d.text[d.at] == '\\' {
					d.at++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return nil
			}
		case ',':
			if depth == 0 {
				return nil
			}
		}
	}
	return nil
}

func (d *decoder) space() {
	for d.at < len(d.text) && d.text[d.at] <= ' ' {
		switch d.text[d.at] {
		case ' ', '\n', '\r', '\t':
			d.at++
		default:
			return
		}
	}
}

func (d *decoder) take(c byte) bool {
	d.space()
	if d.at < len(d.text) && d.text[d.at] == c {
		d.at++
		return true
	}
	return false
}

// rest is the beginning of what has not been read, for messages.
func (d *decoder) rest() string {
	rest := d.text[d.at:]
	if i := strings.IndexAny(rest, ",}\n"); i > 0 {
		rest = rest[:i]
	}
	return rest
}

func (d *decoder) unexpected(want string) error {
	return fmt.Errorf("not JSON: byte %d: %.40q: want %s", d.at, d.text[d.at:], want)
}

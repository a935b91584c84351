package sensor

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"soclab/pkg/event"
)

// zeekJSON reads Zeek's logs as JSON lines, one object in each.
type zeekJSON struct {
	text    bytes.Buffer // the line, which the decoder reads in place
	object  *jsontext.Decoder
	members []member // of the line
	log     *zeekLog // of the line
}

// member is a key of a JSON object and its value as it is written.
type member struct{ key, value string }

func isZeekJSON(begin string) bool { return begin[0] == '{' }

func newZeekJSON() decoder {
	z := &zeekJSON{}
	z.object = jsontext.NewDecoder(&z.text)
	return z
}

func (z *zeekJSON) format() string { return z.log.format("JSON lines") }

func (z *zeekJSON) decode(line string, e *event.Event) (held bool, err error) {
	if err := z.split(line); err != nil {
		return false, err
	}
	if z.log, err = z.which(line); err != nil {
		return false, err
	}
	record, next := z.log.record(e), 0
	for i := range z.members {
		m := &z.members[i]
		field, err := z.log.field(m.key, next)
		if err != nil {
			return false, err
		}
		if field < 0 {
			continue
		}
		next = field + 1
		text, err := m.text(&z.log.fields[field])
		if err != nil {
			return false, err
		}
		if err := record.put(field, text); err != nil {
			return false, err
		}
	}
	return true, record.end()
}

// split finds the members of the object in line.
func (z *zeekJSON) split(line string) error {
	z.text.Reset()
	z.text.WriteString(line)
	z.object.Reset(&z.text)
	z.members = z.members[:0]
	if z.object.PeekKind() != '{' {
		return fmt.Errorf("%.60q: want a JSON object in each line", line)
	}
	if err := z.splitObject(z.object, line, ""); err != nil {
		return fmt.Errorf("JSON: %w", err)
	}
	if _, err := z.object.ReadToken(); err != io.EOF {
		return fmt.Errorf("%.60q: want one JSON object in a line and nothing behind it", line)
	}
	return nil
}

// splitObject finds the members of the object that is next in text. Those of
// an object within it, as in "id": {"orig_h": ...}, are named as Zeek does
// itself: id.orig_h.
func (z *zeekJSON) splitObject(object *jsontext.Decoder, text, prefix string) error {
	if _, err := object.ReadToken(); err != nil {
		return err
	}
	for object.PeekKind() == '"' {
		key, err := read(object, text) // refuses a key that came before
		if err != nil {
			return err
		}
		if key, err = unquote(key); err != nil {
			return err
		}
		value, err := read(object, text)
		if err != nil {
			return err
		}
		if prefix != "" {
			key = prefix + key
		}
		z.members = append(z.members, member{key, value})
		if value[0] == '{' && prefix == "" {
			inner := jsontext.NewDecoder(strings.NewReader(value))
			if err := z.splitObject(inner, value, key+"."); err != nil {
				return err
			}
		}
	}
	_, err := object.ReadToken()
	return err
}

// read returns the next value of the object as a part of its text.
func read(object *jsontext.Decoder, text string) (string, error) {
	value, err := object.ReadValue()
	end := object.InputOffset()
	return text[end-int64(len(value)) : end], err
}

// which finds the log that the object is a record of.
func (z *zeekJSON) which(line string) (*zeekLog, error) {
	var found *zeekLog
	for i := range z.members {
		m := &z.members[i]
		if m.key == "_path" || m.key == "@stream" {
			path, err := m.text(&zeekField{name: m.key, to: fieldDataset})
			if err != nil {
				return nil, err
			}
			return zeekLogAt(path)
		}
		if found == nil {
			found = zeekLogWith(m.key)
		}
	}
	if found != nil {
		return found, nil
	}
	if strings.Contains(line, `"uid"`) {
		for _, m := range z.members {
			if path, ok := zeekOthers[m.key]; ok {
				return zeekLogAt(path)
			}
		}
	}
	return nil, fmt.Errorf("found JSON without the fields of %s: %.60q", zeekNames(), line)
}

// zeekOthers names logs that are not read, by a field of each.
var zeekOthers = map[string]string{
	"trans_id": "dns", "auth_attempts": "ssh", "user_agent": "http", "method": "http",
	"cipher": "ssl", "fuid": "files", "mailfrom": "smtp", "note": "notice",
}

// text returns the value as a field's text, empty where it is absent. Numbers
// may be written as strings; nothing but a string is taken for text.
func (m *member) text(f *zeekField) (string, error) {
	number := f.to.Kind() == event.KindInteger || f.to.Kind() == event.KindTime
	switch kind := jsontext.Value(m.value).Kind(); {
	case kind == 'n':
		return "", nil
	case kind == '"':
		return unquote(m.value)
	case kind == '0' && number:
		return m.value, nil
	case kind == '[' && f.list:
		return m.joined(f)
	case number:
		return "", m.wrong(f, "a number")
	case f.list:
		return "", m.wrong(f, "a string or an array of strings")
	}
	return "", m.wrong(f, "a string")
}

func (m *member) wrong(f *zeekField, want string) error {
	return &event.FieldError{Field: f.name, Value: m.value, Want: want}
}

// joined returns the elements of a JSON array of strings with commas between
// them, as Zeek's TSV has them.
func (m *member) joined(f *zeekField) (string, error) {
	array := jsontext.NewDecoder(strings.NewReader(m.value))
	if _, err := array.ReadToken(); err != nil {
		return "", err
	}
	var elements []string
	for array.PeekKind() != ']' {
		element, err := array.ReadToken()
		if err != nil {
			return "", err
		}
		if element.Kind() != '"' {
			return "", m.wrong(f, "an array of strings")
		}
		elements = append(elements, element.String())
	}
	return strings.Join(elements, ","), nil
}

// unquote returns the text of a JSON string, without an allocation where it
// has no escapes.
func unquote(literal string) (string, error) {
	if strings.IndexByte(literal, '\\') < 0 {
		return literal[1 : len(literal)-1], nil
	}
	text, err := jsontext.AppendUnquote(nil, literal)
	return string(text), err
}

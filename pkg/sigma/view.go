package sigma

import (
	"strings"
	"unsafe"

	"soclab/pkg/event"
)

// A source is where a value is found: a field of the event, or text that is
// put together from several.
type source uint8

// The sources that are not fields.
const (
	sourceURI         = source(event.FieldCount) + iota // path?query, as in an HTTP request line
	sourceURL                                           // http://domain/path?query
	sourceExtension                                     // of the path's last element, without the dot
	sourceNetworkType                                   // ipv4 or ipv6
	sourceCount
)

const _ = 64 - sourceCount // the view has a bit for each: this does not compile when they are too few

func (s source) kind() event.Kind {
	if s >= sourceURI {
		return event.KindText
	}
	return event.Field(s).Kind()
}

// present reports whether the event has a value there.
func (s source) present(e *event.Event) bool {
	switch s {
	case sourceURI:
		return e.URL.Path != ""
	case sourceExtension:
		return extension(e.URL.Path) != ""
	case sourceURL:
		return e.URL.Path != "" && e.URL.Domain != ""
	case sourceNetworkType:
		return e.Source.IP.IsValid()
	}
	switch f := event.Field(s); f.Kind() {
	case event.KindInteger:
		return f.Int(e).Known
	case event.KindAddress:
		return f.Address(e).IsValid()
	case event.KindTime:
		return true
	default:
		return f.Text(e) != ""
	}
}

// A view is one event as the matchers of rules see it. It makes the texts that
// they ask for, and their folded forms, once for all of them. The texts live
// in its buffer: they are valid until it is set to the next event.
type view struct {
	event  *event.Event
	buffer []byte

	made  [2]uint64 // bits of texts[0] and texts[1] that are made
	texts [2][sourceCount]string
}

const (
	plain  = iota // as it stands
	folded        // for case-insensitive comparison
)

// set makes e the event that is viewed.
func (v *view) set(e *event.Event) {
	v.event = e
	v.buffer = v.buffer[:0]
	v.made = [2]uint64{}
}

// text is the value at s as text, empty where there is none.
func (v *view) text(s source, form int) string {
	if v.made[form]&(1<<s) != 0 {
		return v.texts[form][s]
	}
	var t string
	if form == folded {
		if t = v.text(s, plain); !isFolded(t) {
			begin := len(v.buffer)
			v.buffer = appendFolded(v.buffer, t)
			t = v.since(begin)
		}
	} else {
		t = v.make(s)
	}
	v.made[form] |= 1 << s
	v.texts[form][s] = t
	return t
}

func (v *view) make(s source) string {
	e := v.event
	begin := len(v.buffer)
	switch {
	case s == sourceExtension:
		return extension(e.URL.Path)
	case s == sourceNetworkType:
		switch {
		case e.Source.IP.Is4():
			return "ipv4"
		case e.Source.IP.Is6():
			return "ipv6"
		}
		return ""
	case s == sourceURI:
		if e.URL.Query == "" {
			return e.URL.Path
		}
	case s == sourceURL:
		if !s.present(e) {
			return ""
		}
		v.buffer = append(append(v.buffer, "http://"...), e.URL.Domain...)
	case s.kind() == event.KindText:
		return event.Field(s).Text(e)
	default:
		v.buffer = event.Field(s).Append(v.buffer, e)
		return v.since(begin)
	}
	v.buffer = append(v.buffer, e.URL.Path...)
	if e.URL.Query != "" {
		v.buffer = append(append(v.buffer, '?'), e.URL.Query...)
	}
	return v.since(begin)
}

func extension(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		return name[dot+1:]
	}
	return ""
}

// since is what was appended to the buffer, without a copy: nothing changes
// those bytes before the next set, and no text outlives it.
func (v *view) since(begin int) string {
	return unsafe.String(unsafe.SliceData(v.buffer[begin:]), len(v.buffer)-begin)
}

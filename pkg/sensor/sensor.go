// Package sensor reads events from the logs of network sensors, such as Zeek's
// conn.log, and from raw_packets.csv. What a log is, its content tells.
package sensor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"soclab/pkg/event"
)

// formats are the kinds of logs that are read, in the order in which they are
// tried. Each has its file: how it is recognized, how it is read, its tests.
var formats = []format{
	{"raw_packets.csv", isRaw, newRaw},
	{zeekNames() + " (TSV)", isZeekTSV, newZeekTSV},
	{zeekNames() + " (JSON lines)", isZeekJSON, newZeekJSON},
}

type format struct {
	name string
	is   func(begin string) bool // the first line that is not blank, or its first 64 KiB
	new  func() decoder
}

// A decoder reads a log of one event in a line, with header lines between them.
type decoder interface {
	// format names what it is, as precisely as what was read so far tells.
	format() string
	// decode reads a line into e, which it overwrites; false where the line
	// holds no event, as headers do. The line may be kept.
	decode(line string, e *event.Event) (bool, error)
}

// Reader yields the events of a log in its order. Nothing is skipped: a line
// that holds no event ends the reading with an error that names log, line,
// field and value. What came before it was returned.
type Reader struct {
	name    string
	input   input
	file    *os.File     // where Open opened it
	size    int64        // of the file; -1 where it is not known
	lines   *event.Lines // nil until the format is known
	decoder decoder
	event   event.Event
	events  bool  // one was read
	ahead   bool  // event (or, where there is none, err) was read and not yet asked for
	err     error // io.EOF or what ended the reading
}

// Open opens the log at path; otherwise it is like [NewReader].
func Open(path string) (r *Reader, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: a folder: want %s", path, accepted())
	}
	if r, err = NewReader(file, path); err != nil {
		return nil, err
	}
	r.file = file
	if info.Mode().IsRegular() {
		r.size = info.Size()
	}
	return r, nil
}

// NewReader reads a log from r, such as standard input or a member of an
// archive; errors call it name. The log may be compressed with gzip or zstd. It
// reads up to the first event, so that it refuses what is no log, and what
// only headers and rows together tell to be wrong. The caller must Close the
// Reader, and r after it.
func NewReader(r io.Reader, name string) (*Reader, error) {
	l := &Reader{name: name, size: -1, input: input{compressed: r}}
	if err := l.detect(); err != nil {
		l.Close()
		return nil, fmt.Errorf("%s%w", l.where(), err)
	}
	return l, nil
}

func (r *Reader) detect() error {
	text, err := r.input.open()
	if err != nil {
		return err
	}
	head, begin, err := peekLine(text)
	if err != nil {
		return err
	}
	if begin == "" {
		return fmt.Errorf("empty: want %s", accepted())
	}
	known := slices.IndexFunc(formats, func(f format) bool { return f.is(begin) })
	if known < 0 {
		return fmt.Errorf("found %s: want %s", looksLike(head), accepted())
	}
	r.lines, r.decoder = event.NewLines(text), formats[known].new()
	r.ahead = true
	if r.err = r.read(); r.err != io.EOF {
		return r.err
	}
	return nil
}

// peekLine returns what text begins with, and therein the first line that is
// not blank. It waits for no more than this line.
func peekLine(text *bufio.Reader) (head, line string, err error) {
	for wanted := 1; ; wanted = text.Buffered() + 1 {
		_, err := text.Peek(wanted)
		begin, _ := text.Peek(text.Buffered())
		head := string(begin)
		line := strings.TrimLeft(head, "\ufeff \t\r\n")
		if end := strings.IndexAny(line, "\r\n"); end >= 0 {
			return head, line[:end], nil
		}
		if err == io.EOF || err == bufio.ErrBufferFull {
			return head, line, nil
		}
		if err != nil {
			return "", "", err
		}
	}
}

// accepted lists what is read.
func accepted() string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return strings.Join(names, ", ") + "; plain, gzip or zstd"
}

// looksLike names what begins with head, as well as can be told.
func looksLike(head string) string {
	for _, magic := range []struct{ prefix, name string }{
		{"\xd4\xc3\xb2\xa1", "a pcap capture"},
		{"\xa1\xb2\xc3\xd4", "a pcap capture"},
		{"\x0a\x0d\x0d\x0a", "a pcapng capture"},
		{"PK\x03\x04", "a zip archive"},
		{"BZh", "bzip2 compressed data"},
		{"\xfd7zXZ", "xz compressed data"},
		{"\xff\xfe", "UTF-16 text"},
		{"\xfe\xff", "UTF-16 text"},
		{"[", "a JSON array"},
	} {
		if strings.HasPrefix(head, magic.prefix) {
			return magic.name
		}
	}
	if len(head) >= 2 && (head[0] == 0) != (head[1] == 0) {
		return "UTF-16 text or binary data"
	}
	return fmt.Sprintf("%.60q", head)
}

// Format names what the log is.
func (r *Reader) Format() string { return r.decoder.format() }

// Progress is how many bytes are read, as they come, compressed where the log
// is; and how many there are, or -1 where that is not known.
func (r *Reader) Progress() (read, size int64) { return r.input.read, r.size }

// Next returns the next event, or io.EOF after the last. The event is valid
// until the next call; its strings may be kept. Errors are final.
func (r *Reader) Next() (*event.Event, error) {
	if !r.ahead && r.err == nil {
		if r.err = r.read(); r.err != nil && r.err != io.EOF {
			r.err = fmt.Errorf("%s%w", r.where(), r.err)
		}
	}
	r.ahead = false
	if r.err != nil {
		return nil, r.err
	}
	return &r.event, nil
}

// where says which log and line an error is about.
func (r *Reader) where() string {
	if r.lines == nil {
		return r.name + ": "
	}
	return fmt.Sprintf("%s:%d: ", r.name, r.lines.Number())
}

// Close closes the file that Open has opened.
func (r *Reader) Close() error {
	r.input.close()
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

var errTorn = errors.New("the line has no end: its writer was stopped while it wrote; delete the line to read the rest")

// read reads the next event, or returns io.EOF.
func (r *Reader) read() error {
	for {
		line, err := r.lines.Next()
		if err == io.EOF && r.lines.Torn() && !r.events {
			return fmt.Errorf("no event, and %w", errTorn)
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		held, err := r.decoder.decode(strings.Clone(line), &r.event)
		switch {
		case err != nil && r.lines.Torn():
			return fmt.Errorf("%w (%w)", err, errTorn)
		case err != nil:
			return err
		case held:
			r.events = true
			return nil
		}
	}
}

// Package sensor reads events from the logs of network sensors, such as Zeek's
// conn.log, and from raw_packets.csv. What a log is, its content tells.
package sensor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
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
	open func(text *bufio.Reader) log
}

// A log yields the events of one file or stream.
type log interface {
	// format names what it is, as precisely as what was read so far tells.
	format() string
	// next reads the next event into e, which it overwrites, or returns io.EOF.
	next(e *event.Event) error
	// line is the number of the line that next read last, from 1.
	line() int
}

// Reader yields the events of a log in its order. Nothing is skipped: a line
// that holds no event ends the reading with an error that names log, line,
// field and value. What came before it was returned.
type Reader struct {
	name  string
	input input
	file  *os.File // where Open opened it
	size  int64    // of the file; -1 where it is not known
	log   log
	event event.Event
	ahead bool  // event (or, where there is none, err) was read and not yet asked for
	err   error // io.EOF or what ended the reading
}

// Open opens the log at path; otherwise it is like [NewReader].
func Open(path string) (*Reader, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := openFile(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return r, nil
}

func openFile(file *os.File) (*Reader, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: a folder: want %s", file.Name(), accepted())
	}
	r, err := NewReader(file, file.Name())
	if err != nil {
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
	l := &Reader{name: name, size: -1}
	l.input.compressed.Reader = r
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
	for _, f := range formats {
		if f.is(begin) {
			r.log = f.open(text)
			r.err = r.log.next(&r.event)
			r.ahead = true
			if r.err != io.EOF {
				return r.err
			}
			return nil
		}
	}
	return fmt.Errorf("found %s: want %s", looksLike(head), accepted())
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
func (r *Reader) Format() string { return r.log.format() }

// Progress is how many bytes are read, as they come, compressed where the log
// is; and how many there are, or -1 where that is not known.
func (r *Reader) Progress() (read, size int64) { return r.input.compressed.n, r.size }

// Next returns the next event, or io.EOF after the last. The event is valid
// until the next call; its strings may be kept. Errors are final.
func (r *Reader) Next() (*event.Event, error) {
	if !r.ahead && r.err == nil {
		r.err = r.log.next(&r.event)
		if r.err != nil && r.err != io.EOF {
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
	if r.log == nil {
		return r.name + ": "
	}
	return fmt.Sprintf("%s:%d: ", r.name, r.log.line())
}

// Close closes the file that Open has opened.
func (r *Reader) Close() error {
	r.input.close()
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// textLog is a log of one event in a line, with header lines between them.
type textLog struct {
	lines *event.Lines
	decoder
	events bool // one was read
}

type decoder interface {
	format() string
	// decode reads a line into e, which it overwrites; false where the line
	// holds no event, as headers do. The line may be kept.
	decode(line string, e *event.Event) (bool, error)
}

func newTextLog(text *bufio.Reader, d decoder) log {
	return &textLog{lines: event.NewLines(text), decoder: d}
}

func (l *textLog) line() int { return l.lines.Number() }

var errTorn = errors.New("the line has no end: its writer was stopped while it wrote; delete the line to read the rest")

func (l *textLog) next(e *event.Event) error {
	for {
		line, err := l.lines.Next()
		if err == io.EOF && l.lines.Torn() && !l.events {
			return fmt.Errorf("no event, and %w", errTorn)
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		held, err := l.decode(strings.Clone(line), e)
		if err != nil {
			if l.lines.Torn() {
				err = fmt.Errorf("%w (%w)", err, errTorn)
			}
			return err
		}
		if held {
			l.events = true
			return nil
		}
	}
}

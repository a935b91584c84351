// Package traffic is where events come from: a seeded generator of a small
// company's network with attacks in it and their truth, and the files that
// hold events: raw_packets.csv and Zeek's conn.log.
package traffic

//go:generate go test -run TestSample -update

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"soclab/pkg/event"
)

// Source yields events, one after the other. [Generator] and [File] are
// sources.
type Source interface {
	// Next returns the next event, or io.EOF after the last. The event is
	// valid until the next call; its strings may be kept.
	Next() (*event.Event, error)
	Close() error
}

// File is a Source that reads a file of events in the file's order. Nothing is
// skipped: a line that holds no event ends the reading with an error that
// names file, line, field and value.
type File struct {
	format string
	decode decoder
	lines  *lines
	event  event.Event
	ahead  bool  // event (or, where there is none, err) was read and not yet asked for
	err    error // io.EOF or what ended the reading
}

// decoder reads one line of a file into e; false where it holds no event, as
// headers do. It overwrites e.
type decoder func(line string, e *event.Event) (bool, error)

// formats are the kinds of files that Open knows. sniff looks at a file's
// first line and returns nil where it is of another kind; an error says that
// it is of this kind and still cannot be read.
var formats = []struct {
	name  string
	sniff func(line string) (decoder, error)
}{
	{"raw_packets.csv", sniffRaw},
	{"Zeek conn.log (TSV)", sniffZeekTSV},
	{"Zeek conn.log (JSON lines)", sniffZeekJSON},
}

// Open opens a file of events: raw_packets.csv or Zeek's conn.log, as TSV or
// as JSON lines, plain or gzip. What it is, its content tells and not its name.
func Open(path string) (*File, error) {
	l, err := openLines(path)
	if err != nil {
		return nil, err
	}
	f := &File{lines: l}
	if err := f.detect(); err != nil {
		l.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) detect() error {
	first, err := f.lines.peek()
	if err == io.EOF {
		return fmt.Errorf("%s: empty: want %s", f.lines.path, accepted())
	}
	if err != nil {
		return err
	}
	for _, format := range formats {
		f.decode, err = format.sniff(first)
		if err != nil {
			return f.lines.at(err)
		}
		if f.decode != nil {
			f.format = format.name
			return f.readAhead()
		}
	}
	return f.lines.at(fmt.Errorf("found %s: want %s", looksLike(first), accepted()))
}

// accepted lists what Open reads.
func accepted() string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return strings.Join(names, ", ") + "; plain or gzip"
}

// looksLike names what begins with line, as well as can be told.
func looksLike(line string) string {
	magics := []struct{ prefix, name string }{
		{"\xd4\xc3\xb2\xa1", "a pcap capture"},
		{"\xa1\xb2\xc3\xd4", "a pcap capture"},
		{"\x0a\x0d\x0d\x0a", "a pcapng capture"},
		{"\x28\xb5\x2f\xfd", "zstd compressed data"},
		{"PK\x03\x04", "a zip archive"},
		{"BZh", "bzip2 compressed data"},
		{"\xfd7zXZ", "xz compressed data"},
		{"\xff\xfe", "UTF-16 text"},
		{"\xfe\xff", "UTF-16 text"},
		{"[", "a JSON array"},
	}
	for _, m := range magics {
		if strings.HasPrefix(line, m.prefix) {
			return m.name
		}
	}
	return fmt.Sprintf("%.60q", line)
}

// Format names what the file is.
func (f *File) Format() string { return f.format }

// Progress is how many bytes of the file are read, and its size. Bytes are
// those on disk, compressed where the file is.
func (f *File) Progress() (read, size int64) { return f.lines.read.n, f.lines.size }

// readAhead reads the first event, so that Open refuses what can be told to be
// wrong only by headers and rows.
func (f *File) readAhead() error {
	f.ahead, f.err = true, f.read()
	if f.err == io.EOF {
		return nil
	}
	return f.err
}

// Next returns the next event of the file, or io.EOF.
func (f *File) Next() (*event.Event, error) {
	if !f.ahead && f.err == nil {
		f.err = f.read()
	}
	f.ahead = false
	if f.err != nil {
		return nil, f.err
	}
	return &f.event, nil
}

// read reads the next event into f.event.
func (f *File) read() error {
	for {
		line, err := f.lines.next()
		if err != nil {
			return err
		}
		held, err := f.decode(line, &f.event)
		if err != nil {
			if f.lines.torn {
				err = fmt.Errorf("%w (the line has no end: its writer was stopped while it wrote; delete the line to read the rest)", err)
			}
			return f.lines.at(err)
		}
		if held {
			return nil
		}
	}
}

// Close closes the file.
func (f *File) Close() error { return f.lines.Close() }

// maxLine is the longest line that is read, in bytes: room for the largest
// record with every byte escaped.
const maxLine = 8 * event.MaxRecord

// lines reads a text file line by line and knows where it is. Blank lines are
// passed over.
type lines struct {
	path   string
	file   *os.File
	size   int64
	read   countingReader
	text   *bufio.Reader
	long   []byte // a line longer than text's buffer
	line   int    // the line last read, from 1
	torn   bool   // it has no line end
	peeked bool
	first  string
}

// countingReader counts the bytes read from a file.
type countingReader struct {
	io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func openLines(path string) (*lines, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l := &lines{path: path, file: file, read: countingReader{Reader: file}}
	if err := l.start(); err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

func (l *lines) start() error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("a folder: want %s", accepted())
	}
	l.size = info.Size()
	const buffer = 64 << 10
	l.text = bufio.NewReaderSize(&l.read, buffer)
	if magic, _ := l.text.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) { // RFC 1952, section 2.3.1
		unzip, err := gzip.NewReader(l.text)
		if err != nil {
			return fmt.Errorf("gzip: %w", err)
		}
		l.text = bufio.NewReaderSize(unzip, buffer)
	}
	if bom, _ := l.text.Peek(3); string(bom) == "\ufeff" {
		l.text.Discard(len(bom))
	}
	return nil
}

// next returns the next line that is not blank, without its end, or io.EOF.
func (l *lines) next() (string, error) {
	if l.peeked {
		l.peeked = false
		return l.first, nil
	}
	for {
		line, err := l.text.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			line, err = l.readLong(line)
		}
		if len(line) == 0 && err == io.EOF {
			return "", io.EOF
		}
		l.line++
		if err != nil && err != io.EOF {
			return "", l.at(err)
		}
		l.torn = err == io.EOF
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(line)) > 0 {
			return string(line), nil
		}
	}
}

// peek returns what next will return.
func (l *lines) peek() (string, error) {
	first, err := l.next()
	if err != nil {
		return "", err
	}
	l.first, l.peeked = first, true
	return first, nil
}

func (l *lines) readLong(begin []byte) ([]byte, error) {
	l.long = append(l.long[:0], begin...)
	for {
		more, err := l.text.ReadSlice('\n')
		l.long = append(l.long, more...)
		if len(l.long) > maxLine {
			return l.long, fmt.Errorf("%.60q…: want a line of at most %d bytes", l.long, maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return l.long, err
		}
	}
}

// at says at which line err happened.
func (l *lines) at(err error) error { return fmt.Errorf("%s:%d: %w", l.path, l.line, err) }

func (l *lines) Close() error { return l.file.Close() }

package event

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unsafe"
)

// MaxLine is the length in bytes, line end included, above which a line is
// refused: room for a record of [MaxRecord] with every byte escaped, and for
// the columns that the classifier adds.
const MaxLine = 8 * MaxRecord

// Lines reads text line by line, in bounded memory. A line ends in LF or CRLF;
// where the first 64 KiB hold no LF but a CR, in CR alone. A byte order mark is
// passed over.
type Lines struct {
	text   *bufio.Reader
	end    byte   // of a line: LF, or CR where there is no LF
	long   []byte // a line longer than text's buffer
	cut    bool   // the line last read was too long, and its rest is not read
	number int
	torn   bool
}

// NewLines returns a reader of r's lines. It reads ahead of the lines that
// Next returns.
func NewLines(r io.Reader) *Lines {
	const buffer = 64 << 10
	return &Lines{text: bufio.NewReaderSize(r, buffer), end: '\n'}
}

// Next returns the next line without its end, or io.EOF after the last. The
// line lies in the reader's memory: it is valid until the next call, and what
// is kept of it must be cloned. A line above [MaxLine] is an error, and so are
// the reader's own; after a line that is too long, Next goes on with the one
// behind it.
func (l *Lines) Next() (string, error) {
	if l.cut {
		if err := l.discard(); err != nil {
			return "", err
		}
	}
	line, err := l.text.ReadSlice(l.end)
	if l.number == 0 && err != nil && bytes.IndexByte(line, '\r') >= 0 {
		begin := bytes.NewReader(bytes.Clone(line))
		l.text, l.end = bufio.NewReaderSize(io.MultiReader(begin, l.text), l.text.Size()), '\r'
		line, err = l.text.ReadSlice(l.end)
	}
	if err == bufio.ErrBufferFull {
		line, err = l.readLong(line)
	}
	if err == io.EOF && len(line) == 0 {
		return "", io.EOF
	}
	l.number++
	if err != nil && err != io.EOF {
		return "", err
	}
	l.torn = err == io.EOF
	if !l.torn {
		line = line[:len(line)-1]
	}
	for len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	// No copy: the lines of a large file would be as much garbage as the file.
	text := unsafe.String(unsafe.SliceData(line), len(line))
	if l.number == 1 {
		text = strings.TrimPrefix(text, "\ufeff")
	}
	return text, nil
}

// Number is the number of the line that Next returned last, from 1, or of the
// one at which it failed.
func (l *Lines) Number() int { return l.number }

// Torn reports that the line last returned has no line end: its writer is
// still at work, or was stopped.
func (l *Lines) Torn() bool { return l.torn }

func (l *Lines) readLong(begin []byte) ([]byte, error) {
	l.long = append(l.long[:0], begin...)
	for {
		more, err := l.text.ReadSlice(l.end)
		if len(l.long)+len(more) > MaxLine {
			l.cut = err == bufio.ErrBufferFull
			return nil, fmt.Errorf("%.60q…: want a line of at most %d bytes", l.long, MaxLine)
		}
		l.long = append(l.long, more...)
		if err != bufio.ErrBufferFull {
			return l.long, err
		}
	}
}

// discard reads to the end of a line that was too long.
func (l *Lines) discard() error {
	for {
		_, err := l.text.ReadSlice(l.end)
		if err != bufio.ErrBufferFull {
			l.cut = false
			return err
		}
	}
}

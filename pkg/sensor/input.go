package sensor

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// input is the bytes of a log, decompressed where they are compressed.
type input struct {
	compressed io.Reader
	read       int64 // bytes of it
	zstd       *zstd.Decoder
}

func (in *input) Read(p []byte) (int, error) {
	n, err := in.compressed.Read(p)
	in.read += int64(n)
	return n, err
}

// maxWindow is how far a zstd stream may look back, in bytes: what the tool
// zstd itself accepts by default. It bounds the memory.
const maxWindow = 128 << 20

func (in *input) open() (*bufio.Reader, error) {
	const buffer = 64 << 10
	text := bufio.NewReaderSize(in, buffer)
	magic, err := text.Peek(4)
	unpacked := &unpacker{}
	switch {
	case strings.HasPrefix(string(magic), "\x1f\x8b"): // RFC 1952, section 2.3.1
		unpacked.name = "gzip"
		unpacked.Reader, err = gzip.NewReader(text)
	case string(magic) == "\x28\xb5\x2f\xfd": // RFC 8878, section 3.1.1
		unpacked.name = "zstd"
		in.zstd, err = zstd.NewReader(text, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		unpacked.Reader = in.zstd
	case err == nil || err == io.EOF:
		return text, nil
	default:
		return nil, err
	}
	if err != nil {
		return nil, unpacked.wrong(err)
	}
	return bufio.NewReaderSize(unpacked, buffer), nil
}

func (in *input) close() {
	if in.zstd != nil {
		in.zstd.Close()
	}
}

// unpacker says what is wrong with compressed data.
type unpacker struct {
	io.Reader
	name string
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = u.wrong(err)
	}
	return n, err
}

func (u *unpacker) wrong(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return fmt.Errorf("the %s data is cut off here, what came before it was read: %w", u.name, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("the %s data is damaged here: %w", u.name, err)
}

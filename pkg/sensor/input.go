package sensor

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// input is the bytes of a log, decompressed where they are compressed.
type input struct {
	compressed countingReader
	zstd       *zstd.Decoder
}

// countingReader counts what is read.
type countingReader struct {
	io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// maxWindow is how far a zstd stream may look back, in bytes: what the tool
// zstd itself accepts by default. It bounds the memory.
const maxWindow = 128 << 20

func (in *input) open() (*bufio.Reader, error) {
	const buffer = 64 << 10
	text := bufio.NewReaderSize(&in.compressed, buffer)
	magic, err := text.Peek(4)
	switch {
	case len(magic) >= 2 && string(magic[:2]) == "\x1f\x8b": // RFC 1952, section 2.3.1
		unpacked, err := gzip.NewReader(text)
		if err != nil {
			return nil, unpackError("gzip", err)
		}
		return bufio.NewReaderSize(&unpacker{unpacked, "gzip"}, buffer), nil
	case string(magic) == "\x28\xb5\x2f\xfd": // RFC 8878, section 3.1.1
		unpacked, err := zstd.NewReader(text, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, unpackError("zstd", err)
		}
		in.zstd = unpacked
		return bufio.NewReaderSize(&unpacker{unpacked, "zstd"}, buffer), nil
	case err != nil && err != io.EOF:
		return nil, err
	}
	return text, nil
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
		err = unpackError(u.name, err)
	}
	return n, err
}

func unpackError(name string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return fmt.Errorf("the %s data is cut off here, what came before it was read: %w", name, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("the %s data is damaged here: %w", name, err)
}

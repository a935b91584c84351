package sinktest

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
)

// File is what a sink does to a file.
type File interface {
	io.Writer
	io.ReaderAt
	Truncate(size int64) error
	Sync() error
	Stat() (os.FileInfo, error)
	Close() error
}

// Disk is a disk that fails when it is told to. Files on it are opened for
// reading and appending.
type Disk struct {
	mu    sync.Mutex
	files map[string]*content

	shortWrite, failedSync, failedTruncate bool
	most                                   int // bytes of the short write
	dead                                   bool
	beforeWrite                            func()
}

// content is what the disk keeps of a file when the power fails.
type content struct {
	synced []byte
	// A failed sync leaves bytes of which a later sync thinks that they are on
	// disk, and they are not (fsync(2) on Linux; "fsyncgate" of 2018).
	lostFrom, lostTo int64
}

// ShortWrite makes the next write fail after so many bytes, as on a disk that is
// full.
func (d *Disk) ShortWrite(bytes int) { d.set(func() { d.shortWrite, d.most = true, bytes }) }

// FailSync makes the next sync fail.
func (d *Disk) FailSync() { d.set(func() { d.failedSync = true }) }

// FailTruncate makes the next truncation fail.
func (d *Disk) FailTruncate() { d.set(func() { d.failedTruncate = true }) }

// Kill makes the next write the last thing that the files now open do, and cuts
// it after so many bytes: their process is killed.
func (d *Disk) Kill(bytes int) { d.set(func() { d.shortWrite, d.most, d.dead = true, bytes, true }) }

// BeforeWrite does something in the middle of an Append: when the next write
// begins.
func (d *Disk) BeforeWrite(do func()) { d.set(func() { d.beforeWrite = do }) }

func (d *Disk) set(fault func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fault()
}

// PowerFailure leaves of each file what was synced.
func (d *Disk) PowerFailure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for path, c := range d.files {
		errs = append(errs, os.WriteFile(path, c.synced, 0o644))
	}
	return errors.Join(errs...)
}

// Open opens a file for reading and appending, and makes it where it is
// missing.
func (d *Disk) Open(path string) (File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == nil {
		d.files = map[string]*content{}
	}
	if d.files[path] == nil {
		d.files[path] = &content{}
	}
	return &file{File: f, disk: d, content: d.files[path]}, nil
}

type file struct {
	*os.File
	disk    *Disk
	content *content
	dead    bool
}

func (f *file) Write(b []byte) (int, error) {
	var before func()
	f.disk.set(func() { before, f.disk.beforeWrite = f.disk.beforeWrite, nil })
	if before != nil {
		before()
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.dead {
		return 0, os.ErrClosed
	}
	if !f.disk.shortWrite {
		return f.File.Write(b)
	}
	f.disk.shortWrite = false
	f.dead, f.disk.dead = f.disk.dead, false
	n, err := f.File.Write(b[:min(len(b), f.disk.most)])
	return n, errors.Join(err, syscall.ENOSPC)
}

func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.dead {
		return os.ErrClosed
	}
	if f.disk.failedTruncate {
		f.disk.failedTruncate = false
		return syscall.EIO
	}
	f.content.lostTo = min(f.content.lostTo, size)
	return f.File.Truncate(size)
}

func (f *file) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if f.dead {
		return os.ErrClosed
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		return err
	}
	c := f.content
	if f.disk.failedSync {
		f.disk.failedSync = false
		c.lostFrom, c.lostTo = int64(len(c.synced)), int64(len(data))
		return syscall.EIO
	}
	if c.lostFrom < c.lostTo {
		clear(data[c.lostFrom:min(c.lostTo, int64(len(data)))])
	}
	c.synced = data
	return nil
}

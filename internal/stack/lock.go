package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// locks are the three lock files of a home folder. The operating system frees
// the locks of a process that dies, however it dies; so what the files hold
// counts only while the lock is held, and nothing is left to clean up.
type locks struct {
	home string

	// gate is held for as long as it takes to start, join or stop a stack.
	gate *flock.Flock

	// owner is held, exclusively, by the process that runs the stack; the
	// file holds the addresses.
	owner *flock.Flock

	// members is held, shared, by each process that has joined.
	members *flock.Flock
}

// retry is how often a lock that is held elsewhere is tried again.
const retry = 20 * time.Millisecond

func newLocks(home string) *locks {
	open := func(name string) *flock.Flock {
		return flock.New(filepath.Join(home, name), flock.SetPermissions(0o600))
	}
	return &locks{home: home, gate: open("gate.lock"), owner: open("stack.lock"), members: open("members.lock")}
}

func (l *locks) enterGate(ctx context.Context) error {
	if _, err := l.gate.TryLockContext(ctx, retry); err != nil {
		return fmt.Errorf("wait for another soclab that starts or stops: %w", err)
	}
	return nil
}

func (l *locks) leaveGate() error { return l.gate.Unlock() }

// own becomes the owner unless there is one. The caller holds the gate, as for
// all that follow.
func (l *locks) own() (bool, error) { return l.owner.TryLock() }

// announce leaves the owner's addresses for those who join.
func (l *locks) announce(addresses Addresses) error {
	data, err := json.MarshalIndent(addresses, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(l.owner.Path(), append(data, '\n'), 0o600)
}

// join becomes a member and returns the owner's addresses.
func (l *locks) join() (addresses Addresses, err error) {
	data, err := os.ReadFile(l.owner.Path())
	if err != nil {
		return addresses, err
	}
	if err := json.Unmarshal(data, &addresses); err != nil {
		return addresses, fmt.Errorf("read addresses from %s: %w", l.owner.Path(), err)
	}
	ok, err := l.members.TryRLock()
	if err == nil && !ok {
		err = errors.New("join: the members' lock is held by another program")
	}
	return addresses, err
}

// alone tells whether there are no members.
func (l *locks) alone() (bool, error) {
	ok, err := l.members.TryLock()
	if ok {
		err = l.members.Unlock()
	}
	return ok, err
}

// enterAlone enters the gate at a moment without members. When ctx ends first
// it returns nil all the same: the owner goes, whoever has joined.
func (l *locks) enterAlone(ctx context.Context) error {
	for {
		// While the owner stops, others should wait at the gate; but not for long.
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		err := l.enterGate(wait)
		cancel()
		if err != nil {
			return err
		}
		if alone, err := l.alone(); alone || err != nil || ctx.Err() != nil {
			return err
		}
		if err := l.leaveGate(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * retry):
		}
	}
}

// release frees all locks.
func (l *locks) release() error {
	return errors.Join(l.members.Close(), l.owner.Close(), l.gate.Close())
}

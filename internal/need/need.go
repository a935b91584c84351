// Package need is for tests that need more than a machine with Go and Python
// has.
package need

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"soclab/internal/folder"
)

// Missing skips the test, since this machine lacks what the format tells. As go
// test hides the output of what passes, it also adds a line to the file that
// SOCLAB_SKIPPED names, if any: CI shows those lines, and .ci/run fails where
// there are some.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if path := os.Getenv("SOCLAB_SKIPPED"); path != "" {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := fmt.Fprintf(file, "%s: %s\n", t.Name(), reason); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip("SKIPPED: " + reason)
}

// RealLog is the path of a real log beside the repository, of which
// testdata/zeek/README.md tells.
func RealLog(t testing.TB, name string) string {
	t.Helper()
	root, err := folder.Root()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(root), "shared", "data", filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		Missing(t, "no real log: %v", err)
	}
	return path
}

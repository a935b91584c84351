package folder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"soclab/internal/folder"
)

func TestFoldersAreFoundFromBelow(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(root, "notebooks", "1. Mittre classification")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module soclab\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOCLAB_HOME", "")
	t.Setenv("SOCLAB_DATA", "")
	t.Chdir(below)
	for want, find := range map[string]func() (string, error){"": folder.Root, ".soclab": folder.Home, "data": folder.Data} {
		if dir, err := find(); err != nil || dir != filepath.Join(root, want) {
			t.Errorf("%q: found %s, %v", want, dir, err)
		}
	}
	t.Setenv("SOCLAB_DATA", filepath.Join(root, "elsewhere"))
	if dir, err := folder.Data(); err != nil || dir != filepath.Join(root, "elsewhere") {
		t.Errorf("with SOCLAB_DATA: %s, %v", dir, err)
	}
}

func TestOutsideOfARepository(t *testing.T) {
	t.Setenv("SOCLAB_HOME", "")
	t.Chdir(t.TempDir())
	if _, err := folder.Home(); err == nil || !strings.Contains(err.Error(), "set SOCLAB_HOME") {
		t.Errorf("error %v", err)
	}
}

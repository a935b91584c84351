package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Home returns the folder for all that runs leave behind but the data itself:
// SOCLAB_HOME, else .soclab beside the nearest go.mod, looked for from the
// working directory upwards. It is created, for its owner only, if needed.
func Home() (string, error) {
	home := os.Getenv("SOCLAB_HOME")
	if home == "" {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		home = filepath.Join(root, ".soclab")
	}
	home, err := filepath.Abs(home)
	if err != nil {
		return "", fmt.Errorf("find soclab's home: %w", err)
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", fmt.Errorf("create soclab's home: %w", err)
	}
	return home, nil
}

func moduleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find soclab's home: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("find soclab's home: %w", err)
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find soclab's home: no go.mod in %s or above: run inside the repository or set SOCLAB_HOME", start)
		}
	}
}

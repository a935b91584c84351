// Package folder knows where soclab's files lie, whatever the working directory
// is: a notebook's cell runs in the folder of its notebook.
package folder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Root is the repository: the folder of the nearest go.mod, looked for from the
// working directory upwards.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		} else if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("find the repository: %w", err)
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the repository: no go.mod in %s or above it: run soclab inside the repository, or set SOCLAB_HOME and SOCLAB_DATA", start)
		}
	}
}

// Home is for all that runs leave behind but the data: the broker's log,
// traces, the Python environment, the kernel. It is SOCLAB_HOME, else .soclab
// in the repository. It is created, for its owner only, if needed.
func Home() (string, error) { return named("SOCLAB_HOME", ".soclab", 0o700) }

// Data is for raw_packets.csv, classified_packets.csv and truth.csv. It is
// SOCLAB_DATA, else data in the repository. It is created if needed.
func Data() (string, error) { return named("SOCLAB_DATA", "data", 0o755) }

// Rules is for the user's own Sigma rules. It is SOCLAB_RULES, which must exist,
// else rules in the data folder, which need not.
func Rules(data string) (string, error) {
	if dir := os.Getenv("SOCLAB_RULES"); dir != "" {
		if _, err := os.Stat(dir); err != nil {
			return "", fmt.Errorf("find SOCLAB_RULES: %w", err)
		}
		return dir, nil
	}
	return filepath.Join(data, "rules"), nil
}

func named(variable, name string, mode os.FileMode) (string, error) {
	dir := os.Getenv(variable)
	if dir == "" {
		root, err := Root()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(root, name)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", variable, err)
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return "", fmt.Errorf("create %s: %w", name, err)
	}
	return dir, nil
}

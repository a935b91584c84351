package jupyter

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"soclab/internal/folder"
)

// cellFlags are what cells are built with. Without cgo, symbol tables and the
// look at the repository's history a cell takes half as long.
const cellFlags = "-buildvcs=false -ldflags=-s"

// cellEnvironment makes cells use the repository's pinned modules and nothing
// else: with GOPROXY off, go neither asks the network nor finds newer versions.
var cellEnvironment = []string{"CGO_ENABLED=0", "GOFLAGS=" + cellFlags, "GOPROXY=off", "GOWORK="}

// Kernel turns this process into the Go kernel of the notebook in whose folder
// it runs, with the packages of the notebook's repository importable. It is
// the same process, so that Jupyter's signals reach the kernel itself. GoNB and
// its tools lie beside this program. It returns only if it fails.
func Kernel(connectionFile string) error {
	root, err := folder.Root()
	if err != nil {
		return fmt.Errorf("start the Go kernel: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start the Go kernel: %w", err)
	}
	bin := filepath.Dir(program)
	gonb := filepath.Join(bin, "gonb")
	argv := []string{gonb, "--kernel", connectionFile, "-logtostderr=true", "-go_work=" + root}
	if err := syscall.Exec(gonb, argv, kernelEnvironment(os.Environ(), bin)); err != nil {
		return fmt.Errorf("start the Go kernel %s: %w: run soclab up once, it installs it", gonb, err)
	}
	return nil
}

// kernelEnvironment is env as cells need it, with bin searched first.
func kernelEnvironment(env []string, bin string) []string {
	path := bin
	var kept []string
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "PATH":
			path += string(os.PathListSeparator) + value
		case "CGO_ENABLED", "GOFLAGS", "GOPROXY", "GOWORK":
		default:
			kept = append(kept, variable)
		}
	}
	return append(append(kept, "PATH="+path), cellEnvironment...)
}

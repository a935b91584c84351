package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"soclab/internal/folder"
)

func newURLCommand(s *shared) *cobra.Command {
	return &cobra.Command{
		Use:   "url",
		Short: "Print the address of the running JupyterLab, with its token",
		Long: `Prints what to open in a browser: the address of the JupyterLab that "soclab up"
or the compose stack runs, with the token that it asks for. It fails where none
answers.`,
		Example: `  soclab url
  docker compose exec jupyter soclab url`,
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := folder.Home()
			if err != nil {
				return err
			}
			address, err := jupyterLab(cmd.Context(), home)
			if err != nil {
				return err
			}
			if s.json {
				return writeJSON(cmd.OutOrStdout(), map[string]string{"jupyterlab": address})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), address)
			return err
		},
	}
}

// errNoLab tells that no JupyterLab of this home runs.
var errNoLab = errors.New("no JupyterLab answers: start it with `soclab up` or `docker compose up -d`")

// jupyterLab returns the address of the JupyterLab that runs over home. Each
// server leaves a file about itself, which one that was killed left, too.
func jupyterLab(ctx context.Context, home string) (string, error) {
	root := os.DirFS(filepath.Join(home, "jupyter"))
	files, err := fs.Glob(root, "runtime/jpserver-*.json")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := fs.ReadFile(root, file)
		if err != nil {
			return "", fmt.Errorf("find JupyterLab: %w", err)
		}
		var server struct {
			Port     int    `json:"port"`
			BasePath string `json:"base_url"`
			Token    string `json:"token"`
		}
		if err := json.Unmarshal(data, &server); err != nil {
			continue // being written
		}
		base := url.URL{Scheme: "http", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(server.Port)), Path: cmp.Or(server.BasePath, "/")}
		token := url.Values{"token": {server.Token}}.Encode()
		status := base.JoinPath("api", "status")
		status.RawQuery = token
		if err := get(ctx, status.String()); err != nil {
			continue
		}
		page := base.JoinPath("lab", "tree", firstNotebook)
		page.RawQuery = token
		return page.String(), nil
	}
	return "", errNoLab
}

// get tells whether a page answers with success.
func get(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	return answered(http.DefaultClient.Do(request))
}

func answered(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", response.Request.URL.Host+response.Request.URL.Path, response.Status)
	}
	return nil
}

// Package page renders the plain pages of the embedded stack: HTML made on the
// server, one style, no scripts.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"soclab/pkg/human"
)

//go:embed style.css
var style string

//go:embed layout.html
var layout string

// Site is a set of pages under one name.
type Site struct {
	name, note string
	pages      map[string]*template.Template
	policy     string
}

// functions are what a page's template may call, besides html/template's own.
var functions = template.FuncMap{
	"count":    human.Count[int64],
	"duration": human.Duration,
	"time":     func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") },
}

// NewSite parses the content of each page, by its name, as an html/template.
// note stands at the foot of every page. It panics if a template is malformed:
// templates are part of the program.
func NewSite(name, note string, pages map[string]string) *Site {
	sum := sha256.Sum256([]byte(style))
	s := &Site{
		name:  name,
		note:  note,
		pages: make(map[string]*template.Template),
		// Nothing but this very style sheet is loaded, and nothing runs.
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
	}
	for page, content := range pages {
		s.add(page, content)
	}
	s.add(failure, `<p>{{.}}</p><p><a href="/">Back to the list</a></p>`)
	return s
}

// failure is the name of the page that says why there is no other.
const failure = "failure"

func (s *Site) add(page, content string) {
	t := template.Must(template.New(page).Funcs(functions).Parse(layout))
	template.Must(t.New("content").Parse(content))
	s.pages[page] = t
}

// Fail renders a page that says why there is no other.
func (s *Site) Fail(w http.ResponseWriter, status int, title, reason string) {
	s.Write(w, status, failure, title, reason)
}

// Write renders a page.
func (s *Site) Write(w http.ResponseWriter, status int, page, title string, data any) {
	// Rendered whole before anything is sent, so that an error is a clean one.
	var b bytes.Buffer
	err := s.pages[page].Execute(&b, map[string]any{
		"Site": s.name, "Note": s.note, "Title": title, "Style": template.CSS(style), "Data": data,
	})
	if err != nil {
		http.Error(w, fmt.Sprintf("render page: %v", err), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", s.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

package sigma

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"soclab/pkg/attack"
)

// RuleSet is rules in the order in which they were loaded, correlations linked
// to the rules they refer to.
type RuleSet struct {
	Rules    []*Rule
	Warnings []*Problem // about rules that were loaded nevertheless

	filters []*filter
}

// maxFile is the size in bytes above which a rule file is refused.
const maxFile = 1 << 20

// A LoadOption changes how rules are loaded.
type LoadOption func(*loader)

//go:embed rules
var defaultRules embed.FS

// DefaultRules loads the rules that are built in.
func DefaultRules(options ...LoadOption) (*RuleSet, error) {
	return load(defaultRules, append(options, func(l *loader) { l.strict = true })...)
}

// Rules loads the rules of a lab: the default ones, and those that its user
// keeps in a folder, if there is one. Warnings about them are logged.
func Rules(dir string, options ...LoadOption) (*RuleSet, error) {
	rules, err := DefaultRules(options...)
	if err != nil {
		return nil, err
	}
	user, err := Load(dir, options...)
	if errors.Is(err, fs.ErrNotExist) {
		return rules, nil
	}
	if err != nil {
		return nil, err
	}
	rules = rules.With(user)
	for _, warning := range rules.Warnings {
		slog.Warn(warning.Error())
	}
	return rules, nil
}

// Load reads all rules of a folder and those below it, but none outside it:
// files *.yml and *.yaml in the order of their paths, each with one or more
// documents. Rules that cannot be used are left out and reported by the error,
// which joins one [Problem] for each: the set beside it holds the others.
func Load(dir string, options ...LoadOption) (*RuleSet, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("load rules: %w", err)
	}
	defer root.Close()
	set, err := load(root.FS(), options...)
	if err != nil {
		err = fmt.Errorf("rules in %s: %w", dir, err)
	}
	return set, err
}

func load(folder fs.FS, options ...LoadOption) (*RuleSet, error) {
	l := newLoader(options)
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil && name != "." {
			l.unreadable(name, err)
			return nil
		} else if err != nil {
			return fmt.Errorf("read rules: %w", err)
		}
		if ext := path.Ext(name); d.IsDir() || ext != ".yml" && ext != ".yaml" {
			return nil
		}
		info, err := d.Info()
		if err == nil && info.Size() > maxFile {
			err = errTooLarge
		}
		var text []byte
		if err == nil {
			text, err = fs.ReadFile(folder, name)
		}
		if err != nil {
			l.unreadable(name, err)
			return nil
		}
		l.file(name, text)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return l.finish()
}

// Parse reads the rules of one file. Errors name it as given. As with Load,
// the set holds the rules that can be used.
func Parse(name string, text []byte, options ...LoadOption) (*RuleSet, error) {
	l := newLoader(options)
	l.file(name, text)
	return l.finish()
}

// With is the set with the rules of a user added. They replace those of the
// same id in their place, correlations of both refer to them, and the user's
// filters apply to all.
func (s *RuleSet) With(user *RuleSet) *RuleSet {
	joined := &RuleSet{Warnings: slices.Concat(s.Warnings, user.Warnings), filters: slices.Concat(s.filters, user.filters)}
	place := make(map[string]int, len(s.Rules))
	for i, r := range s.Rules {
		own := *r
		for _, f := range user.filters {
			f.apply(&own)
		}
		joined.Rules = append(joined.Rules, &own)
		place[r.ID] = i
	}
	for _, r := range user.Rules {
		own := *r
		own.User = true
		if i, known := place[r.ID]; known {
			joined.Rules[i] = &own
		} else {
			joined.Rules = append(joined.Rules, &own)
		}
	}
	joined.relink()
	before, after := silent(s.Rules), silent(joined.Rules)
	for i, r := range s.Rules {
		if i < len(joined.Rules) && joined.Rules[i].ID == r.ID && after[joined.Rules[i]] && !before[r] {
			joined.Warnings = append(joined.Warnings, problem(r, errors.New(
				"a correlation refers to the rule, which no longer counts by itself: to keep it, write generate: true in the correlation")))
		}
	}
	return joined
}

// loader collects the rules of one set.
type loader struct {
	strict       bool // ids that ATT&CK does not hold are errors
	placeholders map[string][]string

	rules    []*Rule
	filters  []*filter
	warnings []*Problem
	problems []*Problem

	name     string // of the file that is read
	expanded int    // values that placeholders of the file stand for
	current  *Rule  // the rule that is read
}

func newLoader(options []LoadOption) *loader {
	l := &loader{placeholders: map[string][]string{"home_net": homeNet}}
	for _, option := range options {
		option(l)
	}
	return l
}

// finish applies filters, links correlations and sums up.
func (l *loader) finish() (*RuleSet, error) {
	l.refuseDuplicates()
	known := make(map[string]*Rule)
	if !l.strict {
		maps.Copy(known, builtIn()) // a user's rules may refer to these
	}
	l.link(known)
	maps.Copy(known, index(l.rules))
	l.applyFilters(known)
	l.warnings = slices.DeleteFunc(l.warnings, func(w *Problem) bool { return l.isRefused(w) })
	slices.SortStableFunc(l.problems, func(a, b *Problem) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		return a.Line - b.Line
	})
	errs := make([]error, len(l.problems))
	for i, p := range l.problems {
		errs[i] = p
	}
	return &RuleSet{Rules: l.rules, Warnings: l.warnings, filters: l.filters}, errors.Join(errs...)
}

// isRefused reports whether a warning is about a rule that was not loaded.
func (l *loader) isRefused(w *Problem) bool {
	return slices.ContainsFunc(l.problems, func(p *Problem) bool { return p.File == w.File && p.ID == w.ID })
}

// builtIn finds the default rules by id and name.
func builtIn() map[string]*Rule {
	defaults.once.Do(func() {
		rules, _ := DefaultRules() // those that load: a test makes sure that all do
		defaults.rules = index(rules.Rules)
	})
	return defaults.rules
}

var defaults struct {
	once  sync.Once
	rules map[string]*Rule
}

var errTooLarge = fmt.Errorf("the file is larger than %d bytes", maxFile)

func (l *loader) unreadable(name string, err error) {
	l.problems = append(l.problems, &Problem{File: name, Reason: err.Error()})
}

// file reads the documents of one file.
func (l *loader) file(name string, text []byte) {
	l.name, l.expanded = name, 0
	if len(text) > maxFile {
		l.unreadable(name, errTooLarge)
		return
	}
	documents := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		switch err := documents.Decode(&document); {
		case err == io.EOF:
			return
		case err != nil:
			l.problems = append(l.problems, syntaxError(name, err))
			return
		case len(document.Content) > 0:
			l.document(document.Content[0])
		}
	}
}

// document reads one rule, correlation or filter.
func (l *loader) document(root *yaml.Node) {
	if root.Tag == "!!null" {
		return // as after a last ---
	}
	l.current = &Rule{File: l.name, Line: root.Line}
	if err := l.parse(root); err != nil {
		l.refused(l.current, err)
	}
}

// refused notes why a rule was not loaded.
func (l *loader) refused(r *Rule, err error) {
	l.problems = append(l.problems, problem(r, err))
}

func problem(r *Rule, err error) *Problem {
	p := &Problem{File: r.File, Line: r.Line, Rule: r.Title, ID: r.ID, Reason: err.Error()}
	if known, ok := errors.AsType[*refusal](err); ok {
		p.Line = known.line
	}
	return p
}

func (l *loader) warn(node *yaml.Node, format string, args ...any) {
	l.warnings = append(l.warnings, problem(l.current, refuse(node, format, args...)))
}

func (l *loader) parse(root *yaml.Node) error {
	m, err := mapping(root)
	if err != nil {
		return err
	}
	if err := l.metadata(root, m); err != nil {
		return err
	}
	kinds := 0
	for _, key := range []string{"detection", "correlation", "filter"} {
		if m[key] != nil {
			kinds++
		}
	}
	switch {
	case m["action"] != nil:
		return refuse(m["action"], "action belongs to Sigma version 1: write each rule in full, in a document of its own")
	case kinds != 1:
		return refuse(root, "want one of the sections detection, correlation and filter")
	case m["correlation"] != nil:
		return l.correlation(m)
	case m["filter"] != nil:
		return l.filter(root, m)
	}
	return l.detection(root, m)
}

// metadata reads what all kinds of rules have. Unknown keys are ignored: the
// specification allows custom ones.
func (l *loader) metadata(root *yaml.Node, m map[string]*yaml.Node) error {
	r := l.current
	in := section{values: m}
	r.Title, r.ID, r.Name = in.scalar("title"), in.scalar("id"), in.scalar("name")
	r.Status, r.Description, r.Author = in.scalar("status"), in.scalar("description"), in.scalar("author")
	r.Level, r.Tags = in.scalar("level"), in.texts("tags")
	r.References, r.FalsePositives = in.texts("references"), in.texts("falsepositives")
	taxonomy := in.scalar("taxonomy")
	switch {
	case in.err != nil:
		return in.err
	case r.Title == "":
		return refuse(root, "a rule needs a title")
	case utf8.RuneCountInString(r.Title) > 256:
		return refuse(m["title"], "the title is longer than 256 characters")
	case r.Status == "unsupported":
		return refuse(m["status"], "the status unsupported says that the rule cannot be used")
	case r.Status != "" && !slices.Contains(statuses, r.Status):
		return refuse(m["status"], "status %q is not known: use %s", r.Status, strings.Join(statuses, ", "))
	case taxonomy != "" && taxonomy != "sigma":
		return refuse(m["taxonomy"], "taxonomy %q is not known: use sigma", taxonomy)
	case r.Level == "":
		r.Level = levels[0]
	case !slices.Contains(levels, r.Level):
		return refuse(m["level"], "level %q is not known: use %s", r.Level, strings.Join(levels, ", "))
	}
	if r.ID == "" {
		r.ID = r.Name
	}
	if r.ID == "" {
		r.ID = r.Title
	}
	return l.threats(m["tags"])
}

// threats reads the tags of the namespace attack.
func (l *loader) threats(tags *yaml.Node) error {
	r := l.current
	for _, tag := range r.Tags {
		name, ok := strings.CutPrefix(strings.ToLower(tag), "attack.")
		if !ok || isOtherObject(name) {
			continue
		}
		var err error
		if isTechnique(name) {
			var t attack.Technique
			if t, err = attack.TechniqueByID(strings.ToUpper(name)); err == nil {
				r.Techniques = append(r.Techniques, t)
			}
		} else {
			var t attack.Tactic
			if t, err = attack.TacticNamed(name); err == nil {
				r.Tactics = append(r.Tactics, t)
			}
		}
		switch {
		case err == nil:
		case l.strict:
			return at(tags, fmt.Errorf("tag %s: %w", tag, err))
		default:
			l.warn(tags, "tag %s: %v", tag, err)
		}
	}
	return nil
}

func isTechnique(name string) bool { return len(name) > 1 && name[0] == 't' && isDigit(name[1]) }

// isOtherObject knows ATT&CK's groups, software and campaigns by their ids.
func isOtherObject(name string) bool {
	return len(name) > 1 && strings.IndexByte("gsc", name[0]) >= 0 && isDigit(name[1])
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// refuseDuplicates keeps the first of several rules with one id or name.
func (l *loader) refuseDuplicates() {
	seen := make(map[string]*Rule)
	l.rules = slices.DeleteFunc(l.rules, func(r *Rule) bool {
		for _, key := range []string{r.ID, r.Name} {
			if first := seen[key]; first != nil && key != "" {
				l.refused(r, fmt.Errorf("the rule at %s:%d has %q already as its id or name", first.File, first.Line, key))
				return true
			}
		}
		seen[r.ID], seen[r.Name] = r, r
		return false
	})
}

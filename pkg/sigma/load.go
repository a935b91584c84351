package sigma

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"regexp"
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
	rules = rules.with(user)
	for _, warning := range rules.Warnings {
		slog.Warn(warning.Error())
	}
	return rules, nil
}

// Load reads all rules of a folder and those below it, but none outside it:
// files *.yml and *.yaml, in any case, in the order of their paths, each with one or more
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
		ext := strings.ToLower(path.Ext(name))
		rule := ext == ".yml" || ext == ".yaml"
		switch {
		case err != nil && name == ".":
			return fmt.Errorf("read rules: %w", err)
		case err == nil && d.Type()&fs.ModeSymlink != 0 && !rule:
			l.warnings = append(l.warnings, &Problem{File: name, Reason: "a symbolic link that is not followed: if it leads to a folder of rules, name that folder"})
			return nil
		case err == nil && (d.IsDir() || !rule):
			return nil
		}
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
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

// with is the set with the rules of a user added. They replace those of the
// same id in their place, correlations of both refer to them, and the user's
// filters apply to all.
func (s *RuleSet) with(user *RuleSet) *RuleSet {
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
	l.warnings = slices.DeleteFunc(l.warnings, func(w *Problem) bool { // about a rule that was refused
		return slices.ContainsFunc(l.problems, func(p *Problem) bool { return p.File == w.File && p.ID == w.ID })
	})
	slices.SortStableFunc(l.problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	errs := make([]error, len(l.problems))
	for i, p := range l.problems {
		errs[i] = p
	}
	return &RuleSet{Rules: l.rules, Warnings: l.warnings, filters: l.filters}, errors.Join(errs...)
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

func (l *loader) warn(node *yaml.Node, format string, args ...any) {
	l.warnings = append(l.warnings, problem(l.current, refuse(node, format, args...)))
}

func (l *loader) parse(node *yaml.Node) error {
	root, err := mapping(node)
	if err != nil {
		return err
	}
	if err := l.metadata(root); err != nil {
		return err
	}
	readers := map[string]func(*section) error{"detection": l.detection, "correlation": l.correlation, "filter": l.filter}
	given := slices.DeleteFunc(slices.Clone(root.keys), func(key string) bool { return readers[key] == nil })
	switch action := root.values["action"]; {
	case action != nil:
		return refuse(action, "action belongs to Sigma version 1: write each rule in full, in a document of its own")
	case len(given) != 1:
		return refuse(node, "want one of the sections detection, correlation and filter")
	}
	return readers[given[0]](root)
}

// metadata reads what all kinds of rules have. Unknown keys are ignored: the
// specification allows custom ones.
func (l *loader) metadata(in *section) error {
	r := l.current
	r.Title, r.ID, r.Name = in.scalar("title"), in.scalar("id"), in.scalar("name")
	r.Status, r.Description, r.Author = in.scalar("status"), in.scalar("description"), in.scalar("author")
	r.Level, r.Tags = cmp.Or(in.scalar("level"), levels[0]), in.texts("tags")
	r.References, r.FalsePositives = in.texts("references"), in.texts("falsepositives")
	taxonomy := in.scalar("taxonomy")
	switch {
	case in.err != nil:
		return in.err
	case r.Title == "":
		return refuse(in.node, "a rule needs a title")
	case utf8.RuneCountInString(r.Title) > 256:
		return refuse(in.values["title"], "the title is longer than 256 characters")
	case r.Status == "unsupported":
		return refuse(in.values["status"], "the status unsupported says that the rule cannot be used")
	case r.Status != "" && !slices.Contains(statuses, r.Status):
		return refuse(in.values["status"], "status %q is not known: use %s", r.Status, strings.Join(statuses, ", "))
	case taxonomy != "" && taxonomy != "sigma":
		return refuse(in.values["taxonomy"], "taxonomy %q is not known: use sigma", taxonomy)
	case !slices.Contains(levels, r.Level):
		return refuse(in.values["level"], "level %q is not known: use %s", r.Level, strings.Join(levels, ", "))
	}
	r.ID = cmp.Or(r.ID, r.Name, r.Title)
	return l.threats(in.values["tags"])
}

var (
	techniqueID = regexp.MustCompile(`^t[0-9]`)
	otherObject = regexp.MustCompile(`^[gsc][0-9]`) // ATT&CK's groups, software and campaigns
)

// threats reads the tags of the namespace attack.
func (l *loader) threats(tags *yaml.Node) error {
	for _, tag := range l.current.Tags {
		name, ok := strings.CutPrefix(strings.ToLower(tag), "attack.")
		if !ok || otherObject.MatchString(name) {
			continue
		}
		err := l.current.addThreat(name)
		switch {
		case err == nil:
		case l.strict:
			return refuse(tags, "tag %s: %v", tag, err)
		default:
			l.warn(tags, "tag %s: %v", tag, err)
		}
	}
	return nil
}

func (r *Rule) addThreat(name string) error {
	if techniqueID.MatchString(name) {
		t, err := attack.TechniqueByID(strings.ToUpper(name))
		if err == nil {
			r.Techniques = append(r.Techniques, t)
		}
		return err
	}
	t, err := attack.TacticNamed(name)
	if err == nil {
		r.Tactics = append(r.Tactics, t)
	}
	return err
}

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

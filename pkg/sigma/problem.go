package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Problem is what is wrong with a rule, and where: the reason why it was not
// loaded, or a warning about one that was. The error of Load joins one Problem
// for each rule that was refused; [Problems] lists them.
type Problem struct {
	File   string
	Line   int    // from 1; 0 where it concerns the whole file
	Rule   string // its title, where it is known
	ID     string
	Reason string // what is wrong and what would be accepted
}

func (p *Problem) Error() string {
	at := p.File
	if p.Line > 0 {
		at += ":" + strconv.Itoa(p.Line)
	}
	if p.Rule == "" {
		return at + ": " + p.Reason
	}
	return fmt.Sprintf("%s: %q: %s", at, p.Rule, p.Reason)
}

// Problems lists the problems that an error of Load, Parse or DefaultRules
// holds, however it was wrapped, in the order of files and lines.
func Problems(err error) []*Problem {
	switch e := err.(type) { //nolint:errorlint // it goes down the tree of errors itself
	case *Problem:
		return []*Problem{e}
	case interface{ Unwrap() []error }:
		var all []*Problem
		for _, one := range e.Unwrap() {
			all = append(all, Problems(one)...)
		}
		return all
	case interface{ Unwrap() error }:
		return Problems(e.Unwrap())
	}
	return nil
}

// refuse says what is wrong at a node, whose rule and file are not known yet.
func refuse(at *yaml.Node, format string, args ...any) error {
	return &Problem{Line: at.Line, Reason: fmt.Sprintf(format, args...)}
}

// at gives an error that has no line the line of a node.
func at(node *yaml.Node, err error) error {
	if _, known := errors.AsType[*Problem](err); err == nil || known {
		return err
	}
	return &Problem{Line: node.Line, Reason: err.Error()}
}

// problem is what is wrong with a rule, at its beginning where the error does
// not say where.
func problem(r *Rule, err error) *Problem {
	p := &Problem{Line: r.Line, Reason: err.Error()}
	if known, ok := errors.AsType[*Problem](err); ok {
		p = known
	}
	p.File, p.Rule, p.ID = r.File, r.Title, r.ID
	return p
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntaxError turns an error of the YAML reader into a problem.
func syntaxError(file string, err error) *Problem {
	p := &Problem{File: file, Reason: "not YAML: " + yamlLine.ReplaceAllString(err.Error(), "")}
	if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
		p.Line, _ = strconv.Atoi(found[1]) // 0 where there is none
	}
	return p
}

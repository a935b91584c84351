package sigma

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A section is a YAML map with text keys. Its values are read until one is
// wrong.
type section struct {
	node   *yaml.Node
	keys   []string // in their order
	values map[string]*yaml.Node
	err    error
}

// mapping reads a map. Keys that come twice are refused, and so are aliases,
// here and in what is read by the functions below: written out, a rule says
// what it does where one reads it.
func mapping(node *yaml.Node) (*section, error) {
	if node.Kind != yaml.MappingNode {
		return nil, refuse(node, "want a map of keys and values")
	}
	s := &section{node: node, values: make(map[string]*yaml.Node, len(node.Content)/2)}
	for pair := range slices.Chunk(node.Content, 2) {
		key, value := pair[0], pair[1]
		switch {
		case key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode || key.Tag == "!!merge":
			return nil, refuse(key, "YAML aliases and merge keys are not supported: write the values out")
		case s.values[key.Value] != nil:
			return nil, refuse(key, "key %q comes twice", key.Value)
		}
		s.keys = append(s.keys, key.Value)
		s.values[key.Value] = value
	}
	return s, nil
}

// mappingOf reads a map that has no other keys than those of a table.
func mappingOf[V any](known map[string]V, node *yaml.Node) (*section, error) {
	s, err := mapping(node)
	if err != nil {
		return nil, err
	}
	for i, key := range s.keys {
		if _, ok := known[key]; !ok {
			return nil, refuse(node.Content[2*i], "key %q is not known: use %s", key, names(known))
		}
	}
	return s, nil
}

// names lists the keys of a table.
func names[V any](table map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}

func (s *section) scalar(key string) string  { return read(s, key, scalar) }
func (s *section) texts(key string) []string { return read(s, key, texts) }

func read[T any](s *section, key string, parse func(*yaml.Node) (T, error)) (value T) {
	if s.err == nil {
		value, s.err = parse(s.values[key])
	}
	return value
}

// scalar is the text of a node, empty where there is none.
func scalar(node *yaml.Node) (string, error) {
	if node == nil || node.Tag == "!!null" {
		return "", nil
	}
	if node.Kind != yaml.ScalarNode {
		return "", refuse(node, "want one text, not a list or a map")
	}
	return node.Value, nil
}

// texts are those of a list, or one alone.
func texts(node *yaml.Node) ([]string, error) {
	if node == nil || node.Tag == "!!null" {
		return nil, nil
	}
	var all []string
	for _, n := range elements(node) {
		t, err := scalar(n)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// elements are those of a list, or what stands there in place of one.
func elements(node *yaml.Node) []*yaml.Node {
	if node.Kind == yaml.SequenceNode {
		return node.Content
	}
	return []*yaml.Node{node}
}

// boolean is true or false, or one of YAML 1.1's words for them.
func boolean(node *yaml.Node) (value bool, err error) {
	if node.Tag == "!!null" || node.Decode(&value) != nil {
		return false, refuse(node, "want true or false, not %q", node.Value)
	}
	return value, nil
}

package sigma

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"soclab/pkg/event"
)

// FuzzPattern compares patterns with regular expressions that mean the same.
func FuzzPattern(f *testing.F) {
	for _, p := range []string{"a*b?c", `\*\?\\*`, "**", "?*?", "*ab*ab", "Ä?k"} {
		f.Add(p, "axbyc")
		f.Add(p, "aabab")
	}
	f.Fuzz(func(t *testing.T, p, text string) {
		if !utf8.ValidString(p) || !utf8.ValidString(text) || len(p) > 100 {
			return
		}
		var b strings.Builder
		b.WriteString(`(?is)\A`)
		for i := 0; i < len(p); {
			r, size := utf8.DecodeRuneInString(p[i:])
			switch {
			case r == '\\' && i+1 < len(p) && strings.IndexByte(`*?\`, p[i+1]) >= 0:
				b.WriteString(regexp.QuoteMeta(p[i+1 : i+2]))
				size = 2
			case r == '*':
				b.WriteString(".*")
			case r == '?':
				b.WriteString(".")
			default:
				b.WriteString(regexp.QuoteMeta(p[i : i+size]))
			}
			i += size
		}
		want := regexp.MustCompile(b.String() + `\z`).MatchString(text)
		if got := parsePattern(p).folded().compile()(foldString(text)); got != want {
			t.Errorf("pattern %q on %q: %v, want %v", p, text, got, want)
		}
	})
}

// FuzzRequirements: what an expression matches meets its requirements.
func FuzzRequirements(f *testing.F) {
	for _, re := range []string{"(?i)(^|\\.)(xmr|monero)\\.com$", "a{3,}b", "(ab|cd)+x?", "(?i)k", "[^a]b|c", "(foo|foobar|f.)o{2}", ""} {
		f.Add(re, "www.xmr.com")
		f.Add(re, "ABCDaaabx")
	}
	f.Fuzz(func(t *testing.T, text, s string) {
		re, err := regexp.Compile(text)
		if err != nil {
			return
		}
		need := requirementsOf(text)
		var v view
		v.set(eventOf(t, ""))
		v.event.User = s
		if source := mustField(t, "user.name").sources[0]; re.MatchString(s) && !need.metBy(&v, source) {
			t.Errorf("%q matches %q, which lacks %+v", text, s, need)
		}
	})
}

func mustField(t testing.TB, name string) field {
	t.Helper()
	f, err := fieldNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestAliases: each name stands for a field that exists, in lower case, and is
// no field's own name.
func TestAliases(t *testing.T) {
	for name, f := range aliases {
		if name != strings.ToLower(name) || len(f.sources) == 0 || f.unit == 0 {
			t.Errorf("alias %q: %+v", name, f)
		}
		for _, s := range f.sources {
			if s >= sourceCount {
				t.Errorf("alias %q: no source %d", name, s)
			}
		}
	}
	if f := mustField(t, "SRC_IP"); f.sources[0] != source(event.MustField("source.ip")) {
		t.Errorf("SRC_IP is %v", f.sources)
	}
}

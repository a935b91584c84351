// Package drawing holds what the lab's pictures share: their colours, the round
// numbers of their axes, and the SVG of those that a cell draws by itself.
package drawing

import (
	"fmt"
	"html"
	"image/color"
	"math"
	"strings"
)

// Okabe and Ito's palette, which people with any colour vision can tell apart
// (https://jfly.uni-koeln.de/color/).
var (
	Blue       = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
	Vermillion = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	Green      = color.NRGBA{0x00, 0x9e, 0x73, 0xff}
	Purple     = color.NRGBA{0xcc, 0x79, 0xa7, 0xff}
	Orange     = color.NRGBA{0xe6, 0x9f, 0x00, 0xff}
	SkyBlue    = color.NRGBA{0x56, 0xb4, 0xe9, 0xff}
)

// All that is not told apart by its colour.
var (
	Ink   = color.NRGBA{0x22, 0x22, 0x22, 0xff} // text
	Faint = color.NRGBA{0x66, 0x66, 0x66, 0xff} // text that matters less
	Grey  = color.NRGBA{0xb8, 0xbd, 0xc2, 0xff} // benign events, waiting, and the rest
	Pale  = color.NRGBA{0xe4, 0xe7, 0xea, 0xff} // grid lines
	White = color.NRGBA{0xff, 0xff, 0xff, 0xff}
)

// Hex is a colour as SVG writes it.
func Hex(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// RoundStep is the least 1, 2 or 5 times a power of ten that is not below x,
// which must be positive.
func RoundStep(x float64) float64 {
	power := math.Pow10(int(math.Floor(math.Log10(x))))
	for _, factor := range []float64{1, 2, 5} {
		if step := factor * power; step >= x*(1-1e-9) {
			return step
		}
	}
	return 10 * power
}

// SVG is a picture that is written piece by piece.
type SVG struct{ b strings.Builder }

// NewSVG begins a picture of a size in pixels. It becomes smaller where there is
// less room.
func NewSVG(width, height int) *SVG {
	s := &SVG{}
	s.Add(`<svg viewBox="0 0 %d %d" width="%d" style="max-width:100%%;background:%s" font-family="sans-serif" font-size="12" fill="%s" role="img">`,
		width, height, width, Hex(White), Hex(Ink))
	return s
}

// Add adds an element. Text in it that comes from elsewhere must be escaped.
func (s *SVG) Add(format string, args ...any) { fmt.Fprintf(&s.b, format, args...) }

// Text adds words; anchor is start, middle or end, attributes are as in SVG.
func (s *SVG) Text(x, y float64, anchor, attributes, words string) {
	s.Add(`<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`, x, y, anchor, attributes, html.EscapeString(words))
}

// Note adds words that matter less.
func (s *SVG) Note(x, y float64, anchor, words string) {
	s.Text(x, y, anchor, `font-size="11" fill="`+Hex(Faint)+`"`, words)
}

// String is the whole picture.
func (s *SVG) String() string { return s.b.String() + "</svg>" }

package stats

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"soclab/internal/drawing"
)

// ErrNoData is the error of the Plot functions where there is nothing to draw.
var ErrNoData = errors.New("nothing to plot")

// Figure is a picture of one plot or of several below each other, whose left
// and right edges are aligned. Its texts may be changed before PNG is called.
type Figure struct {
	Title    string // what is to be seen
	Subtitle string // what is shown
	panels   []panel
}

// panel is one plot of a figure.
type panel struct {
	heading string // may be empty
	legend  []swatch
	width   vg.Length // of the figure at least, with its margins
	height  vg.Length // of the plot with its axes
	*plot.Plot
}

// swatch explains a colour.
type swatch struct {
	name  string
	color color.Color
}

const (
	resolution  = 144 // dots per inch: sharp on a dense screen, and quick
	margin      = vg.Length(14)
	figureWidth = vg.Length(640) // at least

	// textRise makes up for the descent that gonum forgets in centred text.
	textRise = vg.Length(1.3)
)

func sans(size vg.Length, c color.Color) text.Style {
	return text.Style{Color: c, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size), Handler: plot.DefaultTextHandler}
}

func bold(size vg.Length) text.Style {
	style := sans(size, drawing.Ink)
	style.Font.Weight = xfont.WeightBold
	return style
}

// PNG draws the figure.
func (f *Figure) PNG() ([]byte, error) {
	var buffer bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: f.draw(resolution)}).WriteTo(&buffer); err != nil {
		return nil, fmt.Errorf("draw %q: %w", f.Title, err)
	}
	return buffer.Bytes(), nil
}

func (f *Figure) draw(dpi int) *vgimg.Canvas {
	title, subtitle := bold(14), sans(10, drawing.Faint)
	outer := figureWidth
	for _, p := range f.panels {
		outer = max(outer, p.width)
	}
	width := outer - 2*margin
	titleText := wrap(f.Title, title, width)
	subtitleText := wrap(f.Subtitle, subtitle, width)

	height := 2*margin + title.Height(titleText) + subtitle.Height(subtitleText) + 4
	for _, p := range f.panels {
		height += margin + p.headingHeight(width) + p.height
	}
	img := vgimg.NewWith(vgimg.UseWH(outer, height), vgimg.UseDPI(dpi))
	all := draw.New(img)
	rest := draw.Crop(all, margin, -margin, margin, -margin)
	write := func(style text.Style, words string) {
		style.YAlign = draw.YTop
		rest.FillText(style, vg.Point{X: rest.Min.X, Y: rest.Max.Y}, words)
		rest.Max.Y -= style.Height(words)
	}
	write(title, titleText)
	rest.Max.Y -= 4
	write(subtitle, subtitleText)

	areas := make([]draw.Canvas, len(f.panels))
	left, right := rest.Min.X, rest.Max.X
	for i, p := range f.panels {
		rest.Max.Y -= margin
		p.drawHeading(rest)
		rest.Max.Y -= p.headingHeight(width)
		areas[i] = rest
		areas[i].Min.Y = rest.Max.Y - p.height
		rest.Max.Y = areas[i].Min.Y
		data := p.DataCanvas(areas[i])
		left, right = max(left, data.Min.X), min(right, data.Max.X)
	}
	for i, p := range f.panels {
		data := p.DataCanvas(areas[i])
		p.Draw(draw.Crop(areas[i], left-data.Min.X, right-data.Max.X, 0, 0))
	}
	return img
}

const headingLine = vg.Length(18)

// headingHeight is the room above the plot: a line for heading and legend, or
// two where they do not fit beside each other.
func (p *panel) headingHeight(width vg.Length) vg.Length {
	if p.heading == "" {
		return 0
	}
	needed := bold(10).Width(p.heading)
	for _, swatch := range p.legend {
		needed += 22 + sans(9, drawing.Ink).Width(swatch.name)
	}
	if needed > width {
		return 2 * headingLine
	}
	return headingLine
}

// drawHeading draws the heading on the left and the swatches on the right.
func (p *panel) drawHeading(c draw.Canvas) {
	room := p.headingHeight(c.Max.X - c.Min.X)
	if room == 0 {
		return
	}
	heading, name := bold(10), sans(9, drawing.Ink)
	heading.YAlign, name.YAlign = draw.YTop, draw.YCenter
	c.FillText(heading, vg.Point{X: c.Min.X, Y: c.Max.Y}, p.heading)
	at := vg.Point{X: c.Max.X, Y: c.Max.Y - room + headingLine - 6}
	for _, swatch := range slices.Backward(p.legend) {
		at.X -= name.Width(swatch.name)
		c.FillText(name, vg.Point{X: at.X, Y: at.Y + textRise}, swatch.name)
		at.X -= 12
		square := vg.Rectangle{Min: vg.Point{X: at.X, Y: at.Y - 4}, Max: vg.Point{X: at.X + 8, Y: at.Y + 4}}
		c.SetColor(swatch.color)
		c.Fill(square.Path())
		at.X -= 10
	}
}

// wrap breaks the lines of a text into lines of at most a width, between words.
func wrap(words string, style text.Style, width vg.Length) string {
	var lines []string
	for paragraph := range strings.SplitSeq(words, "\n") {
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			longer := strings.TrimSpace(line + " " + word)
			if line != "" && style.Width(longer) > width {
				lines = append(lines, line)
				longer = word
			}
			line = longer
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// shorten cuts text that is wider than a width and ends it with an ellipsis.
func shorten(words string, style text.Style, width vg.Length) string {
	if style.Width(words) <= width {
		return words
	}
	runes := []rune(words)
	for len(runes) > 0 && style.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}

// newPlot is an empty plot in the style of all figures: small sans-serif text,
// no frame, no ticks.
func newPlot() *plot.Plot {
	p := plot.New()
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Width, axis.Tick.LineStyle.Width = 0, 0
		axis.Tick.Length, axis.Padding = 0, 0
		name := sans(9, drawing.Ink)
		name.XAlign, name.YAlign = axis.Tick.Label.XAlign, axis.Tick.Label.YAlign
		axis.Tick.Label, axis.Label.TextStyle = name, name // gonum takes the width of a blank from the second
		axis.Tick.Marker = plot.ConstantTicks(nil)
	}
	return p
}

// box is a filled rectangle in the coordinates of the data.
type box struct {
	x0, x1, y0, y1 float64
	color          color.Color
}

// boxes draws bars, stacks and cells alike.
type boxes []box

func (b boxes) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for _, b := range b {
		r := vg.Rectangle{Min: vg.Point{X: x(b.x0), Y: y(b.y0)}, Max: vg.Point{X: x(b.x1), Y: y(b.y1)}}
		c.SetColor(b.color)
		c.Fill(r.Path())
	}
}

// texts are words at places of the data.
type texts struct{ plotter.Labels }

func (t *texts) add(x, y float64, words string, style text.Style) {
	t.XYs = append(t.XYs, plotter.XY{X: x, Y: y})
	t.Labels.Labels = append(t.Labels.Labels, words)
	t.TextStyle = append(t.TextStyle, style)
}

// bar is one line of a bar chart: segments of one bar from left to right, its
// name to the left and its value to the right.
type bar struct {
	name  string
	parts []part
	value string
}

type part struct {
	length float64
	color  color.Color
}

// barPanel draws horizontal bars, the first at the top. The bars begin at
// zero, so lengths can be compared.
func barPanel(heading string, bars []bar) panel {
	const row = vg.Length(19)
	p := newPlot()
	name := p.Y.Tick.Label
	var shapes boxes
	var values texts
	values.Offset = vg.Point{X: 5, Y: textRise}
	value := sans(9, drawing.Ink)
	value.YAlign = draw.YCenter
	var ticks plot.ConstantTicks
	longest := 0.0
	for i, b := range bars {
		y := float64(len(bars) - 1 - i)
		ticks = append(ticks, plot.Tick{Value: y, Label: shorten(b.name, name, figureWidth/2)})
		end := 0.0
		for _, part := range b.parts {
			shapes = append(shapes, box{end, end + part.length, y - 0.36, y + 0.36, part.color})
			end += part.length
		}
		style := value
		if end == 0 {
			style.Color = drawing.Faint
		}
		values.add(end, y, b.value, style)
		longest = max(longest, end)
	}
	p.Add(shapes, &values)
	p.Y.Tick.Marker = ticks
	p.Y.Padding = 4
	p.Y.Min, p.Y.Max = -0.5, float64(len(bars))-0.5
	p.X.Min, p.X.Max = 0, max(longest, 1)
	return panel{heading: heading, height: row * vg.Length(len(bars)), Plot: p}
}

// shade is a colour that is nearly white where the part is none of the whole,
// and full where it is all.
func shade(c color.NRGBA, part, whole int) color.NRGBA {
	full := 0.1 + 0.9*math.Sqrt(share(part, whole))
	mix := func(to uint8) uint8 { return uint8(255 - full*(255-float64(to))) }
	return color.NRGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

// readable is the colour of text on a colour: white where that is dark.
func readable(on color.NRGBA) color.Color {
	if 0.299*float64(on.R)+0.587*float64(on.G)+0.114*float64(on.B) < 140 {
		return drawing.White
	}
	return drawing.Ink
}

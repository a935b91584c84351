package stats

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"soclab/internal/drawing"
	"soclab/pkg/attack"
	"soclab/pkg/human"
)

const (
	mostColumns = 24 // in a heat map of techniques
	wideColumns = 10 // how many have room for names
)

// PlotHeatmap shows which techniques were detected from which sources, for the
// sources with most detections.
func PlotHeatmap(s *Summary) (*Figure, error) {
	suspects := s.Suspects[:min(mostSources, len(s.Suspects))]
	techniques := techniquesOf(suspects, mostColumns)
	if len(techniques) == 0 {
		return nil, ErrNoData
	}
	var m matrix
	if len(techniques) <= wideColumns {
		names := make(map[string]string)
		for _, t := range s.ByTechnique {
			names[t.ID] = t.Name
		}
		for _, id := range techniques {
			m.columns = append(m.columns, id+"\n"+names[id])
		}
	} else {
		m.columns = narrow(techniques)
	}
	m.counts = make([][]int, len(suspects))
	for i, suspect := range suspects {
		m.rows = append(m.rows, suspect.IP)
		m.counts[i] = make([]int, len(techniques))
		for j, id := range techniques {
			m.counts[i][j] = suspect.Techniques[id]
		}
	}
	most := slices.Max(slices.Concat(m.counts...))
	m.color = func(row, column int) color.NRGBA {
		return shade(drawing.Blue, math.Sqrt(share(m.counts[row][column], most)))
	}
	first := suspects[0]
	panel, width := m.panel()
	return &Figure{
		Title: fmt.Sprintf("%s leads: %s of %s",
			first.IP, human.Counted(first.Detected, "detection"), human.Counted(len(techniquesOf(suspects[:1], math.MaxInt)), "technique")),
		Subtitle: fmt.Sprintf("Detections by source and technique, of the %s with most", human.Counted(len(suspects), "source")),
		Width:    width,
		Panels:   []Panel{panel},
	}, nil
}

// PlotConfusion shows what rows are and what they were labelled: right ones on
// the diagonal, in blue, mistakes beside it, in orange; the darker, the larger
// its share of the row.
func PlotConfusion(s *Scores) (*Figure, error) {
	c := s.Confusion
	if len(c.Names) == 0 {
		return nil, ErrNoData
	}
	m := matrix{counts: c.Counts, columns: c.Names}
	if len(c.Names) > wideColumns {
		m.columns = narrow(c.Names)
	}
	for _, name := range c.Names {
		if known, err := attack.TechniqueByID(name); err == nil {
			name += "  " + known.Name
		}
		m.rows = append(m.rows, name)
	}
	m.color = func(row, column int) color.NRGBA {
		sum := 0
		for _, n := range c.Counts[row] {
			sum += n
		}
		if row == column {
			return shade(drawing.Blue, math.Sqrt(share(c.Counts[row][column], sum)))
		}
		return shade(drawing.Vermillion, math.Sqrt(share(c.Counts[row][column], sum)))
	}
	panel, width := m.panel()
	panel.Heading = "What it is (row), what it was called (column)"
	panel.Legend = []Swatch{{"right", drawing.Blue}, {"wrong", drawing.Vermillion}}
	return &Figure{
		Title: fmt.Sprintf("%s of %s right, %d of %s found",
			human.Count(s.Overall.Right), human.Counted(s.Overall.Labelled, "label"), s.Overall.Found, human.Counted(s.Overall.Incidents, "incident")),
		Subtitle: fmt.Sprintf("Confusion matrix of %s; macro F1 %.3f; %s", human.Counted(s.Events, "row"), s.MacroF1, s.falseAlarmText()),
		Width:    width,
		Panels:   []Panel{panel},
	}, nil
}

// narrow breaks technique ids before the number of the sub-technique.
func narrow(ids []string) []string {
	var broken []string
	for _, id := range ids {
		broken = append(broken, strings.Replace(id, ".", "\n.", 1))
	}
	return broken
}

// matrix is a heat map with its counts written into the cells.
type matrix struct {
	rows, columns []string // names; a column's second line is broken to fit
	counts        [][]int  // [row][column]
	color         func(row, column int) color.NRGBA
}

func (m *matrix) panel() (Panel, vg.Length) {
	const (
		cell   = vg.Length(30)
		height = vg.Length(22)
	)
	p := newPlot()
	var cells boxes
	var values texts
	var xs, ys plot.ConstantTicks
	nameStyle := sans(8, drawing.Ink)
	width := cell
	for _, name := range m.columns {
		for word := range strings.FieldsSeq(name) {
			width = max(width, nameStyle.Width(word)+6)
		}
	}
	for j, name := range m.columns {
		label := wrap(name, nameStyle, width-2)
		xs = append(xs, plot.Tick{Value: float64(j), Label: label})
	}
	widest := vg.Length(0)
	for i, name := range m.rows {
		y := float64(len(m.rows) - 1 - i)
		ys = append(ys, plot.Tick{Value: y, Label: name})
		widest = max(widest, p.Y.Tick.Label.Width(name))
		for j, n := range m.counts[i] {
			x := float64(j)
			c := m.color(i, j)
			if n == 0 {
				c = color.NRGBA{0xf4, 0xf5, 0xf6, 0xff}
			}
			cells = append(cells, box{x - 0.48, x + 0.48, y - 0.46, y + 0.46, c})
			if n > 0 {
				style := sans(9, readable(c))
				style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
				values.add(x, y, compact(n), style)
			}
		}
	}
	values.Offset.Y = textRise
	p.Add(cells, &values)
	xs = levelled(xs)
	p.X.Tick.Marker, p.Y.Tick.Marker = xs, ys
	p.X.Tick.Label.Font.Size = 8
	p.X.Min, p.X.Max = -0.5, float64(len(m.columns))-0.5
	p.Y.Min, p.Y.Max = -0.5, float64(len(m.rows))-0.5
	p.Y.Padding, p.X.Padding = 4, 2
	labels := nameStyle.Height(xs[0].Label) + 6
	total := max(figureWidth, 2*margin+widest+10+width*vg.Length(len(m.columns)))
	return Panel{Height: height*vg.Length(len(m.rows)) + labels, Plot: p}, total
}

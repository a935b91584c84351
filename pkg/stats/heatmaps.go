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
	m := heatmap{columns: slices.Clone(techniques)}
	for _, t := range s.ByTechnique {
		if i := slices.Index(techniques, t.ID); i >= 0 && len(techniques) <= wideColumns {
			m.columns[i] += "\n" + t.Name
		}
	}
	for _, suspect := range suspects {
		m.rows = append(m.rows, suspect.IP)
		m.counts = append(m.counts, suspect.counts(techniques))
	}
	most := slices.Max(slices.Concat(m.counts...))
	m.color = func(row, column int) color.NRGBA { return shade(drawing.Blue, m.counts[row][column], most) }
	first := suspects[0]
	itsTechniques := human.Counted(len(techniquesOf(suspects[:1], math.MaxInt)), "technique")
	title := fmt.Sprintf("%s leads: %s of %s", first.IP, human.Counted(first.Detected, "detection"), itsTechniques)
	subtitle := fmt.Sprintf("Detections by source and technique, of the %s with most", human.Counted(len(suspects), "source"))
	return &Figure{title, subtitle, []panel{m.panel()}}, nil
}

// PlotConfusion shows what rows are and what they were labelled: right ones on
// the diagonal, in blue, mistakes beside it, in orange; the darker, the larger
// its share of the row.
func PlotConfusion(s *Scores) (*Figure, error) {
	if s == nil || len(s.Confusion.Names) == 0 {
		return nil, ErrNoData
	}
	c := s.Confusion
	m := heatmap{counts: c.Counts, columns: c.Names}
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
			return shade(drawing.Blue, c.Counts[row][column], sum)
		}
		return shade(drawing.Vermillion, c.Counts[row][column], sum)
	}
	shown := m.panel()
	shown.heading = "What it is (row), what it was called (column)"
	shown.legend = []swatch{{"right", drawing.Blue}, {"wrong", drawing.Vermillion}}
	all := s.Overall
	title := fmt.Sprintf("%s right, %s found", outOf(all.Right, all.Labelled, "label"), outOf(all.Found, all.Incidents, "incident"))
	subtitle := fmt.Sprintf("Confusion matrix of %s; macro F1 %.3f; %s", human.Counted(s.Events, "row"), s.MacroF1, s.falseAlarmText())
	return &Figure{title, subtitle, []panel{shown}}, nil
}

// heatmap shows counts by the shades of cells, and writes them there.
type heatmap struct {
	rows, columns []string // names; a column's are broken to fit
	counts        [][]int  // [row][column]
	color         func(row, column int) color.NRGBA
}

func (m *heatmap) panel() panel {
	const (
		cell = vg.Length(30)
		row  = vg.Length(22)
	)
	p := newPlot()
	nameStyle := sans(8, drawing.Ink)
	columns := slices.Clone(m.columns)
	width := cell
	for i, name := range columns {
		if len(columns) > wideColumns { // before the number of the sub-technique
			columns[i] = strings.Replace(name, ".", "\n.", 1)
		}
		for word := range strings.FieldsSeq(columns[i]) {
			width = max(width, nameStyle.Width(word)+6)
		}
	}
	var cells boxes
	var values texts
	var xs, ys plot.ConstantTicks
	for j, name := range columns {
		xs = append(xs, plot.Tick{Value: float64(j), Label: wrap(name, nameStyle, width-2)})
	}
	xs = levelled(xs)
	widest := vg.Length(0)
	for i, name := range m.rows {
		y := float64(len(m.rows) - 1 - i)
		ys = append(ys, plot.Tick{Value: y, Label: name})
		widest = max(widest, p.Y.Tick.Label.Width(name))
		for j, n := range m.counts[i] {
			x := float64(j)
			c := color.NRGBA{0xf4, 0xf5, 0xf6, 0xff}
			if n > 0 {
				c = m.color(i, j)
				style := sans(9, readable(c))
				style.XAlign, style.YAlign = draw.XCenter, draw.YCenter
				values.add(x, y, compact(n), style)
			}
			cells = append(cells, box{x - 0.48, x + 0.48, y - 0.46, y + 0.46, c})
		}
	}
	values.Offset.Y = textRise
	p.Add(cells, &values)
	p.X.Tick.Marker, p.Y.Tick.Marker = xs, ys
	p.X.Tick.Label.Font.Size = nameStyle.Font.Size
	p.X.Min, p.X.Max = -0.5, float64(len(m.columns))-0.5
	p.Y.Min, p.Y.Max = -0.5, float64(len(m.rows))-0.5
	p.Y.Padding, p.X.Padding = 4, 2
	return panel{
		width:  2*margin + widest + 10 + width*vg.Length(len(m.columns)),
		height: row*vg.Length(len(m.rows)) + nameStyle.Height(xs[0].Label) + 6,
		Plot:   p,
	}
}

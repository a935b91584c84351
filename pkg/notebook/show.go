package notebook

import (
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/janpfeifer/gonb/gonbui"
)

// HTML is a piece of a page. Text in it that comes from elsewhere, such as an
// event's, must be escaped.
type HTML string

// Table is rows of text, the first of which is the header.
type Table [][]string

// Show displays things below the cell:
//
//   - a string, as Markdown
//   - a [Table], or what has Records() [][]string, such as a gota frame
//   - a picture: what has PNG() ([]byte, error), such as the figures of stats
//   - what has HTML() HTML, such as a [Chart], and HTML itself
//
// Anything else is shown as fmt prints it. A failing picture ends the cell.
func Show(things ...any) {
	for _, thing := range things {
		switch thing := thing.(type) {
		case string:
			if gonbui.IsNotebook {
				gonbui.DisplayMarkdown(thing)
			} else {
				fmt.Println(thing)
			}
		case interface{ PNG() ([]byte, error) }:
			gonbui.DisplayPng(Must(thing.PNG()))
		default:
			gonbui.DisplayHtml(string(render(thing)))
		}
	}
	gonbui.Sync() // else what is still on its way when the cell ends is lost
}

// area is a place in the output whose content can be replaced.
type area struct {
	id   string
	last time.Time // when it was drawn
}

func newArea() *area { return &area{id: "area_" + gonbui.UniqueId()} }

func (a *area) show(thing any) {
	a.last = time.Now()
	gonbui.UpdateHtml(a.id, string(render(thing)))
	gonbui.Sync()
}

// showSoon shows things that change faster than they can be watched.
func (a *area) showSoon(thing any) {
	if time.Since(a.last) > 100*time.Millisecond {
		a.show(thing)
	}
}

func render(thing any) HTML {
	switch thing := thing.(type) {
	case HTML:
		return thing
	case interface{ HTML() HTML }:
		return thing.HTML()
	case interface{ Records() [][]string }:
		return Table(thing.Records()).HTML()
	default:
		return HTML("<pre>" + html.EscapeString(fmt.Sprint(thing)) + "</pre>")
	}
}

// Add adds a row of cells, as fmt prints them.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = fmt.Sprint(cell)
	}
	*t = append(*t, row)
}

// HTML draws the table. Columns of numbers are set flush right.
func (t Table) HTML() HTML {
	if len(t) == 0 {
		return ""
	}
	right := make([]bool, len(t[0]))
	for column := range right {
		right[column] = len(t) > 1
		for _, row := range t[1:] {
			right[column] = right[column] && column < len(row) && (row[column] == "" || isNumber(row[column]))
		}
	}
	var b strings.Builder
	line := func(tag string, row []string) {
		b.WriteString("<tr>")
		for column, cell := range row {
			align := "left"
			if column < len(right) && right[column] {
				align, cell = "right", shortNumber(cell)
			}
			fmt.Fprintf(&b, `<%s style="text-align:%s;white-space:nowrap">%s</%s>`, tag, align, html.EscapeString(cell), tag)
		}
		b.WriteString("</tr>")
	}
	b.WriteString(`<div style="overflow-x:auto"><table><thead>`)
	line("th", t[0])
	b.WriteString("</thead><tbody>")
	for _, row := range t[1:] {
		line("td", row)
	}
	b.WriteString("</tbody></table></div>")
	return HTML(b.String())
}

func isNumber(s string) bool {
	digits := strings.Trim(s, "+-0123456789.,%")
	return digits == "" && strings.ContainsAny(s, "0123456789") && strings.Count(s, ".") <= 1
}

// shortNumber cuts the zeros at the end that gota gives each fraction.
func shortNumber(s string) string {
	if _, fraction, _ := strings.Cut(s, "."); len(fraction) == 6 {
		return strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

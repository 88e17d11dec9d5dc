package web

import (
	"fmt"
	"math"
	"strings"
)

// chart is a chart of stacked bars, drawn here as an SVG: page.html has its template. Its
// bars are stretched to the width there is, so that it has no text of its own but titles;
// the words of its axes stand beside it in HTML, and are as large as others on a phone.
type chart struct {
	ID, Title, Desc string
	Series          []series
	Bars            []chartBar
	Scale           []string // of the axis, from the top to zero
	Ends            []string // under the bars, spread over their width
	Few             bool     // there is a word for each bar
	Empty           bool     // each bar is zero
}

// series is what one colour stands for: Class names it in page.css.
type series struct{ Class, Name string }

// stack is one bar, from the bottom to the top.
type stack struct {
	Label  string
	Values []float64 // of the series
}

// chartBar is a stack in the coordinates of the drawing.
type chartBar struct {
	X, Width float64
	HitX     float64
	HitWidth float64
	Title    string
	Parts    []chartPart
}

type chartPart struct {
	Class     string
	Y, Height float64
}

// The drawing is chartSlot wide for each bar, and chartHeight high.
const (
	chartSlot   = 20
	chartHeight = 100
	chartGap    = 3.0 // on each side of a bar
	fewGap      = 5.5 // where there are few
	// chartLeast is how high at least a part is that is not zero: one text that failed
	// among thousands must be seen.
	chartLeast = 1.5
)

// Width is that of the drawing.
func (c chart) Width() int { return chartSlot * len(c.Bars) }

// Height is that of the drawing.
func (chart) Height() int { return chartHeight }

// Half is where the line in the middle is.
func (chart) Half() int { return chartHeight / 2 }

// draw places the bars. words says how a value is written.
func (c chart) draw(stacks []stack, words func(float64) string) chart {
	most := 0.0
	for _, s := range stacks {
		sum := 0.0
		for _, v := range s.Values {
			sum += v
		}
		most = max(most, sum)
	}
	c.Empty = most <= 0
	top, gap := roundUp(most), chartGap
	if c.Few {
		gap = fewGap
	}
	for i, s := range stacks {
		b := chartBar{
			X: float64(i)*chartSlot + gap, Width: chartSlot - 2*gap, HitX: float64(i) * chartSlot, HitWidth: chartSlot,
		}
		var says []string
		y := float64(chartHeight)
		for j, v := range s.Values {
			if v <= 0 {
				continue
			}
			high := min(max(v/top*chartHeight, chartLeast), y)
			y -= high
			b.Parts = append(b.Parts, chartPart{c.Series[j].Class, y, high})
			says = append(says, words(v)+" "+c.Series[j].Name)
		}
		if len(says) == 0 {
			says = []string{"none"}
		}
		b.Title = s.Label + ": " + strings.Join(says, ", ")
		c.Bars = append(c.Bars, b)
	}
	c.Scale = []string{words(top), words(top / 2), words(0)}
	return c
}

// roundUp is a number for the top of an axis whose half is written shortly too.
func roundUp(most float64) float64 {
	if most <= 2 {
		return 2
	}
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, m := range []float64{1, 2, 4, 6, 8, 10} {
		if m*power >= most && (power > 1 || m != 1) {
			return m * power
		}
	}
	return 10 * power
}

// percent is a share in words; "" of nothing.
func percent(n, of int) string {
	if of == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(of))
}

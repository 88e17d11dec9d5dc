package cli

import (
	"io"
	"os"
	"regexp"
	"unicode/utf8"

	"golang.org/x/term"
)

// pageWidth is what fits into the terminal of whoever is woken at night, and how wide output
// is that goes to no terminal.
const pageWidth = 80

// style is how output may look. What a colour says is always said in words too.
type style struct {
	width  int  // in characters
	marks  bool // ✓ and the like
	colour bool
}

// colour is a way to show a word on a terminal, as the numbers of ECMA-48.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	green  colour = "32"
	yellow colour = "33"
	red    colour = "1;31"
)

// terminal returns the file behind a writer when it is a terminal, or nil.
func terminal(w io.Writer) *os.File {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// styleOf is how output on w may look: plain where it is not a terminal, or one that can do
// no more (TERM=dumb). NO_COLOR takes the colours away (https://no-color.org).
func styleOf(w io.Writer) style {
	f := terminal(w)
	if f == nil {
		return style{width: pageWidth}
	}
	s := style{width: widthOf(f)}
	if os.Getenv("TERM") != "dumb" {
		s.marks, s.colour = true, os.Getenv("NO_COLOR") == ""
	}
	return s
}

// widthOf is how many characters a line of a terminal takes.
func widthOf(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return pageWidth
	}
	return width
}

// length is how many characters of a text are to be seen.
func (s style) length(text string) int {
	return utf8.RuneCountInString(colours.ReplaceAllString(text, ""))
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// paint shows a text in a colour, where that is possible.
func (s style) paint(c colour, text string) string {
	if !s.colour || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// marked is paint with the mark of the colour in front, for those who do not see colours.
func (s style) marked(c colour, text string) string {
	if s.marks {
		text = map[colour]string{green: "✓ ", yellow: "! ", red: "✗ "}[c] + text
	}
	return s.paint(c, text)
}

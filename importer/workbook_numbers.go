package importer

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// What is said of a value that cannot be taken. The name of its cell follows, and
// what to do about it.
const (
	dateCell    = "is a date or a time"
	otherCell   = "is a number that its format shows as something else"
	formulaCell = "is a formula without a value"

	asText  = "format the column as text, and type the value again"
	asSaved = "open the workbook in a spreadsheet, and save it"
)

// refusal is a fault with the name of its cell and what to do about it.
func refusal(fault string, column, row int) string {
	do := asText
	if fault == formulaCell {
		do = asSaved
	}
	return fmt.Sprintf("%s (cell %s%d): %s", fault, columnName(column), row, do)
}

// styles are the number formats of a workbook, by the number that a cell has.
type styles struct {
	Custom []struct {
		ID   int    `xml:"numFmtId,attr"`
		Code string `xml:"formatCode,attr"`
	} `xml:"numFmts>numFmt"`
	Cells []struct {
		Format int `xml:"numFmtId,attr"`
	} `xml:"cellXfs>xf"`

	formats map[int]string
}

// format is the number format of a cell's style.
func (s *styles) format(style int) string {
	if style < 0 || style >= len(s.Cells) {
		return "General"
	}
	if s.formats == nil {
		s.formats = map[int]string{}
		for _, f := range s.Custom {
			s.formats[f.ID] = f.Code
		}
	}
	id := s.Cells[style].Format
	if code, ok := s.formats[id]; ok {
		return code
	}
	return builtinFormat(id)
}

// builtinFormat is a format that every spreadsheet knows by its number. Which date
// or time it is differs between countries, and does not matter: none is taken.
func builtinFormat(id int) string {
	switch {
	case id >= 14 && id <= 22, id >= 27 && id <= 36, id >= 45 && id <= 47, id >= 50 && id <= 58, id >= 71 && id <= 81:
		return "yyyy"
	case id >= 5 && id <= 8, id == 42, id == 44:
		return `"$"0`
	case id == 9, id == 10:
		return "0%"
	default:
		return "General"
	}
}

var (
	// formatBlank is what a format adds that is not seen as a character: the locale,
	// a color, room for a character, a fill, and spaces.
	formatBlank = regexp.MustCompile(`(?i)\[\$-[^\]]*\]|` +
		`\[(?:black|blue|cyan|green|magenta|red|white|yellow|color ?[0-9]+)\]|_.|\* |" *"|\\ | `)
	// formatPlain shows the digits of a whole number: with zeros in front, in groups,
	// with empty decimals, or rounded with an exponent while the cell holds them all.
	formatPlain = regexp.MustCompile(`^([#0?,]*[#0?])(?:\.[#0?]*)?(E[+-][#0?]+)?$`)
	// formatText is what a format shows as it stands.
	formatText = regexp.MustCompile(`"[^"]*"|\\.|\[\$[^\]]*\]`)
)

// formatDigits are the places that a format has for the digits of a number, from its
// first zero on, or why the number cannot be taken: under a format that is not plain
// the operator sees something else than the workbook holds.
func formatDigits(code string, number float64) (places, fault string) {
	sections := strings.Split(code, ";")
	section := sections[0]
	if number == 0 && len(sections) > 2 {
		section = sections[2]
	}
	section = formatBlank.ReplaceAllString(section, "")
	if strings.EqualFold(section, "General") || section == "@" {
		return "", ""
	}
	plain := formatPlain.FindStringSubmatch(section)
	switch {
	case plain == nil && strings.ContainsAny(formatText.ReplaceAllString(section, ""), "yYmMdDhHsS"):
		return "", dateCell
	case plain == nil:
		return "", otherCell
	case plain[2] != "": // rounded, but the cell holds all digits
		return "", ""
	}
	places = strings.TrimLeft(strings.ReplaceAll(plain[1], ",", ""), "#?")
	if number == 0 && places == "" {
		return "", otherCell // as nothing
	}
	return places, ""
}

// maxExact is the first number of sixteen digits: a spreadsheet keeps fifteen.
const maxExact = 1e15

// wholeNumber is the number of a cell as its format shows it, or why it cannot be
// taken. An account or a phone is digits: a date, a fraction or a rounded number is
// what a spreadsheet made of one.
func wholeNumber(value, format string) (text, fault string) {
	value = strings.TrimSpace(value)
	number, err := strconv.ParseFloat(value, 64)
	if err != nil || strings.Trim(value, "0123456789.eE+-") != "" {
		return "", "is not readable"
	}
	places, fault := formatDigits(format, number)
	switch {
	case fault != "":
		return "", fault
	case math.Abs(number) >= maxExact:
		return "", "has more than 15 digits, of which a spreadsheet keeps the first 15"
	case number != math.Trunc(number):
		return "", "is a fraction"
	case number < 0:
		return "", "is a negative number"
	}
	text = strconv.FormatInt(int64(number), 10)
	if len(places) <= len(text) {
		return text, ""
	}
	zeros := places[:len(places)-len(text)]
	if strings.Trim(zeros, "0") != "" || len(places) > MaxID {
		return "", otherCell // programs differ in what 0## shows of 4
	}
	return zeros + text, ""
}

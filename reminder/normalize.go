package reminder

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalize rewrites a text so that characters which only look special do not
// double its price: typographic quotes, dashes, spaces, bullets and ligatures
// become plain ones, and a letter whose accent GSM-7 lacks loses it ("á" is
// "a", while "é" stays). Newlines stay, a tab becomes a space, and other
// control characters and broken UTF-8 go ("?" stands for the latter). Scripts
// and symbols that GSM-7 cannot express are left alone, with the invisible
// marks that belong to them. It changes nothing when applied again, and
// returns a text that needs nothing as it is, without allocating.
func normalize(body string) string {
	i := 0
	for i < len(body) && body[i] < utf8.RuneSelf && septetTable[body[i]] != 0 && body[i] != '\r' && body[i] != '\f' {
		i++
	}
	if i == len(body) {
		return body
	}
	// Composed first: "e" with a combining accent is GSM-7's "é".
	body = norm.NFC.String(body)

	var b strings.Builder
	b.Grow(len(body))
	foreign := false // the last character written is not in GSM-7
	for i, r := range body {
		switch {
		case r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			if !strings.HasPrefix(body[i:], "\r\n") {
				b.WriteByte('\n')
			}
			foreign = false
		case r == '\t' || r == '\v' || r == '\f':
			b.WriteByte(' ')
			foreign = false
		case septetsOf(r) != 0:
			b.WriteRune(r)
			foreign = false
		case unicode.IsControl(r):
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
			// Joiners, direction marks, loose accents: part of a script or
			// an emoji, or residue of copying.
			if foreign {
				b.WriteRune(r)
			}
		default:
			foreign = !writePlain(&b, r)
			if foreign {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// writePlain writes the GSM-7 form of r, or writes nothing and reports false.
func writePlain(b *strings.Builder, r rune) bool {
	if s := lookalike(r); s != "" {
		b.WriteString(s)
		return true
	}
	// Unicode knows the rest: accents, odd spaces, full-width letters,
	// ligatures, superscripts.
	parts := norm.NFKD.PropertiesString(string(r)).Decomposition()
	for rest := parts; len(rest) > 0; {
		p, size := utf8.DecodeRune(rest)
		if septetsOf(p) == 0 && !unicode.Is(unicode.Mn, p) {
			return false
		}
		rest = rest[size:]
	}
	written := false
	for len(parts) > 0 {
		p, size := utf8.DecodeRune(parts)
		if septetsOf(p) != 0 {
			b.WriteRune(p)
			written = true
		}
		parts = parts[size:]
	}
	return written
}

// lookalike is the GSM-7 text for characters that Unicode does not itself
// break down, or breaks down into something that reads wrong.
func lookalike(r rune) string {
	switch r {
	case '`', '´', 'ʹ', 'ʻ', 'ʼ', 'ʽ', 'ˈ', '‘', '’', '‚', '‛', '′', '‵', '‹', '›', '❛', '❜', '｀':
		return "'"
	case '«', '»', '“', '”', '„', '‟', '″', '‶', '❝', '❞', '〝', '〞', 'ʺ':
		return `"`
	case '‐', '‑', '‒', '–', '—', '―', '⁃', '−', '﹘', '─', '˗':
		return "-"
	case '•', '‣', '●', '▪', '◦', '∙', '⁎', '∗':
		return "*"
	case '×':
		return "x"
	case '·':
		return "."
	case '⁄', '∕', '÷':
		return "/"
	case '¦', '∣':
		return "|"
	case '˜', '∼', '⁓':
		return "~"
	case 'ˆ':
		return "^"
	case '¼':
		return " 1/4"
	case '½':
		return " 1/2"
	case '¾':
		return " 3/4"
	case '\u1680':
		return " "
	case '\ufffd':
		return "?"
	case '©':
		return "(c)"
	case '®':
		return "(R)"
	case 'ł':
		return "l"
	case 'Ł':
		return "L"
	case 'đ', 'ð':
		return "d"
	case 'Đ', 'Ð':
		return "D"
	case 'ħ':
		return "h"
	case 'Ħ':
		return "H"
	case 'ı':
		return "i"
	case 'ŧ':
		return "t"
	case 'Ŧ':
		return "T"
	case 'ŋ':
		return "ng'"
	case 'Ŋ':
		return "Ng'"
	case 'œ':
		return "oe"
	case 'Œ':
		return "OE"
	case 'þ':
		return "th"
	case 'Þ':
		return "Th"
	case 'ẞ':
		return "SS"
	}
	return ""
}

package importer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// decoded is the file as UTF-8 without a byte order mark, where it is UTF-16 with or
// without one.
func decoded(in io.Reader) (text io.Reader, fault string, err error) {
	b := bufio.NewReader(in)
	start, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, "", err
	}
	const asCSV = "save the sheet as CSV UTF-8"
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		_, err := b.Discard(3)
		return b, "", err
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return transform.NewReader(b, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder()), "", nil
	case isZip(start), isOLE(start):
		return nil, "is a workbook, not a CSV file: " + asCSV, nil
	case hasZeros(start, 1): // letters of a header, each with a zero behind it
		return transform.NewReader(b, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()), "", nil
	case hasZeros(start, 0):
		return transform.NewReader(b, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder()), "", nil
	case bytes.IndexByte(start, 0) >= 0:
		return nil, "is not UTF-8 text: " + asCSV, nil
	}
	return b, "", nil
}

// hasZeros reports whether every second byte of a start, from first on, is zero, and
// no other, as in UTF-16 without its mark.
func hasZeros(start []byte, first int) bool {
	for i, c := range start {
		if (c == 0) != (i%2 == first) {
			return false
		}
	}
	return len(start) > 1
}

// encoding is what the texts of one file have shown of how they are written. Excel
// saves "CSV" in Windows-1252, in which no text with a letter beyond ASCII is
// likely to be UTF-8: so the first such text decides, and a file that has both was
// joined of two, of which nobody can tell where the one ends.
type encoding struct{ isUTF8, isWindows bool }

// decode is the text as UTF-8.
func (e *encoding) decode(raw string) (text, fault string) {
	const joined = "is not written like the rows before it, in UTF-8 or Windows-1252: save the file as CSV UTF-8"
	switch {
	case !strings.ContainsFunc(raw, func(r rune) bool { return r >= utf8.RuneSelf }):
		return raw, ""
	case utf8.ValidString(raw):
		if e.isWindows {
			return "", joined
		}
		e.isUTF8 = true
		return raw, ""
	case e.isUTF8:
		return "", joined
	}
	text, err := charmap.Windows1252.NewDecoder().String(raw)
	if err != nil || strings.ContainsFunc(text, func(r rune) bool { return r >= 0x80 && r < 0xa0 || r == utf8.RuneError }) {
		return "", "is neither UTF-8 nor Windows-1252: save the file as CSV UTF-8"
	}
	e.isWindows = true
	return text, ""
}

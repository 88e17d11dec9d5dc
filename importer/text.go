package importer

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// decoded is the file as UTF-8 without a byte order mark.
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
	case bytes.IndexByte(start, 0) >= 0:
		return nil, "is not UTF-8 text: " + asCSV, nil
	}
	return b, "", nil
}

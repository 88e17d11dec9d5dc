package importer

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// What a workbook may take. A file of a few kilobytes can unpack to many
// gigabytes, and the daemon reads bills_file within the memory that systemd
// leaves it.
const (
	maxWorkbook    = 64 << 20  // bytes as packed: it is held in memory, since a zip's directory is at its end
	maxZipParts    = 10_000    // parts that the zip lists
	maxUnpacked    = 768 << 20 // bytes of all parts that are read
	maxSmallPart   = 8 << 20   // bytes of a part that is held as a whole: styles, and the list of sheets
	maxXMLToken    = 1 << 20   // bytes of one tag or one run of text
	maxXMLTokens   = 100 << 20 // tags and runs of text: a sheet of a million rows and ten columns has half of them
	maxXMLDepth    = 64        // tags within tags; a sheet has some six
	maxSharedText  = 64 << 20  // bytes of the texts that cells share
	maxSharedCount = 8 << 20   // texts that cells share
)

const asWorkbook = "save it as .xlsx or as CSV UTF-8"

const (
	// errDamaged is said of a workbook that lacks what its format asks for.
	errDamaged sourceError = "is damaged or incomplete: open it in a spreadsheet, and " + asWorkbook
	// errTooLarge is said of a workbook beyond the bounds above.
	errTooLarge sourceError = "is larger than any list, or was made to exhaust memory: save the sheet as CSV UTF-8"
)

// workbook is an .xlsx file: a zip of XML parts.
type workbook struct {
	parts    map[string]*zip.File
	packed   int64 // bytes of the file
	unpacked int64 // bytes that may still be read from the parts
	tokens   int64 // tags and texts of them that may still be read
}

// isZip reports whether a file that begins like this is a zip, as each .xlsx is.
func isZip(start []byte) bool { return bytes.HasPrefix(start, []byte("PK\x03\x04")) }

// isOLE reports whether a file that begins like this is in the older format of
// Office, in which an .xlsx with a password is wrapped as well.
func isOLE(start []byte) bool { return bytes.HasPrefix(start, []byte("\xd0\xcf\x11\xe0")) }

// errOLE is said of such a file.
const errOLE sourceError = "is an .xls workbook, or one with a password: save it as .xlsx without a password, or as CSV UTF-8"

// openWorkbook reads the zip, and refuses what is another kind of file.
func openWorkbook(in io.Reader) (*workbook, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxWorkbook+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxWorkbook, bytes.Count(data, []byte("PK\x01\x02")) > maxZipParts:
		return nil, errTooLarge
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, errDamaged
	}
	w := &workbook{parts: map[string]*zip.File{}, packed: int64(len(data)), unpacked: maxUnpacked, tokens: maxXMLTokens}
	for _, f := range archive.File {
		w.parts[partName(f.Name)] = f
	}
	switch {
	case w.parts["mimetype"] != nil:
		return nil, sourceError("is an OpenDocument file (.ods): " + asWorkbook)
	case w.parts["xl/workbook.bin"] != nil:
		return nil, sourceError("is a binary workbook (.xlsb): " + asWorkbook)
	case w.parts["[content_types].xml"] == nil:
		return nil, sourceError("is a zip without a workbook in it: unpack it, or save the list as .xlsx or as CSV UTF-8")
	}
	return w, nil
}

// partName is a name as the parts are looked up by: programs differ in its case and slashes.
func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "/"))
}

// relation says which part plays which role for another one.
type relation struct {
	ID     string `xml:"Id,attr"`
	Type   string `xml:"Type,attr"`
	Target string `xml:"Target,attr"`
}

// is reports whether the role is the named one. The two editions of the standard
// write it behind different addresses.
func (r relation) is(role string) bool { return path.Base(r.Type) == role }

// relations are those of a part, "" for the workbook as a whole, with the names of
// the parts that they point to.
func (w *workbook) relations(of string) ([]relation, error) {
	var list struct {
		Relations []relation `xml:"Relationship"`
	}
	folder, name := path.Split(of)
	if err := w.decode(folder+"_rels/"+name+".rels", &list); err != nil {
		return nil, err
	}
	for i, r := range list.Relations {
		if !strings.HasPrefix(r.Target, "/") {
			r.Target = path.Join(folder, r.Target)
		}
		list.Relations[i].Target = partName(r.Target)
	}
	return list.Relations, nil
}

// target is the part of a role, "" when there is none.
func target(relations []relation, role string) string {
	i := slices.IndexFunc(relations, func(r relation) bool { return r.is(role) })
	if i < 0 {
		return ""
	}
	return relations[i].Target
}

// sheet is one tab of a workbook.
type sheet struct {
	Name  string `xml:"name,attr"`
	State string `xml:"state,attr"`
	ID    string `xml:"http://schemas.openxmlformats.org/officeDocument/2006/relationships id,attr"`
	// The strict edition of the standard has another address for the same.
	StrictID string `xml:"http://purl.oclc.org/ooxml/officeDocument/relationships id,attr"`
	part     string
}

// sheets are the tabs with cells, in their order, and the relations of the workbook.
func (w *workbook) sheets() ([]sheet, []relation, error) {
	top, err := w.relations("")
	if err != nil {
		return nil, nil, err
	}
	main := target(top, "officeDocument")
	relations, err := w.relations(main)
	if err != nil {
		return nil, nil, err
	}
	var book struct {
		Sheets []sheet `xml:"sheets>sheet"`
	}
	if err := w.decode(main, &book); err != nil {
		return nil, nil, err
	}
	byID := map[string]relation{}
	for _, r := range relations {
		byID[r.ID] = r
	}
	var found []sheet
	for _, s := range book.Sheets {
		if r := byID[s.ID+s.StrictID]; r.is("worksheet") { // a tab may hold a chart alone
			s.part = r.Target
			found = append(found, s)
		}
	}
	if len(found) == 0 {
		return nil, nil, errDamaged
	}
	return found, relations, nil
}

// pickSheet finds a sheet by its name or its number from 1. Without either it is
// the first that is not hidden: what an operator sees when the workbook opens.
func pickSheet(sheets []sheet, wanted string) (sheet, error) {
	if wanted == "" {
		i := slices.IndexFunc(sheets, func(s sheet) bool { return s.State == "" || s.State == "visible" })
		return sheets[max(i, 0)], nil
	}
	for _, s := range sheets {
		if strings.EqualFold(strings.TrimSpace(s.Name), strings.TrimSpace(wanted)) {
			return s, nil
		}
	}
	if n, err := strconv.Atoi(wanted); err == nil && n >= 1 && n <= len(sheets) {
		return sheets[n-1], nil
	}
	var names []string
	for i, s := range sheets[:min(len(sheets), 20)] {
		names = append(names, fmt.Sprintf("%d %s", i+1, shownHeader(s.Name)))
	}
	return sheet{}, sourceError("has no sheet of that name or number: it has " + strings.Join(names, ", "))
}

// decode reads a small part as a whole.
func (w *workbook) decode(name string, into any) error {
	p, err := w.open(name, maxSmallPart)
	if err != nil {
		return err
	}
	err = p.xml.Decode(into)
	if err == nil {
		_, err = io.Copy(io.Discard, p) // the zip's checksum is behind the last byte
	}
	if err != nil {
		return p.fault()
	}
	return nil
}

// open begins to read a part of at most so many bytes.
func (w *workbook) open(name string, limit int64) (*part, error) {
	file := w.parts[partName(name)]
	if file == nil {
		return nil, errDamaged
	}
	unpacked, err := file.Open()
	if err != nil {
		return nil, errDamaged
	}
	p := &part{book: w, in: unpacked, left: limit, token: limit}
	p.xml = xml.NewDecoder(p)
	return p, nil
}

// part is an XML part that is being read, within its bounds.
type part struct {
	book  *workbook
	in    io.Reader // of the zip in memory: there is nothing to close
	xml   *xml.Decoder
	left  int64 // bytes that may still be read
	token int64 // of those, before the next tag or text must be complete
	depth int
	large bool // a bound was met
}

// Read counts what the decoder reads. The sizes that a zip declares are not
// believed: only what comes out counts.
func (p *part) Read(to []byte) (int, error) {
	if p.left <= 0 || p.token <= 0 || p.book.unpacked <= 0 {
		p.large = true
		return 0, errTooLarge
	}
	n, err := p.in.Read(to)
	p.left -= int64(n)
	p.token -= int64(n)
	p.book.unpacked -= int64(n)
	return n, err
}

// next is the next tag or text, io.EOF at the end of a whole and sound part.
// It is valid until the next call.
func (p *part) next() (xml.Token, error) {
	p.token = maxXMLToken
	t, err := p.xml.Token()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, p.fault()
	}
	if p.book.tokens--; p.book.tokens < 0 {
		return nil, errTooLarge
	}
	switch t.(type) {
	case xml.StartElement:
		if p.depth++; p.depth > maxXMLDepth {
			return nil, errTooLarge
		}
	case xml.EndElement:
		p.depth--
	}
	return t, nil
}

// fault is the error of a part. What the decoder says of it helps nobody who has a
// spreadsheet before them, and may repeat what is in a cell.
func (p *part) fault() error {
	if p.large {
		return errTooLarge
	}
	return errDamaged
}

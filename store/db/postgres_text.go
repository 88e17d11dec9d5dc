package db

import (
	"database/sql/driver"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"
)

// postgresTexts are the statements as PostgreSQL reads them, by their text.
var postgresTexts sync.Map

var (
	placeholder = regexp.MustCompile(`\?(\d+)( \+ 0| \|\| '')?`)
	arrayOfRows = regexp.MustCompile(`\(VALUES %s\)|VALUES %s|IN \(%s\)`)
)

// postgresText has the placeholders of a statement in PostgreSQL's form. What keeps SQLite
// from preparing a statement anew (see Reader) gives way to the type that it implies.
func postgresText(query string) string {
	if text, ok := postgresTexts.Load(query); ok {
		return text.(string) // only texts are stored
	}
	text := placeholder.ReplaceAllStringFunc(query, func(p string) string {
		parts := placeholder.FindStringSubmatch(p)
		switch parts[2] {
		case " + 0":
			return "$" + parts[1] + "::bigint"
		case " || ''":
			return "$" + parts[1] + "::text"
		}
		return "$" + parts[1]
	})
	postgresTexts.Store(query, text)
	return text
}

// storable is text as PostgreSQL takes it, which has no place for a zero byte, or for bytes
// that are no UTF-8.
func storable(s string) string {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	const unreadable = "\uFFFD"
	return strings.ReplaceAll(strings.ToValidUTF8(s, unreadable), "\x00", unreadable)
}

// mostInArrays is how many rows a statement takes at most: they are kept in memory twice.
const mostInArrays = 5000

// withArrays is the statement of a Batch with an array for each column, which PostgreSQL
// unpacks to rows again: one text, which is planned once, for any number of rows.
func withArrays(query string, fixed int, columns []Type) string {
	arrays := make([]string, len(columns))
	for i, c := range columns {
		arrays[i] = fmt.Sprintf("?%d::%s[]", fixed+i+1, c)
	}
	unnest := "SELECT * FROM unnest(" + strings.Join(arrays, ", ") + ")"
	return arrayOfRows.ReplaceAllStringFunc(query, func(rows string) string {
		switch rows[0] {
		case '(':
			return "(" + unnest + ")"
		case 'V':
			return unnest
		default:
			return "= ANY (" + arrays[0] + ")"
		}
	})
}

// arrayArgument is a column of the rows of a batch.
type arrayArgument interface{ pgtype.ArrayGetter }

type (
	integers = pgtype.FlatArray[pgtype.Int8]
	texts    = pgtype.FlatArray[pgtype.Text]
)

// inArrays turns the arguments of rows into an array for each column, behind the fixed ones.
func (b *argBuffer) inArrays(args []any, fixed int, columns []Type) ([]any, error) {
	rows := (len(args) - fixed) / len(columns)
	b.arrays = append(b.arrays[:0], args[:fixed]...)
	for c, t := range columns {
		var array any
		var err error
		if t == Integer {
			array, err = integersOf(args[fixed:], c, len(columns), rows)
		} else {
			array, err = textsOf(args[fixed:], c, len(columns), rows)
		}
		if err != nil {
			return nil, fmt.Errorf("column %d: %w", c+1, err)
		}
		b.arrays = append(b.arrays, array)
	}
	return b.arrays, nil
}

// integersOf is one column of rows of so many columns.
func integersOf(args []any, column, columns, rows int) (integers, error) {
	all := make(integers, rows)
	for i := range all {
		v, err := driver.DefaultParameterConverter.ConvertValue(args[i*columns+column])
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case nil:
		case int64:
			all[i] = pgtype.Int8{Int64: v, Valid: true}
		case bool:
			all[i].Valid = true
			if v {
				all[i].Int64 = 1
			}
		default:
			return nil, fmt.Errorf("%T instead of a number", v)
		}
	}
	return all, nil
}

func textsOf(args []any, column, columns, rows int) (texts, error) {
	all := make(texts, rows)
	for i := range all {
		v, err := driver.DefaultParameterConverter.ConvertValue(args[i*columns+column])
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case nil:
		case string:
			all[i] = pgtype.Text{String: storable(v), Valid: true}
		case int64: // a number in a column of text, as SQLite takes it
			all[i] = pgtype.Text{String: strconv.FormatInt(v, 10), Valid: true}
		default:
			return nil, fmt.Errorf("%T instead of text", v)
		}
	}
	return all, nil
}

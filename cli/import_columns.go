package cli

import (
	"fmt"
	"strings"
)

// columnsFlag is the flag --columns: pairs of a field and a column, with commas
// between. A column whose header has a comma or spaces may stand in quotation marks, as
// in account="Acc No", whether the shell takes them or not.
type columnsFlag map[string]string

// Set adds the pairs of one flag.
func (f columnsFlag) Set(pairs string) error {
	quoted := false
	for _, pair := range strings.FieldsFunc(pairs, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ',' && !quoted
	}) {
		field, column, ok := strings.Cut(unquoted(pair), "=")
		field, column = strings.TrimSpace(field), unquoted(column)
		if !ok || field == "" || column == "" {
			return fmt.Errorf("%q: write FIELD=COLUMN, such as phone=MSISDN or phone=4", pair)
		}
		f[field] = column
	}
	if quoted {
		return fmt.Errorf("%q: a quotation mark is not closed", pairs)
	}
	return nil
}

// unquoted is a text without the quotation marks and spaces around it.
func unquoted(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && strings.HasPrefix(s, `"`) && strings.HasSuffix(s, `"`) {
		return strings.TrimSpace(s[1 : len(s)-1])
	}
	return s
}

func (f columnsFlag) String() string { return "" } // of the default, for help

// Type names the kind of flag, for help.
func (f columnsFlag) Type() string { return "columns" }

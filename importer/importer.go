// Package importer reads lists that come from outside: bills and phones in CSV files
// and workbooks, as people and spreadsheets write them. It promises that a row it
// returns can be used without further checks, that a faulty one is refused with its
// line, its column and what to write instead, and that memory does not grow with a
// CSV file, nor beyond a bound with a workbook. It never guesses at a value that a
// spreadsheet has spoilt, never repeats a phone number in a message, and never writes.
//
// The config holds its own list of bills to the same checks; the daemon reads
// bills_file by it, and the commands import, optout and export what they are given.
package importer

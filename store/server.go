package store

import (
	"context"

	"duewatch/store/db"
)

// ServerReport is what an operator should know of the server of a database.
type ServerReport = db.ServerReport

// LongTransaction is one that has been open on the database for longer than a minute.
type LongTransaction = db.LongTransaction

// ReportServer asks the server of a database, by its address, whether or not there is a
// store in it.
func ReportServer(ctx context.Context, address string) (ServerReport, error) {
	return db.ReportServer(ctx, address)
}

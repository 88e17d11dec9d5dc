package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"duewatch/config"
	"duewatch/importer"
	"duewatch/reminder"
	"duewatch/store"
)

// BillsFile is a bills_file without a fault, which may wait to be declared.
type BillsFile struct {
	Rows    int // 0 when it was not read, since the store is as it says already
	Columns importer.Columns
	Notes   importer.Notes

	name string
	sum  []byte // SHA-256 of the file
	// mark is the hash of the list and of all that its reading went by;
	// "" when there is no file.
	mark  string
	same  bool               // the store is as the file says already
	index *store.ImportIndex // the list, unless same; nil when there is no file
}

// Close drops what is kept of the list.
func (f *BillsFile) Close() error {
	if f == nil {
		return nil
	}
	return f.index.Close()
}

// What the store remembers of the file that it was last made equal to: its
// mark, or that it is being made so.
const (
	metaBillsFile = "bills_file"
	markUnderWay  = "under way"
)

// readBillsFile checks the file that the config names, to the end, and changes
// nothing. What is wrong with it is a *config.Error. A file that was declared
// just so before is not read a second time: at ten million bills that is the
// difference between seconds and minutes for each start.
func (d *daemon) readBillsFile(ctx context.Context, cfg *config.Config, log *slog.Logger) (*BillsFile, error) {
	last, err := d.store.Meta(ctx, metaBillsFile)
	if err != nil {
		return nil, err
	}
	if cfg.BillsFile == "" {
		return &BillsFile{same: last == ""}, nil
	}
	if last != "" {
		mark, err := d.markOf(cfg)
		if err != nil {
			return nil, err
		}
		if mark == last {
			return &BillsFile{name: cfg.BillsFile, mark: mark, same: true}, nil
		}
	}
	report := d.newReporter(ctx, log)
	file, err := CheckBillsFile(ctx, cfg, true, func(rows int, _ []reminder.ListedBill) { report("bills_file is being checked", rows) })
	if err == nil {
		file.mark = d.markFrom(cfg, file.sum)
		file.log(log)
	}
	return file, err
}

// log says how the file was understood, unless it is just as we would write it: an
// account from the wrong column is somebody else's bill.
func (f *BillsFile) log(log *slog.Logger) {
	if !f.Columns.Own {
		log.Info("bills_file has other columns than ours", "file", f.name, "columns", f.Columns.String())
	}
	for _, note := range f.Notes.Lines() {
		log.Info("bills_file is used with a note", "file", f.name, "note", note)
	}
}

// reportEvery is how often a long piece of work is reported.
const reportEvery = 5 * time.Second

// newReporter returns what reports the progress of a long piece of work to the log, to systemd, whose
// watchdog would end it otherwise, and to the other daemons, which would take this one for dead.
func (d *daemon) newReporter(ctx context.Context, log *slog.Logger) func(what string, rows int) {
	last := time.Now()
	return func(what string, rows int) {
		if time.Since(last) < reportEvery {
			return
		}
		last = time.Now()
		log.Info(what, "rows", rows)
		notifySystemd(log, systemd.SdNotifyWatchdog)
		_, _ = d.store.OthersWrote(ctx) // renews the lease; what fails is tried with the next report
	}
}

func openBillsFile(cfg *config.Config) (*os.File, error) {
	in, err := os.Open(cfg.BillsFile)
	if err != nil {
		text := fmt.Sprintf("%s cannot be read: %v", cfg.BillsFile, importer.WithoutPath(err))
		if importer.IsAddress(cfg.BillsFile) { // not repeated: the address of a private sheet opens it
			text = importer.ErrAddress.Error()
		}
		return nil, &config.Error{Problems: []importer.Problem{{Key: "bills_file", Text: text}}}
	}
	return in, nil
}

// markOf is the mark of the file as it is now.
func (d *daemon) markOf(cfg *config.Config) (string, error) {
	in, err := openBillsFile(cfg)
	if err != nil {
		return "", err
	}
	defer in.Close() //nolint:errcheck // only read from
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return "", fmt.Errorf("read bills_file: %w", err)
	}
	return d.markFrom(cfg, sum.Sum(nil)), nil
}

// markFrom joins a file's hash with all that decides how the file is read: the
// same rows can be other bills, or none, under another config or version.
func (d *daemon) markFrom(cfg *config.Config, sum []byte) string {
	type bill struct{ Service, Account string }
	declared := make([]bill, len(cfg.Bills))
	for i, b := range cfg.Bills {
		declared[i] = bill{b.Service, b.Account}
	}
	languages, names := map[string][]string{}, map[string]string{}
	for id, p := range cfg.Policies.ByService {
		languages[id], names[id] = p.Templates.Languages(), p.ServiceName
	}
	b, err := json.Marshal([]any{
		d.Version, sum, cfg.BillsColumns, cfg.Country, cfg.MobilePrefixes,
		cfg.Policies.Default.Templates.Languages(), languages, names, declared,
	})
	if err != nil {
		panic("a mark cannot be encoded: " + err.Error()) // texts only
	}
	mark := sha256.Sum256(b)
	return hex.EncodeToString(mark[:])
}

// declareBills makes the store's lists of bills those of the config and of its file.
// A bill that moved from one to the other is taken over, not removed and added:
// so the file's bills are added first and removed last. When a list has lost
// too many bills at once, both stay as they were, since bills move between them.
// Without a file that was read nothing is declared, and what is held stays held.
func (d *daemon) declareBills(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	file := d.billsFile
	if file == nil {
		return nil
	}
	d.billsFile = nil
	defer func() { err = errors.Join(err, file.Close()) }()
	if held, err := d.holdShrunk(ctx, cfg, file, log); err != nil || held {
		return err
	}
	var n store.Declared
	if !file.same {
		if err := d.store.SetMeta(metaBillsFile, markUnderWay); err != nil {
			return err
		}
		if err := d.addFromFile(ctx, file, &n, log); err != nil {
			return err
		}
	}
	if err := d.declareConfig(cfg, log); err != nil {
		return err
	}
	if file.same {
		return nil
	}
	if err := d.removeUnlisted(ctx, file, &n, log); err != nil {
		return err
	}
	log.Info("bills_file declared", "file", file.name, "listed", file.Rows, "new", n.Added, "changed", n.Changed, "removed", n.Removed)
	if err := d.store.SetMeta(metaBillsFile, file.mark); err != nil {
		return err
	}
	return d.store.ForgetList(store.SourceFile)
}

func (d *daemon) declareConfig(cfg *config.Config, log *slog.Logger) error {
	n, err := d.store.Declare(store.SourceConfig, cfg.Bills, d.Now())
	if err != nil {
		return err
	}
	if err := d.store.ForgetList(store.SourceConfig); err != nil {
		return err
	}
	if n != (store.Declared{}) {
		log.Info("bills declared", "listed", len(cfg.Bills), "new", n.Added, "changed", n.Changed, "removed", n.Removed)
	}
	return nil
}

// importBatch is how many bills of the file share a transaction: the more, the fewer
// pages of the indexes are written again and again.
const importBatch = 50_000

func (d *daemon) addFromFile(ctx context.Context, file *BillsFile, n *store.Declared, log *slog.Logger) error {
	if file.index == nil {
		return nil
	}
	done, report := 0, d.newReporter(ctx, log)
	return file.index.Each(importBatch, func(rows []reminder.ListedBill) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		importer.SortByIdentity(rows)
		changes, err := d.store.Import(ctx, store.SourceFile, importer.Bills(rows), d.Now(), nil)
		if err != nil {
			return err
		}
		n.Count(changes)
		done += len(rows)
		report("bills_file is being declared", done)
		return nil
	})
}

func (d *daemon) removeUnlisted(ctx context.Context, file *BillsFile, n *store.Declared, log *slog.Logger) error {
	report := d.newReporter(ctx, log)
	for last := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, removed, err := d.store.RemoveUnlisted(ctx, store.SourceFile, file.index, last, d.Now())
		if err != nil {
			return err
		}
		n.Removed += removed
		if next == 0 {
			return nil
		}
		report("bills that bills_file no longer names are being removed", n.Removed)
		last = next
	}
}

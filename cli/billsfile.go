package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"

	"duewatch/config"
	"duewatch/store"
)

// billsFile is what bills_file lists, checked and waiting to be declared.
type billsFile struct {
	name string
	// mark tells this list from every other, with all that its reading went by;
	// "" when there is no file.
	mark string
	same bool               // the store is as the file says already
	roll *store.ImportIndex // the list, unless same; nil when there is no file
	rows int
}

func (f *billsFile) close() error {
	if f == nil {
		return nil
	}
	return f.roll.Close()
}

// What the store remembers of the file that it was last made equal to: its
// mark, or that it is being made so.
const (
	metaBillsFile = "bills_file"
	markUnderWay  = "under way"
)

// maxListed bounds how many wrong rows are listed, in a log too.
const maxListed = 1000

// readBillsFile checks the file that the config names, to the end, and changes
// nothing. What is wrong with it is a *config.Error. A file that was declared
// just so before is not read a second time: at ten million bills that is the
// difference between seconds and minutes for each start.
func (d *daemon) readBillsFile(ctx context.Context, cfg *config.Config, log *slog.Logger) (*billsFile, error) {
	last, err := d.store.Meta(ctx, metaBillsFile)
	if err != nil {
		return nil, err
	}
	if cfg.BillsFile == "" {
		return &billsFile{same: last == ""}, nil
	}
	if last != "" {
		mark, err := markOf(cfg)
		if err != nil {
			return nil, err
		}
		if mark == last {
			return &billsFile{name: cfg.BillsFile, mark: mark, same: true}, nil
		}
	}
	tell := d.teller(log)
	return checkBillsFile(ctx, cfg, true, func(rows int, _ []store.Row) { tell("bills_file is being checked", rows) })
}

// teller returns what keeps the log and systemd informed in a long piece of
// work, every few seconds.
func (d *daemon) teller(log *slog.Logger) func(what string, rows int) {
	last := time.Now()
	return func(what string, rows int) {
		if time.Since(last) < saySo {
			return
		}
		last = time.Now()
		log.Info(what, "rows", rows)
		notifySystemd(log, systemd.SdNotifyWatchdog)
	}
}

// checkBillsFile reads the file that the config names. keeps is for a list that
// will be declared; seen is told of some good rows after others, and how many
// they are so far.
func checkBillsFile(ctx context.Context, cfg *config.Config, keeps bool, seen func(rows int, some []store.Row)) (_ *billsFile, err error) {
	in, err := openBillsFile(cfg)
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // only read from
	sum := sha256.New()
	file, err := openBills(ctx, cfg, io.TeeReader(in, sum), cfg.BillsFile, nil, keeps)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.close())
		}
	}()
	rows, more := 0, 0
	wrong := &config.Error{}
	err = file.each(ctx, func(b billBatch) error {
		rows += len(b.good)
		seen(rows, b.good)
		fit := min(len(b.bad), maxListed-len(wrong.Problems))
		wrong.Problems = append(wrong.Problems, b.bad[:fit]...)
		more += len(b.bad) - fit
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case more > 0:
		wrong.Problems = append(wrong.Problems, config.Problem{File: cfg.BillsFile, Text: fmt.Sprintf("has %d further faults: duewatch import --dry-run lists all", more)})
		return nil, wrong
	case len(wrong.Problems) > 0:
		return nil, wrong
	case rows == 0:
		// An export that failed half way would remove every bill.
		return nil, &config.Error{Problems: []config.Problem{{File: cfg.BillsFile, Text: `lists no bill: to have none, write bills_file: "" in the config`}}}
	}
	return &billsFile{name: cfg.BillsFile, mark: markFrom(cfg, sum.Sum(nil)), roll: file.roll, rows: rows}, nil
}

func openBillsFile(cfg *config.Config) (*os.File, error) {
	in, err := os.Open(cfg.BillsFile)
	if err != nil {
		if e, ok := errors.AsType[*fs.PathError](err); ok {
			err = e.Err
		}
		return nil, &config.Error{Problems: []config.Problem{{Key: "bills_file", Text: fmt.Sprintf("%s cannot be read: %v", cfg.BillsFile, err)}}}
	}
	return in, nil
}

// markOf is the mark of the file as it is now.
func markOf(cfg *config.Config) (string, error) {
	in, err := openBillsFile(cfg)
	if err != nil {
		return "", err
	}
	defer in.Close() //nolint:errcheck // only read from
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return "", fmt.Errorf("read bills_file: %w", err)
	}
	return markFrom(cfg, sum.Sum(nil)), nil
}

// markFrom joins a file's hash with all that decides how the file is read: the
// same rows can be other bills, or none, under another config or version.
func markFrom(cfg *config.Config, sum []byte) string {
	type bill struct{ Service, Account string }
	declared := make([]bill, len(cfg.Bills))
	for i, b := range cfg.Bills {
		declared[i] = bill{b.Service, b.Account}
	}
	languages := map[string][]string{}
	for id, p := range cfg.Policies.ByService {
		languages[id] = p.Templates.Languages()
	}
	b, err := json.Marshal([]any{version(), sum, cfg.Country, cfg.Policies.Default.Templates.Languages(), languages, declared})
	if err != nil {
		panic("a mark cannot be encoded: " + err.Error()) // texts only
	}
	mark := sha256.Sum256(b)
	return hex.EncodeToString(mark[:])
}

// declare makes the store's lists of bills those of the config and of its file.
// A bill that moved from one to the other is taken over, not removed and added:
// so the file's bills are added first and swept last. When a list has lost
// too many bills at once, both stay as they were, since bills move between them.
// Without a file that was read nothing is declared, and what is held stays held.
func (d *daemon) declare(ctx context.Context, cfg *config.Config, log *slog.Logger) (err error) {
	file := d.file
	if file == nil {
		return nil
	}
	d.file = nil
	defer func() { err = errors.Join(err, file.close()) }()
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
	if err := d.sweepFile(ctx, file, &n, log); err != nil {
		return err
	}
	log.Info("bills_file declared", "file", file.name, "listed", file.rows, "new", n.Added, "changed", n.Changed, "removed", n.Removed)
	if err := d.store.SetMeta(metaBillsFile, file.mark); err != nil {
		return err
	}
	return d.store.ForgetList(store.SourceFile)
}

func (d *daemon) declareConfig(cfg *config.Config, log *slog.Logger) error {
	bills := make([]store.Row, 0, len(cfg.Bills))
	for _, b := range cfg.Bills {
		bills = append(bills, store.Row{Bill: storedBill(b)})
	}
	n, err := d.store.Declare(store.SourceConfig, billsOf(bills), d.app.now())
	if err != nil {
		return err
	}
	if err := d.store.ForgetList(store.SourceConfig); err != nil {
		return err
	}
	if n != (store.Declared{}) {
		log.Info("bills declared", "listed", len(bills), "new", n.Added, "changed", n.Changed, "removed", n.Removed)
	}
	return nil
}

func (d *daemon) addFromFile(ctx context.Context, file *billsFile, n *store.Declared, log *slog.Logger) error {
	if file.roll == nil {
		return nil
	}
	done, tell := 0, d.teller(log)
	return file.roll.Each(batchAlone, func(some []store.Row) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		inIndexOrder(some)
		changes, err := d.store.Import(ctx, store.SourceFile, billsOf(some), d.app.now(), nil)
		if err != nil {
			return err
		}
		n.Count(changes)
		done += len(some)
		tell("bills_file is being declared", done)
		return nil
	})
}

func (d *daemon) sweepFile(ctx context.Context, file *billsFile, n *store.Declared, log *slog.Logger) error {
	tell := d.teller(log)
	for last := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, removed, err := d.store.RemoveUnlisted(ctx, store.SourceFile, file.roll, last, d.app.now())
		if err != nil {
			return err
		}
		n.Removed += removed
		if next == 0 {
			return nil
		}
		tell("bills that bills_file no longer names are being removed", n.Removed)
		last = next
	}
}

// endOf is nil for work that was cut short by the end of the daemon.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"duewatch/config"
	"duewatch/store"
)

// fewRemoved is how many bills a list may always lose at once: a short list
// changes by a large part of itself on any day.
const fewRemoved = 10

// shrank reports whether a list has lost so many of its bills at once that
// somebody has to check it first: an export that was cut off reads like a list from
// which bills were taken out. share is guards.max_removed; 0 = off.
func shrank(gone, of int, share float64) bool {
	return share > 0 && gone > fewRemoved && float64(gone) > share*float64(of)
}

// markNone is the mark of no file at all.
const markNone = "none"

// holdShrunk counts, before anything is written, how many bills each declared list
// would lose, and reports whether the lists are held: nothing of them is taken then. What
// such a list adds waits as well: where a spreadsheet or another program has
// written all accounts in another way, it is every customer's bill for the second
// time, and each would be texted twice.
func (d *daemon) holdShrunk(ctx context.Context, cfg *config.Config, file *BillsFile, log *slog.Logger) (held bool, err error) {
	known, err := d.store.ShrunkLists(ctx)
	if err != nil {
		return false, err
	}
	lists := []store.ShrunkList{{Source: store.SourceConfig, Fingerprint: markOfBills(cfg)}}
	if d.standIns != nil {
		lists = nil // the samples give way to bills of one's own
	}
	if !file.same {
		lists = append(lists, store.ShrunkList{Source: store.SourceFile, Fingerprint: fileMark(file)})
	}
	var agreed []store.ShrunkList
	d.heldLists = nil
	for _, l := range lists {
		if err := d.countGone(ctx, cfg, file, &l, log); err != nil {
			return false, err
		}
		switch {
		case l.Missing == 0:
		case agreesTo(known, l):
			agreed = append(agreed, l)
		case shrank(l.Missing, l.Total, cfg.MaxRemoved):
			d.heldLists = append(d.heldLists, l)
		}
	}
	var sentences []string
	for _, l := range d.heldLists {
		log.Warn("a list has lost many of its bills at once: the old lists stay until it is whole again, "+
			"or duewatch release --reason list_shrank has it taken",
			"list", ListName(l.Source), "file", fileOf(l.Source, cfg), "gone", l.Missing, "of", l.Total)
		sentences = append(sentences, shrunkSentence(l, cfg))
	}
	return len(d.heldLists) > 0, d.store.HoldLists(d.Now(), d.heldLists, agreed, strings.Join(sentences, "; "))
}

// agreesTo reports whether the operator has agreed to this very list, and to no
// fewer bills that go than it loses now.
func agreesTo(known []store.ShrunkList, l store.ShrunkList) bool {
	return slices.ContainsFunc(known, func(k store.ShrunkList) bool {
		return k.Agreed && k.Source == l.Source && k.Fingerprint == l.Fingerprint && k.Missing >= l.Missing
	})
}

// countGone counts the bills of a list, page by page, and those that no list names
// any more.
func (d *daemon) countGone(ctx context.Context, cfg *config.Config, file *BillsFile, l *store.ShrunkList, log *slog.Logger) error {
	inConfig := make(map[[2]string]bool, len(cfg.Bills))
	for _, b := range cfg.Bills {
		inConfig[[2]string{b.Service, b.Account}] = true
	}
	named := func(service, account string) bool { return inConfig[[2]string{service, account}] }
	report := d.newReporter(ctx, log)
	for last := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		next, of, gone, err := d.store.Unlisted(ctx, l.Source, file.index, named, last)
		if err != nil {
			return err
		}
		l.Total, l.Missing = l.Total+of, l.Missing+gone
		if next == 0 {
			return nil
		}
		report("bills are being compared with "+ListName(l.Source), l.Total)
		last = next
	}
}

// markOfBills is the mark of the list in the config: other lists have other marks.
func markOfBills(cfg *config.Config) string {
	all := make([]string, len(cfg.Bills))
	for i, b := range cfg.Bills {
		all[i] = b.Service + "\x00" + b.Account + "\x00"
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(all, "")))
	return hex.EncodeToString(sum[:])
}

func fileMark(f *BillsFile) string {
	if f.mark == "" {
		return markNone
	}
	return f.mark
}

// ListName is the key of the config that declares the bills of a source.
func ListName(source string) string {
	if source == store.SourceFile {
		return "bills_file"
	}
	return "bills"
}

func fileOf(source string, cfg *config.Config) string {
	if source == store.SourceFile {
		return cfg.BillsFile
	}
	return ""
}

func shrunkSentence(l store.ShrunkList, cfg *config.Config) string {
	name := "bills_file " + cfg.BillsFile
	switch {
	case l.Source == store.SourceConfig:
		name = "bills: in the config"
	case cfg.BillsFile == "":
		name = `bills_file, which is "" now,`
	}
	return fmt.Sprintf("%s no longer names %d of its %d bills, and guards.max_removed is %g%%: "+
		"nothing of it is taken, and the old list stays; if it was cut off, mend it and reload; "+
		"if they are to go, duewatch release --reason list_shrank", name, l.Missing, l.Total, 100*cfg.MaxRemoved)
}

// checkReleases is how often a daemon that holds a list asks whether the operator
// has released it.
const checkReleases = time.Second

// takeReleasedLists reports whether the operator has released a list that is held,
// so that the declared lists are to be gone through again; what was read from
// bills_file then waits in d.billsFile. A list that cannot be taken after all is held
// again.
func (d *daemon) takeReleasedLists(ctx context.Context, cfg *config.Config, log *slog.Logger) bool {
	released, err := d.readReleasedLists(ctx, cfg, log)
	switch {
	case ctx.Err() != nil: // it ends
		return false
	case err != nil:
		d.holdAgain(err, log)
		return false
	case released:
		log.Info("the operator has released a list that had shrunk")
	}
	return released
}

func (d *daemon) readReleasedLists(ctx context.Context, cfg *config.Config, log *slog.Logger) (released bool, err error) {
	known, err := d.store.ShrunkLists(ctx)
	if err != nil {
		return false, err
	}
	for _, l := range d.heldLists {
		released = released || agreesTo(known, l)
	}
	if !released {
		return false, nil
	}
	file, err := d.readBillsFile(ctx, cfg, log)
	if err != nil {
		return false, fmt.Errorf("the list that was released: %w", err)
	}
	for _, l := range d.heldLists {
		if l.Source == store.SourceFile && agreesTo(known, l) && l.Fingerprint != fileMark(file) {
			// The operator has agreed to another list than is there now, and has not
			// asked for this one.
			err := fmt.Errorf("%s is another list than the one that was released: reload, to have it taken as it is now", cfg.BillsFile)
			return false, errors.Join(err, file.Close())
		}
	}
	d.billsFile = file
	return true, nil
}

// holdAgain keeps the lists held that were released, when they could not be taken
// after all: whoever agreed had another list in mind.
func (d *daemon) holdAgain(why error, log *slog.Logger) {
	log.Error("the list that was released cannot be taken, so the old one stays", "err", why)
	err := d.store.HoldLists(d.Now(), nil, nil, "") // forgets the agreement
	if err == nil {
		err = d.store.HoldLists(d.Now(), d.heldLists, nil, "the old list stays: "+oneLine(why))
	}
	if err != nil {
		log.Error("the warning cannot be kept", "err", err)
	}
}

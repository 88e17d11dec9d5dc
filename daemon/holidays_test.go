package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"duewatch/config"
	"duewatch/reminder"
	"duewatch/store"
)

// A daemon that runs for weeks without a reload, or that began with a clock that
// was wrong, goes on to the holidays of later years. Neither the calendar nor
// bills_file is read for it.
func TestDaemonFollowsHolidaysFurther(t *testing.T) {
	dir := t.TempDir()
	calendar, file := filepath.Join(dir, "h.ics"), filepath.Join(dir, "config.yaml")
	for name, text := range map[string]string{
		calendar: "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:19901225\nRRULE:FREQ=YEARLY\nEND:VEVENT\nEND:VCALENDAR\n",
		file:     "timezone: UTC\nbills_file: none.csv\nreminders: {holidays: [h.ics]}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	for _, tt := range []struct {
		name  string
		step  time.Duration // of the wall clock, right after the start
		after time.Duration
	}{
		{"after weeks", 0, 31 * 24 * time.Hour},
		{"after the clock was set right", 56 * 365 * 24 * time.Hour, time.Minute},
		{"after the clock was set back", -90 * 24 * time.Hour, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d *daemon
			var next *config.Config
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				o := Options{ConfigPath: file, Now: time.Now}
				cfg, err := LoadConfig(file, true, o.Now)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(calendar, calendar+".away"); err != nil {
					t.Fatal(err)
				}
				o.Now = func() time.Time { return time.Now().Add(tt.step) }
				d = &daemon{Options: o}
				next = d.awaitReload(t.Context(), cfg, log, nil)
				if waited := time.Since(begin); waited < tt.after || waited > tt.after+checkHolidays {
					t.Errorf("after %s", waited)
				}
				today := reminder.DateOf(o.Now().UTC())
				for year := today.Year(); year < today.Year()+3; year++ {
					if !next.Policies.Default.Holidays[reminder.NewDate(year, time.December, 25)] {
						t.Errorf("Christmas of %d is no holiday, on %s", year, today)
					}
				}
			})
			if err := os.Rename(calendar+".away", calendar); err != nil {
				t.Fatal(err)
			}
			var err error
			if d.store, err = store.Open(context.Background(), filepath.Join(t.TempDir(), "duewatch.db")); err != nil {
				t.Fatal(err)
			}
			defer d.store.Close()
			if err := d.declareBills(context.Background(), next, log); err != nil {
				t.Errorf("the next generation cannot begin: %v", err)
			}
		})
	}
}

// The next generation declares no list when only the holidays have moved on: a list that
// is held stays held with its warning, and no bill goes for having moved to it.
func TestAHeldListStaysHeldWhenTheHolidaysMoveOn(t *testing.T) {
	dir := t.TempDir()
	file, list, calendar := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "bills.csv"), filepath.Join(dir, "h.ics")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	head := "timezone: UTC\nbills_file: " + list + "\nreminders: {holidays: [h.ics]}\n"
	const moves = "bills: [{service: 1042, account: MOVES, phone: \"0710000099\"}]\n"
	rows := func(n int) string {
		var b strings.Builder
		b.WriteString("service,account,phone\n")
		for i := range n {
			fmt.Fprintf(&b, "1042,ACC%02d,07100000%02d\n", i, i)
		}
		return b.String()
	}
	write(calendar, "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:19901225\nRRULE:FREQ=YEARLY\nEND:VEVENT\nEND:VCALENDAR\n")
	write(file, head+moves)
	write(list, rows(40))
	ctx, log, begin := t.Context(), slog.New(slog.DiscardHandler), time.Now()
	o := Options{ConfigPath: file, Now: time.Now}
	s, err := store.Open(ctx, filepath.Join(dir, "duewatch.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // of the test
	d := &daemon{Options: o, store: s}
	var cfg *config.Config
	declare := func() {
		t.Helper()
		if err := d.declareBills(ctx, cfg, log); err != nil {
			t.Fatal(err)
		}
	}
	start := func() {
		t.Helper()
		if cfg, err = LoadConfig(file, true, d.Now); err != nil {
			t.Fatal(err)
		}
		if d.billsFile, err = d.readBillsFile(ctx, cfg, log); err != nil {
			t.Fatal(err)
		}
		declare()
	}
	wantHeld := func(when string, agreed bool) {
		t.Helper()
		warnings, err := s.Warnings(ctx)
		if err != nil {
			t.Fatal(err)
		}
		lists, err := s.ShrunkLists(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.heldLists) != 1 || (len(warnings) == 0) != agreed || len(lists) != 1 || lists[0].Agreed != agreed {
			t.Errorf("%s: held %v, warnings %v, shrunk lists %+v", when, d.heldLists, warnings, lists)
		}
		var bills int
		if err := s.Bills(ctx, store.BillFilter{}, func(store.Watched) error { bills++; return nil }); err != nil || bills != 41 {
			t.Errorf("%s: %d bills are left of 41 (%v)", when, bills, err)
		}
	}
	start()
	write(file, head) // one bill moves to the file, whose end is missing
	write(list, rows(1)+"1042,MOVES,0710000099\n")
	start()
	wantHeld("when the list shrank", false)

	for days, when := range []string{"when the holidays move on", "when they move on after the operator has agreed"} {
		d.Now = func() time.Time { return begin.AddDate(0, 0, 40*(days+1)) }
		next, err := d.moveHolidays(cfg, log)
		if err != nil || next == nil {
			t.Fatalf("the holidays do not move on: %v", err)
		}
		cfg = next
		declare()
		wantHeld(when, days > 0)
		if days == 0 {
			if _, err := s.ReleaseAll(ctx, cfg.Policies.Default, d.Now(), reminder.ListShrank, "somebody", nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if released := d.takeReleasedLists(ctx, cfg, log); !released {
		t.Fatal("what the operator has agreed to is lost")
	}
	declare()
	if len(d.heldLists) != 0 {
		t.Errorf("still held: %v", d.heldLists)
	}
}

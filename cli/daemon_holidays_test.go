package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
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
				a := &app{configPath: file, now: time.Now}
				cfg, err := a.load(true)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(calendar, calendar+".away"); err != nil {
					t.Fatal(err)
				}
				a.now = func() time.Time { return time.Now().Add(tt.step) }
				d = &daemon{app: a}
				next = d.awaitReload(t.Context(), cfg, log, nil)
				if waited := time.Since(begin); waited < tt.after || waited > tt.after+checkHolidays {
					t.Errorf("after %s", waited)
				}
				today := reminder.DateOf(a.now().UTC())
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
			if err := d.declare(context.Background(), next, log); err != nil {
				t.Errorf("the next generation cannot begin: %v", err)
			}
		})
	}
}

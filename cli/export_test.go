package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"duewatch/config"
	"duewatch/daemon"
	"duewatch/reminder"
	"duewatch/sandbox"
	"duewatch/scheduler"
	"duewatch/store"
)

// LiveThrough makes the store of a config with what the last days would have made of it, for
// so many made-up customers, some of whom cannot be reached.
func LiveThrough(ctx context.Context, configPath string, customers, days int) (err error) {
	cfg, err := daemon.LoadConfig(configPath, false, time.Now)
	if err != nil {
		return err
	}
	end := time.Now()
	w := &madeUp{clock: scheduler.NewVirtualClock(end.AddDate(0, 0, -days)), hours: map[int64]int64{}}
	if w.store, err = store.OpenScratch(ctx, cfg.Store); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.store.Close()) }()
	const seed = 1
	w.box, err = sandbox.New(sandbox.Options{
		Zone: cfg.Zone, Now: w.clock.Now, Seed: seed, OnText: func(t sandbox.Text) { w.customers.Texted(t) },
		Faults: []sandbox.Fault{{Where: sandbox.Send, What: sandbox.Status, Status: 400, Code: 21211, Rate: .04}},
	})
	if err != nil {
		return err
	}
	w.customers = sandbox.NewCustomers(w.box, seed)
	bills := append(unreachable(cfg, customers/10), audience(cfg, customers)...)
	if _, err := w.store.Import(ctx, store.SourceImport, bills, w.clock.Now(), nil); err != nil {
		return err
	}
	if err := w.populate(ctx, cfg, simulateFlags{}); err != nil {
		return err
	}
	if err := w.build(cfg); err != nil {
		return err
	}
	if err := w.run(ctx, end, newDays(io.Discard, end, days, 0, 1)); err != nil {
		return err
	}
	for key, value := range scheduler.RememberSender(daemon.Sender(cfg)) {
		err = errors.Join(err, w.store.SetMeta(key, value))
	}
	return err
}

// unreachable are bills of phones whose texts fail, or of which nothing is heard.
func unreachable(cfg *config.Config, n int) (bills []reminder.Bill) {
	phones := []reminder.Phone{sandbox.PhoneUnknown, sandbox.PhoneStaysSent, sandbox.PhoneUnreachable}
	for i := range n {
		bills = append(bills, reminder.Bill{
			Service: cfg.Services[i%len(cfg.Services)].ID, Account: fmt.Sprintf("SIM-F%05d", i), Phone: phones[i%len(phones)],
		})
	}
	return bills
}

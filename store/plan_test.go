package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"duewatch/reminder"
	"duewatch/store/db"
)

// statements collects every statement that passes through its connections,
// with the arguments it had first.
type statements struct {
	dsn  string
	mu   sync.Mutex
	seen map[string][]any
	runs map[string]int // how often each was run; nil = not counted
}

func (c *statements) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (c *statements) Connect(context.Context) (driver.Conn, error) {
	raw, err := c.Driver().Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &listener{raw.(*sqlite3.SQLiteConn), c}, nil
}

func (c *statements) note(query string, args []driver.NamedValue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.runs != nil {
		c.runs[query]++
	}
	if _, ok := c.seen[query]; ok {
		return
	}
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a.Value
	}
	c.seen[query] = values
}

type listener struct {
	*sqlite3.SQLiteConn
	to *statements
}

func (l *listener) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	l.to.note(query, args)
	return l.SQLiteConn.QueryContext(ctx, query, args)
}

func (l *listener) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	l.to.note(query, args)
	return l.SQLiteConn.ExecContext(ctx, query, args)
}

// listened opens a store whose statements are collected.
func listened(t *testing.T) (*Store, *statements) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "duewatch.db")
	mustDo(t, openAt(t, path).Close())
	heard := &statements{dsn: "file:" + path + "?_foreign_keys=on&_busy_timeout=1000", seen: make(map[string][]any)}
	pool := func() *sql.DB {
		p := sql.OpenDB(heard)
		p.SetMaxOpenConns(1)
		return p
	}
	s := &Store{db: db.FromPools(pool(), pool())}
	t.Cleanup(func() { mustDo(t, s.Close()) })
	return s, heard
}

// useAll calls everything that a daemon and its commands call.
func useAll(t *testing.T, s *Store) {
	t.Helper()
	p, ctx := newPolicy(), t.Context()
	bills := make([]reminder.Bill, 60)
	for i := range bills {
		bills[i] = billOf(i)
	}
	bills[59].Phone = bills[58].Phone // they share a text
	p.PerNumberDaily, p.Guards.MaxFailureRate, p.Bundle = 1000, .9, true
	ready(t, s, p, bills...)
	_, _, err := s.ToRecheck(ctx, due.At(12*60, nairobi), Place{}, 10)
	mustDo(t, err)
	for _, place := range []Place{PlaceAt(0.3), PlaceAt(0.8), PlaceAfter(firstStage).Backwards()} {
		_, _, err = s.ToRecheck(ctx, due.At(12*60, nairobi), place, 10)
		mustDo(t, err)
		_, _, err = s.ToRegister(ctx, due.At(12*60, nairobi), place, 10)
		mustDo(t, err)
	}
	mustDo(t, s.PutOff(due.At(12*60, nairobi), 1))
	for i := range 100 {
		must(s.AddOptOuts(OptOut{Phone: phone(i), Service: "rent", Reason: reminder.OptedOut, Since: checkedAt, Source: "operator", Who: "x"}))
	}
	must(s.AddOptOuts(OptOut{Phone: phone(1), Reason: reminder.OptedOut, Since: checkedAt, Source: "operator", Who: "x"}))
	mustDo(t, s.RemoveOptOut(OptOut{Phone: phone(1), Since: checkedAt, Source: "operator", Who: "x"}))
	mustDo(t, s.OptOuts(ctx, func(OptOut) error { return nil }))
	must(s.NotVerified(ctx))
	must(s.BillsByState(ctx))
	if n := must(s.PhonesOptedOut(ctx)); n != 100 {
		t.Errorf("%d phones on the list of opt-outs, want 100", n)
	}
	begun := actOn(Selector{Service: "rent"}, firstStage) // a pause that was interrupted
	mustDo(t, s.do(func(t *tx) error { return t.writePauseRule(begun, Pause{}) }))
	l := must(s.DecideDue(ctx, roundAt(p, firstStage), 1000))
	must(s.CheckIntents(ctx, firstStage, []*Text{&l.Texts[0], &l.Texts[1]}))
	for i, x := range l.Texts {
		o := SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + x.Parts[0].Account, NextPollAt: firstStage}
		switch i {
		case 0:
			o = SendOutcome{TextID: x.ID, State: Refused, Hold: reminder.Throttled, Until: firstStage}
		case 1:
			o = SendOutcome{TextID: x.ID, State: Refused, Skip: reminder.BadNumber, OptOut: reminder.BadNumber}
		case 2, 3, 4:
			o = SendOutcome{TextID: x.ID, State: Unknown, NextPollAt: firstStage}
		case 5, 6:
			continue // orphans
		}
		mustDo(t, s.RecordOutcome(firstStage, o))
	}
	must(s.TakeOver(firstStage, "successor", firstStage))
	must(s.TakeOver(firstStage, "successor", firstStage))
	doubtful := must(s.UnknownTexts(ctx, firstStage, 10))
	must(s.RecordLookUp(firstStage, LookUp{TextID: doubtful[0].ID, Found: []string{"SMfound"}, NextAt: firstStage}))
	must(s.RecordLookUp(firstStage, LookUp{TextID: doubtful[1].ID, NextAt: firstStage}))
	must(s.RecordLookUp(firstStage, LookUp{TextID: doubtful[2].ID, Last: true, Resend: true}))
	must(s.InDoubt(ctx))
	must(s.LongInDoubt(ctx, firstStage.Add(time.Hour)))
	mustDo(t, s.PutOffLookUp(doubtful[0].ID, firstStage))
	must(s.GiveBack(ctx, firstStage, "test", nil))
	mustDo(t, s.StopSender(firstStage, reminder.Stop{Reason: reminder.AccountFault, Until: firstStage}, []reminder.Phone{phone(1)}))
	_, _, err = s.RefusedDestinations(ctx, firstStage, 10)
	mustDo(t, err)
	must(s.KnowsByID(ctx, firstStage))
	must(s.Unfound(ctx, phone(1)))
	must(s.BillsOfAccount(ctx, "0000001"))
	must(s.RecordUnattributed(firstStage, []ForeignMessage{{ProviderID: "SMmasked", At: firstStage}}, reminder.Stop{Reason: reminder.CopiedStore, Until: firstStage}))
	must(s.NextDue(ctx))
	mustDo(t, s.EachText(ctx, checkedAt, func(TextTo) {}))
	mustDo(t, s.EachReminder(ctx, checkedAt, func(int64, reminder.Reminder) {}))
	open := must(s.OpenTexts(ctx, firstStage, 10))
	must(s.RecordReceipts(firstStage, []Receipt{
		{TextID: open[0].ID, State: Delivered, Price: "-1", PriceUnit: "USD"},
		{TextID: open[1].ID, State: Failed, RetryAt: firstStage.Add(time.Hour), MaxRedeliveries: 2, OptOut: reminder.BadNumber},
	}))
	must(s.TextsByID(ctx, []int64{1, 2}))
	must(s.CallbackKey())
	for i, x := range l.Texts[7:9] { // which have an outcome that is taken back, to be proven wrong
		change(t, s, "UPDATE texts SET state = ?1, provider_id = NULL WHERE id = ?2", []TextState{Unknown, NotFound}[i], x.ID)
		change(t, s, "UPDATE reminders SET outcome = 'held', text_id = NULL WHERE ?1 = 1 AND text_id = ?2", i, x.ID)
		must(s.RecordReceipts(firstStage, []Receipt{{TextID: x.ID, ProviderID: "SM" + x.Parts[0].Account, State: Delivered}}))
	}
	mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: l.Texts[7].ID, State: Accepted, ProviderID: "SM" + l.Texts[7].Parts[0].Account}))
	must(s.EndOptOutByMessage(OptOut{Phone: phone(1), Since: checkedAt, Who: "x"}, "SMx"))
	old := roundAt(p, due.At(10*60, nairobi)) // all balances are
	must(s.DecideDue(ctx, old, 1000))
	must(s.DecideAnswered(roundAt(p, firstStage), []CheckResult{{BillID: 1, Failed: "503"}, {BillID: 2, Answer: answer(firstStage, "3", due.AddDays(9))}}))
	must(s.Replan(policiesOf(p), checkedAt, 0, 500))
	none := newPolicy()
	none.Stages = nil
	must(s.Replan(policiesOf(none), checkedAt, 0, 500))
	for _, f := range []BillFilter{{}, {State: reminder.BillRejected}, {State: reminder.BillActive}, {Account: "0000001"}, {State: reminder.BillActive, Account: "0000001"}} {
		mustDo(t, s.Bills(ctx, f, func(Watched) error { return nil }))
	}
	must(s.InUse(ctx))
	must(s.Accounts(ctx, "00", 10))
	mustDo(t, s.Bills(ctx, BillFilter{Phone: phone(1)}, func(w Watched) error {
		_, _, err := s.DryRun(ctx, Round{Now: firstStage, Policies: policiesOf(p), Delivery: reminder.Delivery{Mode: reminder.ModeLive}}, w.Bill)
		return err
	}))
	must(s.OptOutsOf(ctx, phone(1)))
	must(s.Reminders(ctx, 1))
	must(s.Texts(ctx, 1))
	must(s.Events(ctx, 1))
	must(s.Declare("config", bills[10:], firstStage))
	must(s.Trim(firstStage, 10))
	must(s.Meta(ctx, "x"))
	mustDo(t, s.StopSending(firstStage, reminder.Stop{Reason: reminder.CopiedStore}))
	mustDo(t, s.StopSending(firstStage, reminder.Stop{Reason: reminder.CopiedStore}))
	must(s.RecordForeignMessages(firstStage, []ForeignMessage{{"SMother", 11, firstStage}}, reminder.Stop{Reason: reminder.CopiedStore}))
	must(s.DecideAnswered(roundAt(p, firstStage), []CheckResult{{BillID: 11}}))
	must(s.Knows(ctx, "SMother", phone(1), "x"))
	must(s.BillsOf(ctx, phone(1)))
	must(s.GuardState(ctx, p, firstStage))
	must(s.Stops(ctx, firstStage))
	must(s.Held(ctx))
	for _, c := range []Selector{{Account: "0000003"}, {Phone: phone(4)}, {Service: "water"}} {
		for _, dry := range []bool{true, false} {
			a := BulkOp{Selector: c, At: firstStage, Who: "x", DryRun: dry}
			must(s.Release(ctx, a, OfOneBill...))
			must(s.Pause(ctx, a, Pause{Until: firstStage.Add(time.Hour), Detail: "by x"}))
			must(s.Resume(ctx, a, policiesOf(p)))
			must(s.Retry(ctx, a))
		}
	}
	must(s.Pause(ctx, BulkOp{Selector: Selector{Service: "water"}, At: firstStage, Who: "x"}, Pause{Detail: "by x"}))
	must(s.Import(ctx, SourceImport, []reminder.Bill{billOf(90)}, firstStage, nil))
	for _, b := range toRegister(t, s, firstStage, 100) {
		must(s.RecordChecks(policiesOf(p), firstStage, CheckResult{BillID: b.ID, Answer: answer(firstStage, "5", due)}))
	}
	must(s.Resume(ctx, BulkOp{Selector: Selector{Service: "water"}, At: firstStage, Who: "x"}, policiesOf(p)))
	must(s.Pauses(ctx, firstStage))
	must(s.RecordChecks(policiesOf(p), firstStage, CheckResult{BillID: 20, Answer: answer(firstStage, "0", due)})) // paid
	mustDo(t, s.do(func(t *tx) error { return t.doubtPayments(firstStage, checkedAt, "water", reminder.AnswerCounts{}) }))
	must(s.RecordChecks(policiesOf(p), firstStage, CheckResult{BillID: 20, Answer: answer(firstStage, "7", due)})) // and owes again
	mustDo(t, s.do(func(t *tx) error { return t.believePayments(firstStage, "water") }))
	must(s.ShrunkLists(ctx))
	mustDo(t, s.HoldLists(firstStage, []ShrunkList{{Source: SourceFile, Fingerprint: "x"}}, nil, "x"))
	must(s.ReleaseAll(ctx, p, firstStage, reminder.ListShrank, "x", nil))
	must(s.ReleaseAll(ctx, p, firstStage, reminder.MassPaid, "x", nil))
	_, _, _, err = s.Unlisted(ctx, SourceConfig, nil, func(string, string) bool { return false }, 0)
	mustDo(t, err)
	for _, by := range []Grouping{ByNothing, ByService, ByDay, ByStage} {
		period := Period{Since: checkedAt, Until: firstStage.Add(time.Hour), By: by}
		mustDo(t, s.ReportTexts(ctx, period, func(TextCount) error { return nil }))
		mustDo(t, s.ReportReminders(ctx, period, firstStage, func(ReminderCount) error { return nil }))
		must(s.HeldNow(ctx, by))
	}
	for id := int64(21); id < 40; id++ {
		how := []CheckResult{{BillID: id, Rejected: "closed"}, {BillID: id, Failed: "404", Refused: Unclear}, {BillID: id, Failed: "403", Refused: Forbidden}}
		must(s.RecordChecks(policiesOf(p), firstStage, how[id%3]))
		must(s.Forbidden(ctx, id))
	}
	for id := int64(40); id < 51; id++ {
		must(s.RecordChecks(policiesOf(p), firstStage, CheckResult{BillID: id, Rejected: "closed"}))
	}
	for _, r := range []Refusal{Unclear, Forbidden} {
		if must(s.RefusedBills(ctx, r)).Bills == 0 {
			t.Errorf("no bill was refused in the way %d", r)
		}
	}
	must(s.Rejections(ctx))
	must(s.ReleaseAll(ctx, p, firstStage, reminder.MassRejected, "x", nil))
	must(s.ReleaseAll(ctx, p, firstStage, reminder.DailyLimit, "x", map[string]string{"x": "y"}))
	must(s.ReleaseAll(ctx, p, firstStage, reminder.Throttled, "x", nil))
	mustDo(t, s.EndStop(reminder.CopiedStore))
	mustDo(t, s.EndTimedStops(ctx))
	must(s.Seen(ctx))
	must(s.Latest(ctx))
	mustDo(t, s.DistrustClock(firstStage, "why"))
	mustDo(t, s.BelieveClock(firstStage))
	must(s.ClockSet(checkedAt, firstStage))
	mustDo(t, s.Writable(firstStage))
	ready(t, s, p, billOf(999))
	must(s.DecideDue(ctx, roundAt(p, due.AddDays(40).At(9*60, nairobi)), 1000)) // too late for it
}

// mayScan are the statements that read a whole table, and why they may.
var mayScan = map[string]string{
	"ORDER BY id LIMIT":                              "reads the head of the table only",
	"ORDER BY id DESC LIMIT":                         "reads the end of the table only",
	"FROM due_remind ORDER BY at LIMIT 1":            "reads the heads of the queues only",
	"FROM opt_outs ORDER BY":                         "lists them",
	"count(DISTINCT phone) FROM opt_outs":            "counts them",
	"UPDATE refused_destinations":                    "once for each time that the clock is set back",
	"DELETE FROM meta WHERE key LIKE":                "once for each time that the clock is set back",
	"FROM answer_minutes WHERE +minute":              "holds one row for each service and minute of the last hour",
	"FROM doubted_payments":                          "holds one row for each fault of a feed",
	"UPDATE doubted_payments":                        "the same",
	"FROM shrunk_lists":                              "holds one row for each list at most",
	"UPDATE shrunk_lists":                            "the same",
	"FROM stops":                                     "holds one row for each reason at most",
	"FROM overrides":                                 "holds one row for each guard at most",
	"SELECT 1 FROM foreign_messages":                 "reads one row",
	"SELECT 1 FROM pauses)":                          "reads one row",
	"count(*), 0, 0, 0 FROM reminders r CROSS":       "reads what is held, and nothing else",
	"GROUP BY r.reason":                              "reads what is held, and nothing else",
	"FROM pauses\n":                                  "holds one row for each service or phone that is paused as a whole",
	"DELETE FROM pauses WHERE until_at":              "the same",
	"UPDATE bills SET balance_at":                    "once for each time that the clock is set back",
	"bills WHERE id > ?1 AND state = ":               "lists them",
	"- (SELECT count(*) FROM bills WHERE state":      "counts the few that are not active, on a day with many rejections",
	"SELECT 'active', (SELECT coalesce((SELECT CAST": "counts those that are not active, by an index of their own, every few minutes",
	"FROM rejections":                                "holds those of a day, or of a stop that waits for the operator",
	"FROM warnings":                                  "holds one row for each reason at most",
	"SELECT 1 FROM refused_destinations":             "reads one row",
	"FROM refused_destinations WHERE until_at":       "what the provider refuses",
	"UNION SELECT provider_id FROM foreign_messages": "at a start, where the provider's list hides phones",
}

// The statements that each tick runs, and the index that each must use.
var hot = map[string]string{
	"SELECT EXISTS (SELECT 1 FROM due_remind":                     "due_remind_at (at<?)",
	"FROM due_register WHERE at = ?1 + 0 AND bill_id > ":          "due_register_at (at=? AND bill_id>?)",
	"bill_id FROM due_register WHERE at > ":                       "due_register_at (at>? AND at<?)",
	"FROM due_recheck WHERE at = ?1 + 0 AND bill_id > ":           "due_recheck_at (at=? AND bill_id>?)",
	"bill_id FROM due_recheck WHERE at > ":                        "due_recheck_at (at>? AND at<?)",
	"FROM due_register WHERE at = ?1 + 0 AND bill_id < ":          "due_register_at (at=? AND bill_id<?)",
	"FROM due_recheck WHERE at = ?1 + 0 AND bill_id < ":           "due_recheck_at (at=? AND bill_id<?)",
	"bill_id FROM due_register WHERE at < ":                       "due_register_at (at<?)",
	"bill_id FROM due_recheck WHERE at < ":                        "due_recheck_at (at<?)",
	"max(bill_id) FROM due_recheck WHERE at = ?1":                 "due_recheck_at (at=?)",
	"SELECT since, forbidden FROM refused_bills":                  "INTEGER PRIMARY KEY",
	"FROM refused_bills WHERE since > ?1 AND forbidden = 0":       "refused_bills_unclear (since>?)",
	"FROM refused_bills WHERE since > -1 AND forbidden = 0":       "refused_bills_unclear (since>?)",
	"FROM refused_bills WHERE since > -1 AND forbidden = 1":       "refused_bills_forbidden (since>?)",
	"DELETE FROM rejections WHERE at <= ?1":                       "rejections_at (at<?)",
	"1 FROM answer_minutes WHERE minute = ?1":                     "answer_minutes_minute (minute=?)",
	"DELETE FROM answer_minutes WHERE minute <":                   "answer_minutes_minute (minute<?)",
	"FROM answer_minutes WHERE service = ?1 || ''":                "sqlite_autoindex_answer_minutes_1 (service=? AND minute>? AND minute<?)",
	"UPDATE OR FAIL reminders SET paid_at = ?1":                   "sqlite_autoindex_reminders_1 (bill_id=? AND due_date=?)",
	"SELECT bill_id FROM due_remind WHERE at":                     "due_remind_at (at<?)",
	"UPDATE OR FAIL due_remind SET at = ?1, owner = ?2":           "INTEGER PRIMARY KEY",
	"DELETE FROM due_remind WHERE bill_id IN":                     "INTEGER PRIMARY KEY",
	"WHERE (service, account) IN (VALUES ":                        "sqlite_autoindex_bills_1 (service=? AND account=?)",
	"SELECT count(*) FROM texts x WHERE x.phone_id":               "texts_phone (phone_id=? AND created_at>?)",
	"LEFT JOIN phones p ON number = b.phone":                      "sqlite_autoindex_phones_1 (number=?)",
	"FROM reminders WHERE bill_id = ?1 AND due_date":              "sqlite_autoindex_reminders_1 (bill_id=? AND due_date=?)",
	"(SELECT max(reason) FROM opt_outs":                           "sqlite_autoindex_opt_outs_1 (phone=?)",
	"EXISTS (SELECT 1 FROM opt_outs o":                            "sqlite_autoindex_opt_outs_1 (phone=?)",
	"x.phone_id = v.phone_id AND x.created_at >= ?4":              "texts_phone (phone_id=? AND created_at>?)",
	"FROM v WHERE texts.id = v.id":                                "SEARCH texts USING INTEGER PRIMARY KEY",
	"FROM v CROSS JOIN reminders r":                               "reminders_text (text_id=?)",
	"CROSS JOIN reminders WHERE bill_id = bill":                   "sqlite_autoindex_reminders_1 (bill_id=? AND due_date>? AND due_date<?)",
	"SELECT id, provider_id, state, created_at, accepted_at":      "texts_next_poll (next_poll_at<?)",
	"SELECT id, sent_to, body, created_at":                        "texts_next_poll (next_poll_at<?)",
	"lease_until < ?1 FROM texts":                                 "texts_in_doubt",
	"SELECT count(*), min(created_at) FROM texts":                 "texts_in_doubt",
	"SELECT text_id, bill_id, tries FROM reminders WHERE text_id": "reminders_text (text_id=?)",
	"FROM reminders r JOIN bills b ON b.id = r.bill_id":           "reminders_text (text_id=?)",
	"SELECT bill_id, at FROM due_remind WHERE at":                 "COVERING INDEX bills_phone (phone=?",
	"EXISTS (SELECT 1 FROM bills o WHERE o.phone":                 "COVERING INDEX bills_phone (phone=?",
	"FROM events\n\t\tWHERE bill_id = ?1":                         "events_bill (bill_id=?)",
	"WITH RECURSIVE services":                                     "sqlite_autoindex_bills_1 (service>?)",
	"SELECT language, state FROM bills":                           "sqlite_autoindex_bills_1 (service=?)",
	"SELECT account FROM bills WHERE service = ?1":                "sqlite_autoindex_bills_1 (service=? AND account>? AND account<?)",
	"FROM usage WHERE since >= ?1":                                "sqlite_autoindex_usage_1 (since>?)",
	"UPDATE usage SET texts = texts - 1":                          "sqlite_autoindex_usage_1 (since=?)",
	"SELECT at FROM foreign_messages WHERE bill_id":               "foreign_messages_bill (bill_id=?)",
	"count(DISTINCT provider_id) FROM foreign_messages":           "foreign_messages_bill (bill_id=?)",
	"AND r.bill_id > ?5":                                          "reminders_held (reason=? AND bill_id>?)",
	"AND account = ?1 AND id > ?2":                                "sqlite_autoindex_bills_1 (service=? AND account=? AND rowid>?)",
	"AND account = ?3":                                            "sqlite_autoindex_bills_1 (service=? AND account=? AND rowid>?)",
	"FROM bills WHERE phone = ?1 AND id > ?2":                     "bills_phone (phone=? AND rowid>?)",
	"FROM bills WHERE service = ?1 AND account > ?2":              "sqlite_autoindex_bills_1 (service=? AND account>?)",
	"FROM pauses WHERE service IN ":                               "sqlite_autoindex_pauses_1 (service=? AND phone=?)",
	"FROM phones WHERE number = ?2) AND (provider_id":             "texts_phone (phone_id=?)",
	"FROM phones WHERE number = texts.sent_to":                    "texts_phone (phone_id=?)",
	"x WHERE x.sent_to = texts.sent_to":                           "texts_redirected (sent_to=? AND provider_id=?)",
	"FROM bills WHERE id > ?1 AND phone = ?3":                     "bills_phone (phone=?",
	"FROM bills WHERE source = ?1":                                "bills_declared (source=?)",
	"AND state = ?3 AND state <> 'active'":                        "bills_inactive (state=? AND rowid>?)",
	"FROM bills WHERE phone = ?1":                                 "bills_phone (phone=?",
	"state = 'active' AND failures > 0":                           "bills_failing (service=?)",
	"ELSE ?1 END, owner = NULL WHERE ":                            "due_remind_owner",
	"UPDATE due_register SET at = ?1 WHERE at > ?2":               "due_register_at (at>?)",
	"UPDATE due_recheck SET at = ?1 WHERE at > ?2":                "due_recheck_at (at>?)",
	"UPDATE texts SET next_poll_at = ?1 WHERE next_poll_at > ?2":  "texts_next_poll (next_poll_at>?)",
}

// A statement that reads a whole table is not noticed with a hundred bills, and
// stops the daemon with ten million. Every statement is examined as the
// methods above wrote it.
func TestStatementsUseTheirIndexes(t *testing.T) {
	aboutFiles(t)
	s, heard := listened(t)
	useAll(t, s)
	found := make(map[string]bool)
	for _, query := range slices.Sorted(maps.Keys(heard.seen)) {
		switch strings.Fields(query)[0] {
		case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		default:
			continue
		}
		plan := planOf(t, s, query, heard.seen[query])
		for part, index := range hot {
			if strings.Contains(query, part) {
				found[part] = true
				if !strings.Contains(plan, index) {
					t.Errorf("%s\ndoes not use %s:\n%s", query, index, plan)
				}
			}
		}
		if limitOfAValue.MatchString(query) {
			t.Errorf("%s\nis prepared anew each time: LIMIT ? + 0 (see db.Reader)", query)
		}
		if strings.Contains(noTable.ReplaceAllString(plan, ""), "SCAN ") && !isListing(query) {
			t.Errorf("%s\nreads a whole table:\n%s", query, plan)
		}
	}
	for part := range hot {
		if !found[part] {
			t.Errorf("no statement contains %q any more", part)
		}
	}
}

// What PRAGMA optimize gathered of a store in its first days must not rule on
// the day of a large import: SQLite reads a table of one row from end to end,
// and goes on doing so when it has a million.
func TestStatisticsOfAYoungStoreDoNoHarm(t *testing.T) {
	aboutFiles(t)
	s, p := openNew(t), newPolicy()
	ready(t, s, p, billsOf(3)...)
	for _, x := range must(s.DecideDue(t.Context(), roundAt(p, firstStage), 2)).Texts {
		mustDo(t, s.RecordOutcome(firstStage, SendOutcome{TextID: x.ID, State: Accepted, ProviderID: "SM" + x.Parts[0].Account, NextPollAt: firstStage}))
	}
	must(s.AddOptOuts(OptOut{Phone: phone(9), Reason: reminder.OptedOut, Since: checkedAt, Source: "operator", Who: "x"}))
	mustDo(t, s.Tidy(t.Context()))

	grown, heard := listened(t)
	useAll(t, grown)
	young := must(OpenReader(t.Context(), pathOf(t, s))) // a new connection knows the statistics
	defer young.Close()                                  //nolint:errcheck // only read from
	for query, args := range heard.seen {
		for part, index := range hot {
			if !strings.Contains(query, part) {
				continue
			}
			if plan := planOf(t, young, query, args); !strings.Contains(plan, index) {
				t.Errorf("%s\ndoes not use %s:\n%s", query, index, plan)
			}
		}
	}
}

// noTable are the steps of a plan that go through what the statement itself holds,
// services that were found, or rows that it has read by an index already.
var noTable = regexp.MustCompile(`SCAN (v\b|services\b|queued\b|longest\b|late\b|found\b|same\b|later\b|ahead\b|\(subquery-[0-9]+\)|CONSTANT ROW|[0-9]+ CONSTANT ROWS|[0-9]+-ROW VALUES CLAUSE)`)

func isListing(query string) bool {
	for part := range mayScan {
		if strings.Contains(query, part) {
			return true
		}
	}
	return false
}

// limitOfAValue is a LIMIT whose plan may depend on the value.
var limitOfAValue = regexp.MustCompile(`LIMIT \?[0-9]+($|[^0-9 ]| [^+])`)

func planOf(t *testing.T, s *Store, query string, args []any) string {
	t.Helper()
	rows := s.read(t.Context()).Query("EXPLAIN QUERY PLAN "+query, args...)
	steps, err := db.Collect(rows, func(r db.Scanner) (detail string, err error) {
		var id, parent, unused int
		err = r.Scan(&id, &parent, &unused, &detail)
		return detail, err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(steps, "\n")
}

package store

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"duewatch/store/db"
	"duewatch/store/db/pgtest"
)

// preparedPlans is a function of the database: each statement that its connection has
// prepared, with the plan by which the connection runs it.
const preparedPlans = `CREATE FUNCTION prepared_plans() RETURNS TABLE (query text, plan text) LANGUAGE plpgsql AS $$
DECLARE
	prepared record;
	line text;
BEGIN
	FOR prepared IN SELECT name, statement, coalesce(cardinality(parameter_types), 0) AS n FROM pg_prepared_statements LOOP
		query := prepared.statement;
		plan := '';
		CONTINUE WHEN query !~ '^\s*(SELECT|INSERT|UPDATE|DELETE|WITH)' OR query ~ 'prepared_plans';
		FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) EXECUTE ' || quote_ident(prepared.name) ||
			CASE prepared.n WHEN 0 THEN '' ELSE '(NULL' || repeat(', NULL', prepared.n - 1) || ')' END
		LOOP
			plan := plan || line || E'\n';
		END LOOP;
		RETURN NEXT;
	END LOOP;
END $$`

// plansOf are the plans of all that a store has prepared, made anew for the tables as
// they are. It holds the connections that read all at once: each has statements of its own.
func plansOf(t *testing.T, s *Store) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	plans := make(map[string]string)
	add := func(x *tx) error {
		if _, err := x.Exec("DISCARD PLANS"); err != nil {
			return err
		}
		_, err := db.Collect(x.Query("SELECT query, plan FROM prepared_plans()"), func(r db.Scanner) (none struct{}, err error) {
			var query, plan string
			err = r.Scan(&query, &plan)
			plans[query] = plan
			return none, err
		})
		return err
	}
	mustDo(t, s.do(add))
	var readAll func(conns int) error
	readAll = func(conns int) error {
		return s.view(ctx, func(x *tx) error {
			if err := add(x); err != nil || conns == 1 {
				return err
			}
			return readAll(conns - 1)
		})
	}
	mustDo(t, readAll(4))
	return plans
}

// grow adds a hundred thousand rows to each of the tables that grow.
var grow = []string{
	`INSERT INTO phones (number) SELECT '+2541' || lpad(i::text, 8, '0') FROM generate_series(0, 99999) AS i`,
	`INSERT INTO bills (service, account, phone, language, description, source, state, balance, balance_at, due_date, registered_at, checked_at)
		SELECT 'water', 'N' || i, number, 'en', '', 'import', 'active', '1250.50', 1, '2026-04-10', 1, 1
		FROM (SELECT number, row_number() OVER (ORDER BY phone_id) AS i FROM phones WHERE number LIKE '+2541%') AS p`,
	`INSERT INTO due_recheck (bill_id, at) SELECT id, 4000000000000 + id FROM bills WHERE account LIKE 'N%'`,
	`INSERT INTO due_remind (bill_id, at) SELECT id, 4000000000000 + id FROM bills WHERE account LIKE 'N%'`,
	`INSERT INTO due_register (bill_id, at) SELECT id, 4000000000000 + id FROM bills WHERE account LIKE 'N%'`,
	`INSERT INTO texts (id, phone, phone_id, sent_to, body, language, segments, state, owner, lease_until, planned_at, not_after, created_at, provider_id)
		SELECT 1000000 + b.id, b.phone, p.phone_id, b.phone, 'text', 'en', 1, 'delivered', 'x', 1, 1, 1, b.id, 'SM' || b.id
		FROM bills b JOIN phones p ON p.number = b.phone WHERE account LIKE 'N%'`,
	`INSERT INTO reminders (bill_id, due_date, stage, outcome, reason, text_id, decided_at)
		SELECT id, '2026-04-10', -3, 'texted', 'on_schedule', 1000000 + id, 1 FROM bills WHERE account LIKE 'N%'`,
	`INSERT INTO events (at, bill_id, text_id, what, reason, detail)
		SELECT 1, id, 1000000 + id, 'accepted', 'provider', 'it took it' FROM bills WHERE account LIKE 'N%'`,
}

// The promise of TestStatementsUseTheirIndexes, on PostgreSQL. A connection keeps its plans, so
// those of an empty store must do until the server analyzes the tables again; and what
// the server knows of a table may be of its first days.
func TestStatementsUseTheirIndexesOnPostgres(t *testing.T) {
	if !pgtest.Wanted() {
		t.Skip("this is about PostgreSQL")
	}
	s := openNew(t)
	useAll(t, s)
	change(t, s, preparedPlans)
	check := func(name string, except []string) {
		t.Run(name, func(t *testing.T) { checkPlans(t, plansOf(t, s), except) })
	}
	check("few rows, not analyzed", ofCommands)
	ready(t, s, newPolicy(), billsOf(70)[60:]...)
	must(s.Import(t.Context(), SourceImport, billsOf(80)[70:], checkedAt, nil)) // no queue is empty
	change(t, s, "ANALYZE")
	for _, statement := range grow {
		change(t, s, statement)
	}
	check("many rows, and the statistics of few", untilAnalyzed)
	change(t, s, "ANALYZE")
	check("many rows, analyzed", nil)
	change(t, s, "TRUNCATE bills, due_recheck, due_remind, due_register, phones, texts, reminders, events CASCADE")
	check("no rows, and the statistics of many", nil)
}

// otherwise are statements of hot that PostgreSQL may run by another index, and why that one
// will do.
var otherwise = map[string]string{
	"SELECT id, sent_to, body, created_at":              "the index of texts in doubt holds few",
	"x WHERE x.sent_to = texts.sent_to":                 "goes through the texts that were redirected, once for each text that was found again",
	"FROM pauses WHERE service IN ":                     "holds one row for each service or phone that is paused as a whole",
	"FROM answer_minutes WHERE service = ?1 || ''":      "holds one row for each service and minute of the last hour",
	"count(DISTINCT provider_id) FROM foreign_messages": "holds few until it is analyzed: sending has stopped for them",
}

// ofCommands are statements that a daemon does not keep the plans of: each command plans
// them for the tables as they are.
var ofCommands = []string{"AND account = ?1 AND id > ?2", "AND account = ?3"}

// untilAnalyzed may have another index for as long as the server believes that all of a queue
// is due at one instant: then that one reads no more.
var untilAnalyzed = []string{
	"FROM due_register WHERE at = ?1 + 0 AND bill_id > ", "FROM due_register WHERE at = ?1 + 0 AND bill_id < ",
	"FROM due_recheck WHERE at = ?1 + 0 AND bill_id > ", "FROM due_recheck WHERE at = ?1 + 0 AND bill_id < ",
}

// checkPlans looks for plans that read more than they should. The statements of hot that are
// excepted may use any index.
func checkPlans(t *testing.T, plans map[string]string, except []string) {
	t.Helper()
	found := make(map[string]bool)
	for _, query := range slices.Sorted(maps.Keys(plans)) {
		plan := plans[query]
		for part, index := range hot {
			if !containsPart(query, part) {
				continue
			}
			found[part] = true
			if otherwise[part] == "" && !slices.Contains(except, part) && !usesIndex(plan, index) {
				t.Errorf("%s\ndoes not use %s:\n%s", query, index, plan)
			}
		}
		if strings.Contains(plan, "Gather") {
			t.Errorf("%s\nis run by several processes:\n%s", query, plan)
		}
		if strings.Contains(query, "AS queued") && strings.Contains(plan, "Append") && !strings.Contains(plan, "Merge Append") {
			t.Errorf("%s\nreads all that is due, and sorts it:\n%s", query, plan)
		}
		if whole := readsWhole(plan); whole != "" && !containsAny(query, mayScan) {
			t.Errorf("%s\nreads all of %s:\n%s", query, whole, plan)
		}
	}
	for part := range hot {
		if !found[part] {
			t.Errorf("no statement contains %q", part)
		}
	}
}

// containsPart is strings.Contains for a statement as PostgreSQL reads it.
func containsPart(query, part string) bool {
	for _, r := range [...][2]string{{"?", "$"}, {" + 0", "::bigint"}, {" || ''", "::text"}, {"UPDATE OR FAIL", "UPDATE"}, {"(VALUES ", "(SELECT * FROM unnest("}} {
		part = strings.ReplaceAll(part, r[0], r[1])
	}
	if column, isList := strings.CutSuffix(part, " IN"); isList {
		part = column + " = ANY"
	}
	return strings.Contains(query, part)
}

// postgresNames are PostgreSQL's names of the indexes that SQLite numbers.
var postgresNames = map[string]string{
	"sqlite_autoindex_answer_minutes_1": "answer_minutes_pkey",
	"sqlite_autoindex_bills_1":          "bills_service_account_key",
	"sqlite_autoindex_opt_outs_1":       "opt_outs_pkey",
	"sqlite_autoindex_pauses_1":         "pauses_pkey",
	"sqlite_autoindex_phones_1":         "phones_number_key",
	"sqlite_autoindex_reminders_1":      "reminders_bill_id_due_date_stage_key",
	"sqlite_autoindex_usage_1":          "usage_pkey",
}

var (
	hotIndex  = regexp.MustCompile(`(?:COVERING INDEX )?(\w+)(?: \((.*))?$`)
	hotColumn = regexp.MustCompile(`(\w+)[=<>]`)
	indexScan = regexp.MustCompile(`(?:Index (?:Only )?Scan (?:Backward )?using|Bitmap Index Scan on) (\w+)`)
)

// usesIndex reports whether a plan looks up the columns of an index, which is named as in
// a plan of SQLite. There each index ends with the id of the row.
func usesIndex(plan, index string) bool {
	if strings.HasSuffix(index, "INTEGER PRIMARY KEY") {
		return strings.Contains(plan, "_pkey")
	}
	want := hotIndex.FindStringSubmatch(index)
	name := want[1]
	if other, ok := postgresNames[name]; ok {
		name = other
	}
	for _, step := range indexSteps(plan) {
		if step.index != name {
			continue
		}
		all := true
		for _, column := range hotColumn.FindAllStringSubmatch(want[2], -1) {
			all = all && (column[1] == "rowid" || strings.Contains(step.condition, column[1]))
		}
		if all {
			return true
		}
	}
	return false
}

// indexStep is a step of a plan that reads an index.
type indexStep struct {
	index, condition string
	head             bool // it stops as soon as there are enough
}

func indexSteps(plan string) (all []indexStep) {
	before := ""
	for line := range strings.Lines(plan) {
		if m := indexScan.FindStringSubmatch(line); m != nil {
			all = append(all, indexStep{index: m[1], head: strings.HasSuffix(strings.TrimSpace(before), "Limit")})
		}
		if _, condition, ok := strings.Cut(line, "Index Cond: "); ok && len(all) > 0 {
			all[len(all)-1].condition = condition
		}
		if strings.Contains(line, "Filter: ") && len(all) > 0 {
			all[len(all)-1].head = false
		}
		before = line
	}
	return all
}

var (
	growingTable = regexp.MustCompile(`Seq Scan on ((?:bills|due_\w+|texts|reminders|events|phones)\b)`)
	// bills_not_verified holds those bills alone, and so is read without a condition.
	growingIndex = regexp.MustCompile(`^(bills|due|texts|reminders|events|phones)_`)
)

// readsWhole names a table that grows, or an index of one, of which a plan reads all; "" =
// there is none.
func readsWhole(plan string) string {
	if m := growingTable.FindStringSubmatch(plan); m != nil {
		return m[1]
	}
	for _, step := range indexSteps(plan) {
		if growingIndex.MatchString(step.index) && step.index != "bills_not_verified" && step.condition == "" && !step.head {
			return step.index
		}
	}
	return ""
}

func containsAny(query string, parts map[string]string) bool {
	for part := range parts {
		if containsPart(query, part) {
			return true
		}
	}
	return false
}

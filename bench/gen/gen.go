// Package gen makes large stores for the benchmarks: bills with realistic
// names, due dates and balances, the same ones for the same seed.
//
// It writes SQL of its own, where all other SQL is in package store: ten
// million bills are laid down in minutes by one statement for each table, with
// the indexes built afterwards, and nothing that the daemon runs should know
// such a way past its checks. The schema is the store's own: the caller makes
// an empty store first, and this package imports none of ours.
package gen

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver
)

// Order is a store to be filled.
type Order struct {
	Path  string
	Bills int
	Seed  uint64
	// Now is the day of the store, in the zone of its bills. All that is known
	// was learned within the half hour before it, and the first evaluation by any
	// job lies two days after it.
	Now time.Time
	// Pending makes bills that await registration instead.
	Pending bool
	// PerPhone is how many bills in a row have the same phone; 0 = 1.
	PerPhone int
}

// Phone is the phone of the n-th bill, counted from 1: no two are alike.
func Phone(n int) string {
	// Coprime to the number of phones, so that neighbours are far apart.
	return fmt.Sprintf("+2547%08d", n*phoneStep%phones)
}

const (
	phones    = 100_000_000
	phoneStep = 61_803_399
)

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// CSV writes a file of n bills to import, in no order.
func CSV(path string, n int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "service,account,phone,description,language")
	step := phoneStep
	for gcd(step, n) != 1 { // else some rows would come twice
		step++
	}
	for i := range n {
		at := (i*step)%n + 1
		fmt.Fprintf(w, "17,%010d,%s,House %d,%s\n", at*7, Phone(at), at%400, []string{"", "sw", "", ""}[at%4])
	}
	return w.Flush()
}

// Fill fills an empty store, whose schema is there already.
func Fill(ctx context.Context, o Order) error {
	if err := fill(ctx, o); err != nil {
		return fmt.Errorf("fill store %s: %w", o.Path, err)
	}
	return flush(o.Path)
}

// open opens the file with nothing in the way of speed: a store that is half
// made is made again.
func open(ctx context.Context, path string) (*sql.DB, *sql.Conn, error) {
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal_mode=OFF&_synchronous=OFF&_cache_size=-400000&_foreign_keys=off")
	if err != nil {
		return nil, nil, err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, c, nil
}

func fill(ctx context.Context, o Order) (err error) {
	db, c, err := open(ctx, o.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(), db.Close()) }()
	indexes, err := takeIndexes(ctx, c)
	if err != nil {
		return err
	}
	statements := append([]string{"PRAGMA threads = 2", "BEGIN"}, names()...)
	statements = append(statements, bills(o)...)
	statements = append(statements, indexes...)
	statements = append(statements, "DROP TABLE first_names", "DROP TABLE last_names", "COMMIT", "PRAGMA journal_mode = WAL")
	for _, s := range statements {
		if _, err := c.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.60s: %w", s, err)
		}
	}
	return nil
}

// takeIndexes drops the indexes of the tables that are filled, and returns how
// to make them again: sorting at the end is faster than inserting in between.
func takeIndexes(ctx context.Context, c *sql.Conn) (create []string, err error) {
	rows, err := c.QueryContext(ctx, `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL
		AND (tbl_name = 'bills' OR tbl_name LIKE 'due%')`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var drop []string
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			return nil, err
		}
		drop, create = append(drop, "DROP INDEX "+name), append(create, statement)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, s := range drop {
		if _, err := c.ExecContext(ctx, s); err != nil {
			return nil, err
		}
	}
	return create, nil
}

// bills are the statements that fill the tables. h is a hash of the bill's
// number; each fact takes other bits of it.
func bills(o Order) []string {
	at := o.Now.UnixMilli()
	state, known := "'active'", true
	if o.Pending {
		state, known = "'pending'", false
	}
	or := func(yes string) string {
		if known {
			return yes
		}
		return "NULL"
	}
	days := make([]string, 31)
	for i := range days {
		days[i] = fmt.Sprintf("WHEN %d THEN '%s'", i, o.Now.AddDate(0, 0, i-2).Format(time.DateOnly))
	}
	insert := fmt.Sprintf(`
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %[1]d),
		h (i, h) AS (SELECT i, ((i * 2654435761 + %[2]d) & 4294967295) * 40503 & 1099511627775 FROM n),
		b (i, h, balance) AS (SELECT i, h, CASE WHEN (h >> 8) %% 10 < 7 THEN printf('%%d.%%02d', 100 + (h >> 4) %% 19900, h %% 100)
			WHEN (h >> 8) %% 10 < 9 THEN '0' ELSE printf('-%%d.%%02d', (h >> 4) %% 900 + 1, h %% 100) END FROM h)
		INSERT INTO bills (id, service, account, phone, language, description, source, state, customer, balance, balance_at, due_date,
			biller_verified, registered_at, checked_at, failures, last_error, usual)
		SELECT i, '17', printf('%%010d', i * 7), printf('+2547%%08d', ((i - 1) / %[13]d + 1) * %[3]d %% %[4]d),
			CASE h %% 4 WHEN 0 THEN 'sw' ELSE '' END, 'House ' || (h %% 400 + 1), 'import', %[5]s,
			%[6]s, %[7]s, %[8]s, %[9]s, %[10]s, %[11]s, %[8]s, 0, '', %[12]s FROM b`,
		o.Bills, o.Seed, phoneStep, phones, state,
		"coalesce("+or("(SELECT name FROM first_names WHERE id = (h >> 3) % 32) || ' ' || "+
			"(SELECT name FROM last_names WHERE id = (h >> 9) % 32)")+", '')",
		or("balance"), or(fmt.Sprintf("%d - (h >> 7) %% 1800000", at)), or("CASE (h >> 5) % 31 "+strings.Join(days, " ")+" END"),
		or("1"), or(fmt.Sprintf("%d - 86400000 * (30 + h %% 300)", at)),
		or("CASE WHEN balance > '0' THEN balance END"), max(o.PerPhone, 1))
	count := fmt.Sprintf("INSERT OR REPLACE INTO meta (key, value) VALUES ('bills', '%d')", o.Bills)
	const due = "INSERT INTO %s (bill_id, at) SELECT id, %d + 172800000 + ((id * 2654435761) & 4294967295) %% 1000000 * 1000 FROM bills"
	if o.Pending {
		return []string{insert, count, fmt.Sprintf("INSERT INTO due_register (bill_id, at) SELECT id, %d FROM bills", at)}
	}
	return []string{insert, count, fmt.Sprintf(due, "due_recheck", at), fmt.Sprintf(due, "due_remind", at)}
}

// names are those of the customers, as are usual in Kenya.
func names() (statements []string) {
	for table, list := range map[string]string{
		"first_names": "Wanjiku Otieno Achieng Kamau Njeri Mwangi Akinyi Kiprop Chebet Mutua Nyambura Odhiambo Wambui Kipchoge Atieno Muthoni " +
			"Juma Halima Abdi Fatuma Grace Peter Mary John Faith Brian Mercy Kevin Esther Dennis Joyce Samuel",
		"last_names": "Kariuki Ochieng Mwende Kimani Wafula Cheruiyot Omondi Njoroge Barasa Kiplagat Onyango Gitau Mutiso Koech Owino Maina " +
			"Hassan Mohamed Nduta Rotich Simiyu Karanja Langat Musyoka Ouma Waweru Kibet Wekesa Macharia Jeptoo Okoth Ngugi",
	} {
		statements = append(statements, "CREATE TABLE "+table+" (id INTEGER PRIMARY KEY, name TEXT)")
		for i, name := range strings.Fields(list) {
			statements = append(statements, fmt.Sprintf("INSERT INTO %s VALUES (%d, '%s')", table, i, name))
		}
	}
	return statements
}

package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// keepAnswersFor is for how long answers are counted by the minute: the hour that is judged. The
// answers since a doubt began are summed in its own row, however long it lasts.
const keepAnswersFor = reminder.FeedSpan

// serviceAnswers are the answers of a batch about the bills of one service.
type serviceAnswers struct {
	service string
	reminder.AnswerCounts
	example string // a problem of one of them
}

var countAnswersSQL = db.NewBatch(`INSERT INTO answer_minutes (service, minute, answers, asked, owed, turned, returned, unread) VALUES %s
	ON CONFLICT (service, minute) DO UPDATE SET
		answers = answer_minutes.answers + excluded.answers, asked = answer_minutes.asked + excluded.asked,
		owed = answer_minutes.owed + excluded.owed, turned = answer_minutes.turned + excluded.turned,
		returned = answer_minutes.returned + excluded.returned,
		unread = answer_minutes.unread + excluded.unread`, 0,
	db.Text, db.Integer, db.Integer, db.Integer, db.Integer, db.Integer, db.Integer, db.Integer)

// The sums of the answers of the minutes that began after an instant.
const sumAnswers = "sum(answers), sum(asked), sum(owed), sum(turned), sum(returned), sum(unread) FROM answer_minutes WHERE "

// answersSince sums the answers of all services, by service. Nearly all rows are of the hour
// that is judged, so they are read in the order of the services and not by their minute.
func (t *tx) answersSince(after, now time.Time) (map[string]reminder.AnswerCounts, error) {
	rows := t.Query("SELECT service, "+sumAnswers+"+minute > ?1 AND +minute <= ?2 GROUP BY service", after.UnixMilli(), now.UnixMilli())
	all := map[string]reminder.AnswerCounts{}
	_, err := db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		var service string
		var c reminder.AnswerCounts
		err = r.Scan(&service, &c.All, &c.Asked, &c.Owed, &c.Turned, &c.Returned, &c.Unread)
		all[service] = c
		return none, err
	})
	return all, err
}

// answersOf sums the answers of one service.
func (t *tx) answersOf(service string, after, now time.Time) (c reminder.AnswerCounts, err error) {
	rows := t.Query("SELECT "+sumAnswers+"service = ?1 || '' AND minute > ?2 AND minute <= ?3 GROUP BY service",
		service, after.UnixMilli(), now.UnixMilli())
	_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		return none, r.Scan(&c.All, &c.Asked, &c.Owed, &c.Turned, &c.Returned, &c.Unread)
	})
	return c, err
}

// answersToJudge sums the answers since an instant of all services, or of those of a batch.
func (t *tx) answersToJudge(after, now time.Time, all bool, batch []*serviceAnswers) (map[string]reminder.AnswerCounts, error) {
	if all {
		return t.answersSince(after, now)
	}
	sums := make(map[string]reminder.AnswerCounts, len(batch))
	for _, c := range batch {
		var err error
		if sums[c.service], err = t.answersOf(c.service, after, now); err != nil {
			return nil, err
		}
	}
	return sums, nil
}

// addAnswers counts the answers of a batch for their minute and service, and warns when those
// of the hour say more of a biller's feed than of its bills, or ends such a warning. That is
// one row for each service of a batch, and only these services are judged. Once
// a minute all services are, with the doubts and warnings that stand already.
func (t *tx) addAnswers(all map[string]*serviceAnswers, now time.Time) error {
	if len(all) == 0 {
		return nil
	}
	minute := now.Truncate(time.Minute).UnixMilli()
	var begun bool
	if err := t.Row("SELECT EXISTS (SELECT 1 FROM answer_minutes WHERE minute = ?1)", minute).Scan(&begun); err != nil {
		return fmt.Errorf("count answers: %w", err)
	}
	if !begun {
		if _, err := t.Exec("DELETE FROM answer_minutes WHERE minute < ?1", now.Add(-keepAnswersFor).UnixMilli()); err != nil {
			return fmt.Errorf("count answers: %w", err)
		}
	}
	batch := slices.SortedFunc(maps.Values(all), func(a, b *serviceAnswers) int { return cmp.Compare(a.service, b.service) })
	if _, err := db.ExecBatch(t.Tx, countAnswersSQL, batch, func(args []any, c *serviceAnswers) []any {
		return append(args, c.service, minute, c.All, c.Asked, c.Owed, c.Turned, c.Returned, c.Unread)
	}); err != nil {
		return fmt.Errorf("count answers: %w", err)
	}
	if _, err := db.ExecBatch(t.Tx, sumDoubtedSQL, batch, func(args []any, c *serviceAnswers) []any {
		return append(args, c.service, c.Owed, c.Turned, c.Returned)
	}); err != nil {
		return fmt.Errorf("count answers in doubt: %w", err)
	}
	lost, unread := !begun, !begun
	for _, c := range batch {
		lost, unread = lost || c.Turned > 0, unread || c.Unread > 0
	}
	if lost {
		if err := t.judgePayments(now, !begun, batch); err != nil {
			return fmt.Errorf("judge what is paid: %w", err)
		}
	}
	if unread {
		if err := t.judgeReading(now, !begun, batch); err != nil {
			return fmt.Errorf("judge what could be read: %w", err)
		}
	}
	return nil
}

// judgedFrom is from when on answers count: the last hour, without what the operator has
// released.
func (t *tx) judgedFrom(reason reminder.Reason, now time.Time) (time.Time, error) {
	from := now.Add(-reminder.FeedSpan)
	released, err := instantOf(t, metaReleased+string(reason))
	if err != nil || released.Before(from) {
		return from, err
	}
	return released, nil
}

// judgeReading warns when too many answers about the bills of a service cannot be read,
// and ends that.
func (t *tx) judgeReading(now time.Time, update bool, batch []*serviceAnswers) error {
	from, err := t.judgedFrom(reminder.UnreadableAnswers, now)
	if err != nil {
		return err
	}
	warned, err := t.warned(reminder.UnreadableAnswers)
	if err != nil {
		return err
	}
	hour, err := t.answersToJudge(from, now, update, batch)
	if err != nil {
		return err
	}
	var sentences []string
	for _, c := range batch {
		if c.example != "" && hour[c.service].Unreadable() {
			sentences = append(sentences, "service "+c.service+": "+hour[c.service].UnreadSentence(c.example))
		}
	}
	if len(sentences) > 0 && (update || !warned) {
		return t.warn(now, reminder.UnreadableAnswers, strings.Join(sentences, "; ")+"; what was known before stays in use")
	}
	if !warned || !update {
		return nil
	}
	var total reminder.AnswerCounts
	for _, c := range hour {
		if c.Unreadable() {
			return nil
		}
		total.All += c.All
	}
	if total.ReadRight() {
		return t.endWarning(reminder.UnreadableAnswers)
	}
	return nil
}

package store

import (
	"time"

	"duewatch/reminder"
	"duewatch/store/db"
)

// keepCounts is for how long answers are counted by the minute: the hour that is judged. What
// came since a doubt began is summed in its own row, however long it lasts.
const keepCounts = reminder.FeedSpan

// fed are the answers of a batch about the bills of one service.
type fed struct {
	service string
	reminder.AnswerCounts
	example string // a problem of one of them
}

var countAnswers = db.NewBatch(`INSERT INTO answer_minutes (service, minute, answers, asked, owed, turned, returned, unread) VALUES %s
	ON CONFLICT (service, minute) DO UPDATE SET answers = answer_minutes.answers + excluded.answers, asked = answer_minutes.asked + excluded.asked,
		owed = answer_minutes.owed + excluded.owed, turned = answer_minutes.turned + excluded.turned,
		returned = answer_minutes.returned + excluded.returned,
		unread = answer_minutes.unread + excluded.unread`, 0,
	db.Text, db.Integer, db.Integer, db.Integer, db.Integer, db.Integer, db.Integer, db.Integer)

// The sums of the answers of the minutes that began after an instant.
const sumAnswers = "sum(answers), sum(asked), sum(owed), sum(turned), sum(returned), sum(unread) FROM answer_minutes WHERE "

// answersSince sums the answers of all services, by service. Nearly all rows are of the hour
// that is judged, so they are read in the order of the services and not by their minute.
func (t *tx) answersSince(after, now time.Time) (map[string]reminder.AnswerCounts, error) {
	rows, err := t.Query("SELECT service, "+sumAnswers+"+minute > ?1 AND +minute <= ?2 GROUP BY service", after.UnixMilli(), now.UnixMilli())
	if err != nil {
		return nil, err
	}
	all := map[string]reminder.AnswerCounts{}
	_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
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
	rows, err := t.Query("SELECT "+sumAnswers+"service = ?1 || '' AND minute > ?2 AND minute <= ?3 GROUP BY service",
		service, after.UnixMilli(), now.UnixMilli())
	if err != nil {
		return c, err
	}
	_, err = db.Collect(rows, func(r db.Scanner) (none struct{}, err error) {
		return none, r.Scan(&c.All, &c.Asked, &c.Owed, &c.Turned, &c.Returned, &c.Unread)
	})
	return c, err
}

// answersToJudge sums the answers since an instant of all services, or of those of a batch.
func (t *tx) answersToJudge(after, now time.Time, all bool, batch []*fed) (map[string]reminder.AnswerCounts, error) {
	if all {
		return t.answersSince(after, now)
	}
	some := make(map[string]reminder.AnswerCounts, len(batch))
	for _, c := range batch {
		var err error
		if some[c.service], err = t.answersOf(c.service, after, now); err != nil {
			return nil, err
		}
	}
	return some, nil
}

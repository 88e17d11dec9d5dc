package reminder

import "time"

// afterUseful is for how many days a reminder planned after the due date is
// still worth sending; one planned before it is useful until the due day's
// window closes.
const afterUseful = 7

// maxSilentDays bounds the search for a day with texts. Where a whole year has none,
// the stage is planned on the silent day reached by then, and the window, which never
// opens, has it expire with a reason.
const maxSilentDays = 366

// Step is one planned reminder: when it should leave, and when it stops being
// useful.
type Step struct {
	Stage    Stage
	At       time.Time
	NotAfter time.Time // the first instant at which it is useful no more
}

// Steps is the plan for a due date, in the order of its stages. A stage on a
// day without texts moves to the day before, or to the day after when it
// follows the due date: a reminder is never moved across the due date. Steps
// of an unknown due date are none.
func (p *Policy) Steps(due Date) []Step {
	if due.IsZero() {
		return nil
	}
	steps := make([]Step, 0, len(p.Stages))
	end := p.closes(due)
	for _, stage := range p.Stages {
		move := -1
		if stage > 0 {
			move = 1
		}
		day := due.AddDays(int(stage))
		for range maxSilentDays {
			if !p.silent(day) {
				break
			}
			day = day.AddDays(move)
		}
		step := Step{Stage: stage, At: day.At(p.SendAt, p.Zone), NotAfter: end}
		if stage > 0 {
			step.NotAfter = p.closes(day.AddDays(afterUseful))
		}
		steps = append(steps, step)
	}
	return steps
}

// current is the index of the latest step whose hour has come; -1 before the
// first. Of several missed stages only this one is sent.
func current(steps []Step, now time.Time) int {
	i := len(steps) - 1
	for i >= 0 && steps[i].At.After(now) {
		i--
	}
	return i
}

// NextEval is when the remind job should next decide about the bill; zero when no
// stage of its due date is to come. For a paused bill it is when that job ends the
// pause.
//
// A stage without a record that is no longer useful gets none: it was over before its
// due date was known. One that was planned stays due in the store, and ends as expired.
func (p *Policy) NextEval(b Bill, done []Reminder, now time.Time) time.Time {
	switch b.State {
	case BillPaused:
		return b.PausedUntil
	case BillPending, BillRejected, BillRemoved:
		return time.Time{}
	case BillActive:
	}
	steps := p.Steps(b.DueDate)
	i := current(steps, now)
	for _, step := range steps[:i+1] {
		if recordOf(done, b.DueDate, step.Stage).Outcome == Held {
			return now // to be sent, or ended: what is held must not stay so for ever
		}
	}
	// Of those without a record only the latest can be sent: that decision also ends the
	// earlier ones, as superseded.
	if i >= 0 && now.Before(steps[i].NotAfter) && !recordOf(done, b.DueDate, steps[i].Stage).Final() {
		return now
	}
	if i+1 < len(steps) {
		return steps[i+1].At
	}
	return time.Time{}
}

// EvalAfterPause is NextEval for a bill whose pause, which began at since, is
// over: stages whose hour came meanwhile are decided now, also those that are
// of no use any more, so that each ends with a record.
func (p *Policy) EvalAfterPause(b Bill, since time.Time, done []Reminder, now time.Time) time.Time {
	if b.State != BillActive {
		return time.Time{}
	}
	for _, step := range p.Steps(b.DueDate) {
		if step.At.After(since) && !step.At.After(now) && !recordOf(done, b.DueDate, step.Stage).Final() {
			return now
		}
	}
	return p.NextEval(b, done, now)
}

// recordOf finds the record of a stage; the zero Reminder when it was never
// acted on.
func recordOf(done []Reminder, due Date, stage Stage) Reminder {
	for _, r := range done {
		if r.Stage == stage && r.DueDate == due {
			return r
		}
	}
	return Reminder{}
}

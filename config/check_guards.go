package config

import (
	"strconv"
	"strings"

	"duewatch/reminder"
)

// Bounds of the guards. A factor below two would hold an ordinary first of the
// month.
const (
	minFactor        = 2
	maxFactor        = 1000
	maxTextsADay     = 10_000_000
	maxMonthSegments = 1_000_000_000
)

// guards reads the limits that hold texts on a day that is not like others.
func (c *checker) guards(v view) reminder.Guards {
	return reminder.Guards{
		MaxTextsPerDay:     v.whole("guards.max_texts_per_day", 0, maxTextsADay),
		Surge:              v.factor("guards.surge"),
		SurgeFrom:          v.whole("guards.surge_from", 1, maxTextsADay),
		ImplausibleBalance: v.factor("guards.implausible_balance"),
		ImplausibleFrom:    v.amount("guards.implausible_from"),
		MonthlySegments:    v.whole("guards.monthly_segments", 0, maxMonthSegments),
		MaxFailureRate:     v.share("guards.max_failure_rate"),
	}
}

// factor reads how many times the usual number is too much; 0 = off.
func (v view) factor(key string) float64 {
	s := v.text(key)
	n, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || !plainNumber.MatchString(s):
		v.bad(key, "%s is not a number: write 0 for off, or one from %d to %d", shown(s), minFactor, maxFactor)
		return 0
	case n != 0 && (n < minFactor || n > maxFactor):
		v.bad(key, "%s is out of range: write 0 for off, or a number from %d to %d", shown(s), minFactor, maxFactor)
		return 0
	}
	return n
}

// share reads a percentage as a fraction of one; 0% = off. The sign is required: 0.5
// could mean a half or half a percent.
func (v view) share(key string) float64 {
	s := v.text(key)
	const want = "write 0% for off, or a percentage from 1% to 100%"
	number, signed := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || !signed || !plainNumber.MatchString(number):
		v.bad(key, "%s is not a percentage: %s", shown(s), want)
		return 0
	case n != 0 && (n < 1 || n > 100):
		v.bad(key, "%s is out of range: %s", shown(s), want)
		return 0
	}
	return n / 100
}

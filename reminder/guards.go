package reminder

// Guards hold texts back on a bad day: a faulty import, a biller's mistake, a
// provider that fails. What a guard holds waits for the operator, who looks
// and releases it.
type Guards struct {
	MaxTextsPerDay int     // 0 = no limit
	Surge          float64 // more than this many times the median day holds; 0 = off
	SurgeFrom      int     // a day of fewer texts is never a surge

	ImplausibleBalance float64 // more than this many times the highest balance believed so far holds; 0 = off
	ImplausibleFrom    Money   // a lower balance is never implausible

	MonthlySegments int     // of the calendar month; 0 = no limit
	MaxFailureRate  float64 // share of the last texts, 0 to 1; 0 = off
}

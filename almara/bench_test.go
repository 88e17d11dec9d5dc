package almara

import (
	"net/http"
	"testing"
	"time"
)

// What reading an answer costs: `make bench-pure`. The figures are in
// docs/performance.md.
func BenchmarkDecode(b *testing.B) {
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	now := time.Date(2026, time.April, 1, 12, 44, 16, 0, time.UTC)
	hide := redactor{phone: testBill.Phone, secrets: []string{testSecret, "tok-1"}}
	for _, bench := range []struct {
		name   string
		status int
		body   string
		fails  bool
	}{
		{"answer", http.StatusOK, seedSample, false},
		{"rejection", http.StatusBadRequest, seedFailure, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := decode("register", reply{bench.status, header, []byte(bench.body), now}, hide, locale{currency: "KES"}); (err != nil) != bench.fails {
					b.Fatal(err)
				}
			}
		})
	}
}

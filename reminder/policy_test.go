package reminder

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func chance(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// randomPolicy is a policy that an operator could have written.
func randomPolicy(tb testing.TB, r *rand.Rand) *Policy {
	tb.Helper()
	return shippedPolicy(tb, func(p *Policy) {
		p.Zone = place(tb, pick(r, "Africa/Nairobi", "Europe/Berlin", "America/New_York", "America/Santiago", "Africa/Cairo", "Pacific/Auckland", "Asia/Kathmandu"))
		p.Stages = pick(r, []Stage{-7, -3, 0}, []Stage{0}, []Stage{-1, 0, 1}, []Stage{-14, -2, 2, 5}, []Stage{-3, -2, -1, 0}, []Stage{3})
		switch r.IntN(4) {
		case 0:
			p.Window, p.SendAt = Window{0, endOfDay}, pick[Clock](r, 0, 540, 1439)
		case 1:
			p.Window, p.SendAt = Window{540, endOfDay}, pick[Clock](r, 540, 1200)
		default:
			p.Window, p.SendAt = Window{480, 1080}, pick[Clock](r, 480, 540, 1050)
		}
		p.SkipWeekdays = pick(r, nil, nil, []time.Weekday{time.Sunday}, []time.Weekday{time.Saturday, time.Sunday})
		p.Holidays = map[Date]bool{}
		for range r.IntN(40) {
			p.Holidays[day("2026-01-01").AddDays(r.IntN(800))] = true
		}
		p.MaxBalanceAge = pick(r, 0, 10*time.Minute, time.Hour, 24*time.Hour)
		p.StaleBalance = pick(r, StaleHold, StaleHold, StaleWithoutAmount, StaleSkip)
		p.PerNumberDaily = pick(r, 1, 1, 2, 5)
	})
}

func TestOpenAt(t *testing.T) {
	allDay := func(p *Policy) { p.Window = Window{0, endOfDay} }
	toMidnight := func(p *Policy) { p.Window = Window{480, endOfDay} }
	noSunday := func(p *Policy) { p.SkipWeekdays = []time.Weekday{time.Sunday} }
	berlin := func(p *Policy) { p.Zone = place(t, "Europe/Berlin") }
	tests := map[string]struct {
		at      string
		changes []func(*Policy)
		open    bool
		next    string // NextOpen
	}{
		"a second before it opens":           {"2026-03-17 07:59:59", nil, false, "2026-03-17 08:00"},
		"as it opens":                        {"2026-03-17 08:00", nil, true, "2026-03-17 08:00"},
		"a minute before it closes":          {"2026-03-17 17:59", nil, true, "2026-03-17 17:59"},
		"too late for the provider":          {"2026-03-17 17:59:01", nil, false, "2026-03-18 08:00"},
		"as it closes":                       {"2026-03-17 18:00", nil, false, "2026-03-18 08:00"},
		"03:03 at night":                     {"2026-03-17 03:03", nil, false, "2026-03-17 08:00"},
		"Sunday without texts":               {"2026-03-22 12:00", []func(*Policy){noSunday}, false, "2026-03-23 08:00"},
		"Saturday evening before it":         {"2026-03-21 18:30", []func(*Policy){noSunday}, false, "2026-03-23 08:00"},
		"a holiday before it":                {"2026-03-21 12:00", []func(*Policy){noSunday, func(p *Policy) { p.Holidays = closedFrom("2026-03-21", 1) }}, false, "2026-03-23 08:00"},
		"all day, at night":                  {"2026-03-17 03:03", []func(*Policy){allDay}, true, "2026-03-17 03:03"},
		"all day, at the last second":        {"2026-03-17 23:59:59", []func(*Policy){allDay}, true, "2026-03-17 23:59:59"},
		"all day, at midnight":               {"2026-03-18 00:00", []func(*Policy){allDay}, true, "2026-03-18 00:00"},
		"all day, last second before Sunday": {"2026-03-21 23:59:59", []func(*Policy){allDay, noSunday}, false, "2026-03-23 00:00"},
		"to midnight, a minute before":       {"2026-03-17 23:59", []func(*Policy){toMidnight}, true, "2026-03-17 23:59"},
		"to midnight, the last second":       {"2026-03-17 23:59:59", []func(*Policy){toMidnight}, false, "2026-03-18 08:00"},
		"to midnight, at midnight":           {"2026-03-18 00:00", []func(*Policy){toMidnight}, false, "2026-03-18 08:00"},
		"no day open":                        {"2026-03-17 12:00", []func(*Policy){func(p *Policy) { p.Holidays = closedFrom("2026-01-01", 800) }}, false, "never"},
		"the zone decides, not UTC":          {"2026-03-17T06:30:00Z", nil, true, "2026-03-17 09:30"},
		"Berlin, the night of the change":    {"2026-03-28 18:00", []func(*Policy){berlin}, false, "2026-03-29 08:00"},
		"Berlin, the morning after it":       {"2026-03-29T06:00:00Z", []func(*Policy){berlin}, true, "2026-03-29 08:00"},
		"Berlin, the morning before it":      {"2026-03-28T06:00:00Z", []func(*Policy){berlin}, false, "2026-03-28 08:00"},
		"Cairo, Thursday's last second": {"2026-04-23 23:59:59", []func(*Policy){allDay, func(p *Policy) {
			p.Zone, p.SkipWeekdays = place(t, "Africa/Cairo"), []time.Weekday{time.Thursday}
		}}, false, "2026-04-24 01:00"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t, tt.changes...)
			now := on(t, p, tt.at)
			if got := p.OpenAt(now); got != tt.open {
				t.Errorf("OpenAt = %t", got)
			}
			if got := shown(p, p.NextOpen(now)); got != tt.next {
				t.Errorf("NextOpen = %s, want %s", got, tt.next)
			}
		})
	}
}

// isOpen is the window as the docs describe it, by the wall clock and nothing
// else: a second opinion on OpenAt.
func isOpen(p *Policy, t time.Time) bool {
	local := t.In(p.Zone)
	clock := Clock(local.Hour()*60 + local.Minute())
	return clock >= p.Window.From && clock < p.Window.To &&
		!slices.Contains(p.SkipWeekdays, local.Weekday()) && !p.Holidays[DateOf(local)]
}

// From any instant, NextOpen is the first minute that is open; and whatever
// time the provider is given ends before the window does.
func TestNextOpenIsTheFirst(t *testing.T) {
	for seed := range uint64(400) {
		r := chance(seed)
		p := randomPolicy(t, r)
		now := on(t, p, "2026-01-01 00:00").Add(time.Duration(r.IntN(600*24*60)) * time.Minute)
		open := p.NextOpen(now)
		if open.Before(now) || !isOpen(p, open) || !p.OpenAt(open) {
			t.Fatalf("seed %d: NextOpen(%s) = %s, which is not open", seed, shown(p, now), shown(p, open))
		}
		for m := now; m.Before(open); m = m.Add(time.Minute) {
			if isOpen(p, m) {
				t.Fatalf("seed %d: NextOpen(%s) = %s, but %s is open", seed, shown(p, now), shown(p, open), shown(p, m))
			}
		}
		for range 50 {
			at := open.Add(time.Duration(r.IntN(20*24*3600)) * time.Second)
			if !p.OpenAt(at) {
				continue
			}
			v := p.Validity(at)
			if v < minValidity || v > maxValidity {
				t.Fatalf("seed %d: Validity(%s) = %s", seed, shown(p, at), v)
			}
			for m := at; m.Before(at.Add(v)); m = m.Add(time.Minute) {
				if !isOpen(p, m) {
					t.Fatalf("seed %d: Validity(%s) = %s, but %s is closed", seed, shown(p, at), v, shown(p, m))
				}
			}
		}
	}
}

func TestValidity(t *testing.T) {
	tests := map[string]struct {
		at     string
		change func(*Policy)
		want   time.Duration
	}{
		"to the end of the window":      {"2026-03-17 09:00", nil, 9 * time.Hour},
		"in whole seconds":              {"2026-03-17T17:58:59.5+03:00", nil, time.Minute},
		"at most ten hours":             {"2026-03-17 09:00", func(p *Policy) { p.Window.To = endOfDay }, 10 * time.Hour},
		"to midnight":                   {"2026-03-17 20:00", func(p *Policy) { p.Window.To = endOfDay }, 4 * time.Hour},
		"all day goes on over midnight": {"2026-03-17 20:00", func(p *Policy) { p.Window = Window{0, endOfDay} }, 10 * time.Hour},
		"all day, before a holiday":     {"2026-03-17 20:00", func(p *Policy) { p.Window, p.Holidays = Window{0, endOfDay}, closedFrom("2026-03-18", 1) }, 4 * time.Hour},
		"an hour less on the night of the change": {"2026-03-28 22:00", func(p *Policy) {
			p.Zone, p.Window, p.SkipWeekdays = place(t, "Europe/Berlin"), Window{480, endOfDay}, nil
		}, 2 * time.Hour},
		"Santiago, to a midnight that is left out": {"2026-09-05 22:00", func(p *Policy) {
			p.Zone, p.Window = place(t, "America/Santiago"), Window{480, endOfDay}
		}, 2 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := shippedPolicy(t)
			if tt.change != nil {
				tt.change(p)
			}
			if got := p.Validity(on(t, p, tt.at)); got != tt.want {
				t.Errorf("Validity = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestDeliveryTo(t *testing.T) {
	customer, operator := Phone("+254710000001"), Phone("+254710000099")
	listed := map[Phone]bool{customer: true}
	tests := map[string]struct {
		d    Delivery
		to   Phone
		held Reason
	}{
		"live":                          {Delivery{Mode: ModeLive}, customer, ""},
		"off":                           {Delivery{Mode: ModeOff}, "", ModeIsOff},
		"off, even when listed":         {Delivery{Mode: ModeOff, Allowlist: listed, RedirectTo: operator}, "", ModeIsOff},
		"on the allowlist":              {Delivery{Mode: ModeAllowlist, Allowlist: listed}, customer, ""},
		"listed as false":               {Delivery{Mode: ModeAllowlist, Allowlist: map[Phone]bool{customer: false}}, "", NotOnAllowlist},
		"not on the allowlist":          {Delivery{Mode: ModeAllowlist, Allowlist: map[Phone]bool{operator: true}}, "", NotOnAllowlist},
		"an empty allowlist lets none":  {Delivery{Mode: ModeAllowlist}, "", NotOnAllowlist},
		"redirect":                      {Delivery{Mode: ModeRedirect, RedirectTo: operator}, operator, ""},
		"the zero Delivery is off":      {Delivery{}, "", ModeIsOff},
		"a mode that nobody knows":      {Delivery{Mode: "LIVE"}, "", ModeIsOff},
		"a live mode has no allowlist":  {Delivery{Mode: ModeLive, Allowlist: map[Phone]bool{operator: true}}, customer, ""},
		"redirect, the customer listed": {Delivery{Mode: ModeRedirect, Allowlist: listed, RedirectTo: operator}, operator, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			to, held := tt.d.To(customer)
			if to != tt.to || held != tt.held {
				t.Errorf("To = %s, %q; want %s, %q", to, held, tt.to, tt.held)
			}
		})
	}
}

func TestPoliciesFor(t *testing.T) {
	water := &Policy{ServiceName: "Water"}
	p := Policies{Default: &Policy{}, ByService: map[string]*Policy{"17": water}}
	if p.For("17") != water || p.For("18") != p.Default {
		t.Error("For finds the wrong policy")
	}
	if p.Name("17") != "Water" || p.Name("18") != "18" {
		t.Errorf("Name is %q, %q", p.Name("17"), p.Name("18"))
	}
}

package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"duewatch/reminder"
)

// Fingerprint is a hash of all that decides whether and when a reminder can be
// sent: every policy, the mode and whom it lets through. When it differs from
// that of the last start, the next instants of all bills have to be planned
// anew; a reminder held under the old settings may be free to go. It is equal
// for equal settings on every host, and follows changes made to the Config.
func (c *Config) Fingerprint() string {
	type policy struct {
		Policy   reminder.Policy
		Zone     string
		Holidays string
	}
	plain := func(id string, p *reminder.Policy) policy {
		out := policy{Policy: *p, Zone: p.Zone.String(), Holidays: c.Holidays(id).source.mark()}
		// JSON knows neither; the zone stands beside it, the templates are
		// in c.wording. Of holidays the source counts: their days are those of
		// a window that moves, and no bill needs to be planned anew for that.
		out.Policy.Zone, out.Policy.Templates, out.Policy.Holidays = nil, reminder.Templates{}, nil
		return out
	}
	services := make(map[string]policy, len(c.Policies.ByService))
	for id, p := range c.Policies.ByService {
		services[id] = plain(id, p)
	}
	// A phone encodes itself masked.
	var allowed []string
	for p, ok := range c.Delivery.Allowlist {
		if ok {
			allowed = append(allowed, p.E164())
		}
	}
	slices.Sort(allowed)
	b, err := json.Marshal(struct {
		Default    policy
		Services   map[string]policy
		Wording    string
		Mode       reminder.Mode
		Allowed    []string
		RedirectTo string
	}{plain(everyService, c.Policies.Default), services, c.wording, c.Delivery.Mode, allowed, c.Delivery.RedirectTo.E164()})
	if err != nil {
		panic("config: a policy cannot be encoded: " + err.Error()) // a bug; a test holds it
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

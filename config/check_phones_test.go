package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMobilePrefixesAreReadAsTheyAreDialled(t *testing.T) {
	cfg, err := load("config.yaml", []byte("phones: {mobile_prefixes: [\"0144\", \"+25620\"]}\n"), Options{Sandbox: true, Environ: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"+254144", "+25620"}, cfg.MobilePrefixes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p, err := cfg.Phones.Parse("0144000001"); p.E164() != "+254144000001" || err != nil {
		t.Errorf("%s, %v", p, err)
	}
}

func TestMobilePrefixesThatAreNoneAreRefused(t *testing.T) {
	for _, prefix := range []string{"+254", "+2541", "144", "0", "0710000003", "+254710000003", "+999144", "x"} {
		_, err := load("config.yaml", []byte("phones: {mobile_prefixes: [\""+prefix+"\"]}\n"), Options{Sandbox: true, Environ: []string{}})
		if err == nil || !strings.HasPrefix(err.Error(), "config.yaml:1: phones.mobile_prefixes[0]: is ") || strings.Contains(err.Error(), "0710000003") {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

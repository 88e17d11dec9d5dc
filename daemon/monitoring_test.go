package daemon

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"duewatch/store"
)

var (
	metricName = regexp.MustCompile(`\b(duewatch|process|go)_[a-z0-9_]+\b`)
	// selector is a metric with its matchers, as in duewatch_texts_total{state=~"undelivered|failed"}.
	selector = regexp.MustCompile(`\b(duewatch_[a-z0-9_]+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)(=~|=|!=)"([^"]*)"`)
	anchor   = regexp.MustCompile(`docs/operations\.md#([a-z0-9-]+)`)
	ruleName = regexp.MustCompile(`(?m)^      - alert: (\w+)$`)
)

// monitoringFiles are the rules and the dashboard. The dashboard's quotes are those of
// JSON, unescaped.
func monitoringFiles(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{"duewatch.rules.yml", "duewatch.dashboard.json"} {
		b, err := os.ReadFile(filepath.Join("..", "monitoring", name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = strings.ReplaceAll(string(b), `\"`, `"`)
	}
	if b, err := os.ReadFile("../monitoring/duewatch.dashboard.json"); err != nil || !json.Valid(b) {
		t.Errorf("the dashboard is no JSON: %v", err)
	}
	return all
}

// An alarm on a series that does not exist never fires, and a graph of one is empty.
func TestMonitoringNamesSeriesThatExist(t *testing.T) {
	w := newWatched(t, filepath.Join(t.TempDir(), "x.db"))
	if _, err := w.d.store.Declare(store.SourceConfig, w.cfg.Bills, w.now); err != nil {
		t.Fatal(err)
	}
	for _, job := range []string{"register", "remind", "housekeeping"} {
		w.must(w.s.Pass(t.Context(), job))
	}
	series := w.series()
	names := map[string]bool{}
	for s := range series {
		name, _, _ := strings.Cut(s, " ")
		names[name], names[name+"_bucket"] = true, true
	}
	for file, text := range monitoringFiles(t) {
		found := metricName.FindAllString(text, -1)
		if len(found) < 10 {
			t.Errorf("%s names %d metrics: is it read?", file, len(found))
		}
		for _, name := range found {
			if !names[name] {
				t.Errorf("%s names %s, which /metrics does not have", file, name)
			}
		}
		for _, m := range selector.FindAllStringSubmatch(text, -1) {
			for _, by := range matcher.FindAllStringSubmatch(m[2], -1) {
				checkMatcher(t, file, series, m[1], by[1], by[2], by[3])
			}
		}
	}
}

// checkMatcher checks that a metric has the label, with each value that is asked for.
func checkMatcher(t *testing.T, file string, series map[string]bool, name, label, how, values string) {
	t.Helper()
	if label == "instance" || label == "job" || label == "part" { // of Prometheus's own; of a file that is there when it is written
		return
	}
	for _, value := range strings.Split(values, "|") {
		found := false
		for s := range series {
			metric, labels, _ := strings.Cut(s, " ")
			found = found || metric == strings.TrimSuffix(name, "_bucket") && slices.Contains(strings.Split(labels, " "), label+"="+value)
		}
		if !found {
			t.Errorf("%s asks for %s{%s%s%q}, which no series of /metrics has", file, name, label, how, value)
		}
	}
}

// Whoever is woken finds what the alarm means under its name.
func TestEachAlarmHasItsSectionInTheDocs(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "##") {
			sections[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(title)), " ", "-")] = true
		}
	}
	files := monitoringFiles(t)
	for file, text := range files {
		for _, m := range anchor.FindAllStringSubmatch(text, -1) {
			if !sections[m[1]] {
				t.Errorf("%s links to docs/operations.md#%s, which is no section", file, m[1])
			}
		}
	}
	rules := files["duewatch.rules.yml"]
	alarms := map[string]bool{}
	for _, m := range ruleName.FindAllStringSubmatch(rules, -1) {
		alarms[strings.ToLower(m[1])] = true
		if !strings.Contains(rules, "runbook: docs/operations.md#"+strings.ToLower(m[1])+"\n") {
			t.Errorf("%s does not link to its section", m[1])
		}
	}
	if len(alarms) < 10 {
		t.Errorf("there are %d alarms: are they read?", len(alarms))
	}
	for section := range maps.Keys(sections) {
		if strings.HasPrefix(section, "duewatch") && !alarms[section] {
			t.Errorf("docs/operations.md explains %s, which is no alarm", section)
		}
	}
}

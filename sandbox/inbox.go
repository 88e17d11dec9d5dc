package sandbox

import (
	"bytes"
	_ "embed"
	"html/template"
	"mime"
	"net/http"
	"slices"
	"strings"
)

//go:embed inbox.html
var inboxHTML string

var inboxPage = template.Must(template.New("inbox").Parse(inboxHTML))

// maxInboxPage is how many texts the page shows; the JSON has all.
const maxInboxPage = 200

// getInbox shows the accepted texts, newest first: a page for people, JSON for
// who asks for it with ?format=json or Accept. Numbers are masked in both;
// Messages.json has them in full.
func (s *Sandbox) getInbox(w http.ResponseWriter, r *http.Request) {
	list := s.Texts()
	slices.Reverse(list)
	if r.URL.Query().Get("format") == "json" || accepts(r, "application/json") {
		writeJSON(w, http.StatusOK, map[string]any{"texts": list})
		return
	}
	total := len(list)
	var body bytes.Buffer
	if err := inboxPage.Execute(&body, map[string]any{"Texts": list[:min(total, maxInboxPage)], "Total": total}); err != nil {
		http.Error(w, "sandbox: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(body.Bytes())
}

func accepts(r *http.Request, want string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if t, _, err := mime.ParseMediaType(part); err == nil && t == want {
			return true
		}
	}
	return false
}

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"duewatch/cli"
	"duewatch/sandbox"
)

var (
	screenshot  = flag.String("screenshot", "", "a file for the screenshot of the page that README shows")
	screenshots = flag.String("screenshots", "", "a folder for screenshots of the whole page, wide and narrow, light and dark")
)

// browser is a headless Chromium, with the page in it.
type browser struct {
	t   *testing.T
	ctx context.Context
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("SKIPPED: the page was not looked at in a browser, since there is no chromium here. Debian: sudo apt install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // starts it
		t.Fatal(err)
	}
	b := &browser{t, ctx}
	call(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `window.violations = [];
		document.addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective + ' ' + e.blockedURI))`})
	return b
}

// call sends a command to the browser.
func call[P, R any](b *browser, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

func run[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return value
}

// look is a width and a scheme of colours.
func (b *browser) look(width, height int64, scheme string) {
	b.t.Helper()
	run(b, chromedp.EmulateViewport(width, height))
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
}

// ask evaluates a script in the page.
func ask[T any](b *browser, script string) T {
	b.t.Helper()
	return run(b, chromedp.Evaluate[T](script))
}

// reported is what report --json says.
type reported struct {
	Total reportedLine
	Lines []reportedLine
}

type reportedLine struct {
	ID          string
	Name        string
	Texted      int            `json:"reminders_texted"`
	Held        map[string]int `json:"held_now"`
	HandedOver  int            `json:"handed_over"`
	Delivered   int
	OnTheWay    int `json:"on_their_way"`
	Unconfirmed int
	Failed      int
	NotSent     int `json:"not_sent"`
	BeingSent   int `json:"being_sent"`
	InDoubt     int `json:"in_doubt"`
	Segments    int
	Cost        *string `json:"cost_forecast"`
	Paid        int
	PaidOf      int `json:"paid_of"`
	TooEarly    int `json:"paid_too_early"`
}

func (o *outside) report(args ...string) (r reported) {
	o.t.Helper()
	c := o.command(append([]string{"report", "--json"}, args...)...)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		o.t.Fatalf("report: %v\n%s", err, stderr.String())
	}
	if err := json.Unmarshal(out, &r); err != nil {
		o.t.Fatalf("report says %s: %v", out, err)
	}
	return r
}

// shown is what the page shows, row by row.
type shown struct {
	Today map[string]int
	Month [][]string
	Paid  [][]string
	Held  [][]string
	Ahead [][]string
}

const readPage = `(() => {
	const cell = c => c.querySelector('data') ? c.querySelector('data').value : c.textContent.trim();
	const rows = id => Array.from(document.querySelectorAll('#' + id + ' tbody tr, #' + id + ' tfoot tr'), r => Array.from(r.cells, cell));
	const today = {};
	document.querySelectorAll('[id^=today-]').forEach(e => today[e.id.slice(6)] = Number(e.querySelector('data').value));
	return {Today: today, Month: rows('table-month'), Paid: rows('table-paid'), Held: rows('table-held'), Ahead: rows('table-ahead')};
})()`

// previewed is the last line of preview --json.
type previewed struct {
	Days []struct {
		Of              string
		Texts, Segments int
	}
}

func (o *outside) preview() (p previewed) {
	o.t.Helper()
	out, err := o.command("preview", "--json").Output()
	if err != nil {
		o.t.Fatalf("preview: %v", err)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &p); err != nil {
		o.t.Fatal(err)
	}
	return p
}

// wanted is what the page should show of reports (that of 30 days by day and by stage, and
// that of today) and of the preview.
func wanted(byDay, byStage, today reported, ahead previewed) shown {
	t := today.Total
	want := shown{Held: [][]string{}, Today: map[string]int{
		"handed-over": t.HandedOver, "delivered": t.Delivered, "on-their-way": t.OnTheWay, "unconfirmed": t.Unconfirmed,
		"failed": t.Failed, "not-sent": t.NotSent, "being-sent": t.BeingSent, "in-doubt": t.InDoubt,
	}}
	row := func(name string, l reportedLine) []string {
		cells := []string{name}
		for _, n := range []int{l.HandedOver, l.Delivered, l.OnTheWay, l.Unconfirmed, l.Failed, l.NotSent, l.Segments} {
			cells = append(cells, fmt.Sprint(n))
		}
		cost := "0"
		if l.Cost != nil {
			cost = *l.Cost
		}
		return append(cells, cost)
	}
	for _, l := range byDay.Lines {
		if day, err := time.Parse(time.DateOnly, l.ID); err == nil && l.HandedOver+l.NotSent > 0 {
			want.Month = append(want.Month, row(day.Format("Mon 2 Jan 2006"), l))
		}
	}
	slices.Reverse(want.Month)
	want.Month = append(want.Month, row("All", byDay.Total))
	for _, l := range byStage.Lines {
		if l.Texted > 0 {
			want.Paid = append(want.Paid, []string{l.Name, fmt.Sprint(l.Texted), fmt.Sprint(l.Paid), fmt.Sprint(l.PaidOf), fmt.Sprint(l.TooEarly)})
		}
	}
	for _, d := range ahead.Days {
		if day, err := time.Parse(time.DateOnly, d.Of); err == nil {
			want.Ahead = append(want.Ahead, []string{day.Format("Mon 2 Jan 2006"), fmt.Sprint(d.Texts), fmt.Sprint(d.Segments)})
		}
	}
	for reason, n := range today.Total.Held {
		want.Held = append(want.Held, []string{reason, fmt.Sprint(n)})
	}
	slices.SortFunc(want.Held, slices.Compare)
	return want
}

// comparable leaves out what a report has no number for, and days without texts.
func (s shown) comparable() shown {
	s.Ahead = slices.DeleteFunc(s.Ahead, func(row []string) bool { return row[0] == "All" || row[1] == "0" })
	for i, row := range s.Ahead {
		s.Ahead[i] = row[:3]
	}
	s.Month = slices.DeleteFunc(s.Month, func(row []string) bool {
		return row[0] != "All" && row[1] == "0" && row[6] == "0"
	})
	for i := range s.Month {
		cost := &s.Month[i][8]
		*cost = strings.TrimSuffix(strings.TrimSuffix(strings.ReplaceAll(*cost, ",", ""), "0"), ".0")
		*cost = strings.TrimSuffix(*cost, ".0")
	}
	for i, row := range s.Paid {
		s.Paid[i] = []string{row[0], row[1], row[2], row[3], row[6]}
	}
	for i, row := range s.Held {
		s.Held[i] = row[:2]
	}
	slices.SortFunc(s.Held, slices.Compare)
	return s
}

// The page in a real browser: it shows what the command report says, keeps to its policy,
// and can be read on a phone, in the dark, by keyboard and by a screen reader.
func TestThePageInABrowser(t *testing.T) {
	b := newBrowser(t)
	o := newOutside(t)
	o.write(fmt.Sprintf(`
timezone: %s
store: %s
almara: {base_url: %q, client_id: %s, client_secret: %s}
notifier:
  mode: live
  price_per_segment: "0.8"
  twilio: {base_url: %q, account_sid: %s, auth_token: %s, from: %s}
reminders: {window: "00:00-24:00", days_after: [2]}
services:
  - {id: %q, name: "Kampuni ya Huduma za Maji na Usafi wa Mazingira Nairobi"}
  - {id: "9", name: Savanna TV}
web: {listen: "127.0.0.1:%s", token: %s}
`, o.zone, o.path("duewatch.db"), o.url, sandbox.ClientID, sandbox.ClientSecret,
		o.url, sandbox.AccountSID, sandbox.AuthToken, sandbox.From, sandbox.ServiceWater, o.port, webToken))
	if err := cli.LiveThrough(t.Context(), o.path("config.yaml"), 400, 45); err != nil {
		t.Fatal(err)
	}
	d := o.start()
	d.await("the page is at http://127.0.0.1:" + o.port + "/")
	address := "http://anybody:" + webToken + "@127.0.0.1:" + o.port + "/"
	open := func() { run(b, chromedp.Navigate(address)) }
	b.look(1280, 1500, "light")

	// What is counted in the midst of the first passes is counted again after a minute.
	for deadline := time.Now().Add(4 * time.Minute); ; {
		today := time.Now().In(o.location()).Format(time.DateOnly)
		want := wanted(o.report("--by", "day"), o.report("--by", "stage"), o.report("--since", today), o.preview())
		open()
		diff := cmp.Diff(want, ask[shown](b, readPage).comparable())
		if diff == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the page does not show what report and preview say (-reported +shown):\n%s", diff)
		}
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			b.look(width, 1500, scheme)
			open()
			at := fmt.Sprintf("at %d, %s", width, scheme)
			if v := ask[[]string](b, `violations`); len(v) > 0 {
				t.Errorf("%s, the policy was violated: %v", at, v)
			}
			ask[chromedp.Void](b, `document.querySelectorAll('details').forEach(d => d.open = true)`)
			if wide := ask[int64](b, `document.documentElement.scrollWidth`); wide > width {
				t.Errorf("%s, the page is %d wide", at, wide)
			}
			for _, fault := range ask[[]string](b, findFaults) {
				t.Errorf("%s, %s", at, fault)
			}
			if *screenshots != "" {
				b.shoot(filepath.Join(*screenshots, fmt.Sprintf("page-%d-%s.png", width, scheme)), true)
			}
		}
	}
	b.look(1280, 1265, "light")
	open()
	if *screenshot != "" {
		ask[chromedp.Void](b, `document.querySelector('.name').textContent = 'duewatch on pay-1'`)
		b.shoot(*screenshot, false)
	}
	run(b, chromedp.KeyEvent(kb.Tab))
	if first := ask[string](b, `document.activeElement.textContent`); first != "Skip to the content" {
		t.Errorf("the first that Tab comes to is %q", first)
	}
	run(b, chromedp.KeyEvent(kb.Enter))
	if at := ask[string](b, `document.activeElement.id`); at != "main" {
		t.Errorf("the link to the content leads to %q", at)
	}
}

// findFaults lists what keeps somebody from reading the page.
const findFaults = `(() => {
	const faults = [];
	const levels = Array.from(document.querySelectorAll('h1,h2,h3,h4'), h => Number(h.tagName[1]));
	if (levels.filter(l => l === 1).length !== 1 || levels[0] !== 1) faults.push('there is not one heading of the first level: ' + levels);
	levels.forEach((l, i) => { if (i && l > levels[i-1] + 1) faults.push('a level of headings is left out: ' + levels) });
	for (const one of ['header', 'main', 'footer']) if (document.querySelectorAll(one).length !== 1) faults.push('there is not one ' + one);
	document.querySelectorAll('section').forEach(s => { if (!document.getElementById(s.getAttribute('aria-labelledby'))) faults.push('a section has no name') });
	document.querySelectorAll('th').forEach(t => { if (!t.scope) faults.push('a heading of a table heads nothing: ' + t.textContent) });
	document.querySelectorAll('svg').forEach(s => {
		if (s.getAttribute('aria-hidden') === 'true') return;
		const names = (s.getAttribute('aria-labelledby') || '').split(' ').map(id => document.getElementById(id));
		if (s.getAttribute('role') !== 'img' || names.length < 2 || names.some(n => !n || !n.textContent)) faults.push('a drawing has no name');
	});
	const ids = Array.from(document.querySelectorAll('[id]'), e => e.id);
	ids.forEach((id, i) => { if (ids.indexOf(id) !== i) faults.push('two elements have the id ' + id) });
	if (document.querySelector('[style], script')) faults.push('there is a style or a script inside');
	const channels = c => (c.match(/[\d.]+/g) || []).map(Number);
	const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
	const ground = e => { for (; e; e = e.parentElement) { const c = channels(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c } return [255, 255, 255] };
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.textContent.trim() || e.closest('svg')) continue;
		const [a, b] = [light(channels(getComputedStyle(e).color).slice(0, 3)), light(ground(e).slice(0, 3))];
		const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
		if (contrast < 4.5) faults.push('the contrast of ' + walk.currentNode.textContent.trim() + ' is ' + contrast.toFixed(2));
	}
	return Array.from(new Set(faults));
})()`

// shoot writes a screenshot: of the whole page, or of what fits into the window.
func (b *browser) shoot(file string, whole bool) {
	b.t.Helper()
	take := chromedp.CaptureScreenshot()
	if whole {
		take = chromedp.FullScreenshot(100)
	}
	small, err := inFewColours(run(b, take))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, small, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// inFewColours makes a picture a third as large: by the 256 colours that it has most of, and
// that are not all but alike.
func inFewColours(shot []byte) ([]byte, error) {
	from, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	counts := map[color.RGBA]int{}
	area := from.Bounds()
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			counts[color.RGBAModel.Convert(from.At(x, y)).(color.RGBA)]++
		}
	}
	all := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int { return counts[b] - counts[a] })
	var colours color.Palette
	for _, c := range all {
		if len(colours) == 256 {
			break
		}
		if len(colours) == 0 || unlike(c, colours[colours.Index(c)].(color.RGBA)) {
			colours = append(colours, c)
		}
	}
	to := image.NewPaletted(area, colours)
	draw.Draw(to, area, from, area.Min, draw.Src)
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to)
	return out.Bytes(), err
}

func unlike(a, b color.RGBA) bool {
	far := func(x, y uint8) int { return max(int(x), int(y)) - min(int(x), int(y)) }
	return far(a.R, b.R)+far(a.G, b.G)+far(a.B, b.B) > 9
}

// location is the zone of the config.
func (o *outside) location() *time.Location {
	o.t.Helper()
	zone, err := time.LoadLocation(o.zone)
	if err != nil {
		o.t.Fatal(err)
	}
	return zone
}

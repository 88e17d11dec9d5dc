package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// unlisted counts the bills of a source that are missing, page by page.
func unlisted(t *testing.T, s *Store, source string, listed *ImportIndex, named func(service, account string) bool) (total, missing int) {
	t.Helper()
	for last := int64(0); ; {
		next, all, lost, err := s.Unlisted(t.Context(), source, listed, named, last)
		mustDo(t, err)
		total, missing = total+all, missing+lost
		if next == 0 {
			return total, missing
		}
		last = next
	}
}

func TestABillThatMovesFromOneListToTheOtherIsNotMissing(t *testing.T) {
	s := openNew(t)
	all := billsOf(2500) // more than two pages
	for i := range all {
		all[i].Phone = phone(i)
	}
	must(s.Declare(SourceConfig, all[:1500], checkedAt))
	must(s.Import(t.Context(), SourceFile, all[1500:2000], checkedAt, nil))
	must(s.Import(t.Context(), SourceImport, all[2000:], checkedAt, nil))
	index := must(NewImportIndex(t.Context(), false))
	defer index.Close() //nolint:errcheck // a test
	var listed []reminder.ListedBill
	for i, b := range all[1000:1900] {
		listed = append(listed, reminder.ListedBill{Line: i + 2, Bill: b})
	}
	must(index.Add(listed))
	inConfig := func(_, account string) bool { return account < all[300].Account || account == all[1950].Account }
	quiet(t, s, func() {
		// Of the config's 1500, 300 are there still and 500 are in the file.
		if total, missing := unlisted(t, s, SourceConfig, index, inConfig); total != 1500 || missing != 700 {
			t.Errorf("of the config's: %d of %d are missing", missing, total)
		}
		// Of the file's 500, 400 are there still and one is in the config.
		if total, missing := unlisted(t, s, SourceFile, index, inConfig); total != 500 || missing != 99 {
			t.Errorf("of the file's: %d of %d are missing", missing, total)
		}
		if total, missing := unlisted(t, s, SourceFile, nil, func(string, string) bool { return false }); total != 500 || missing != 500 {
			t.Errorf("without any list: %d of %d are missing", missing, total)
		}
	})
}

func TestAReleaseAgreesToTheListThatIsHeldAndToNoOther(t *testing.T) {
	s, p := openNew(t), newPolicy()
	cut := ShrunkList{Source: SourceFile, Fingerprint: "cut", Missing: 39, Total: 40}
	want := func(what string, want ...ShrunkList) {
		t.Helper()
		if diff := cmp.Diff(want, must(s.ShrunkLists(t.Context()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	release := func() {
		t.Helper()
		must(s.ReleaseAll(t.Context(), p, checkedAt.Add(time.Hour), reminder.ListShrank, "somebody", nil))
	}
	agreed := func(l ShrunkList) ShrunkList { l.Agreed = true; return l }
	mustDo(t, s.HoldLists(checkedAt, []ShrunkList{cut}, nil, "39 of 40"))
	want("held", cut)
	if w := must(s.Warnings(t.Context())); len(w) != 1 || w[0].Reason != reminder.ListShrank || w[0].Detail != "39 of 40" {
		t.Errorf("warnings %v", w)
	}
	release()
	want("released", agreed(cut))
	if w := must(s.Warnings(t.Context())); len(w) != 0 {
		t.Errorf("warnings %v", w)
	}
	mustDo(t, s.HoldLists(checkedAt, []ShrunkList{cut}, nil, "39 of 40"))
	want("held again, as by a daemon that had not yet seen the release", agreed(cut))
	worse := cut
	worse.Missing = 40
	mustDo(t, s.HoldLists(checkedAt, []ShrunkList{worse}, nil, "40 of 40"))
	want("more are missing than was agreed to", worse)
	release()
	other := cut
	other.Fingerprint = "other"
	mustDo(t, s.HoldLists(checkedAt, []ShrunkList{other}, nil, "another"))
	want("another list", other)
	release()
	mustDo(t, s.HoldLists(checkedAt, nil, []ShrunkList{other}, ""))
	want("about to be carried out: a crash forgets nothing", agreed(other))
	mustDo(t, s.ForgetList(SourceFile))
	want("carried out")
	mustDo(t, s.HoldLists(checkedAt, []ShrunkList{cut}, nil, "39 of 40"))
	mustDo(t, s.HoldLists(checkedAt, nil, nil, ""))
	want("whole again")
	if w := must(s.Warnings(t.Context())); len(w) != 0 {
		t.Errorf("warnings %v", w)
	}
}

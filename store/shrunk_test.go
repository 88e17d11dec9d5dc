package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"duewatch/reminder"
)

// unlisted counts the bills of a source that are gone, page by page.
func unlisted(t *testing.T, s *Store, source string, listed *ImportIndex, named func(service, account string) bool) (of, gone int) {
	t.Helper()
	for last := int64(0); ; {
		next, all, lost, err := s.Unlisted(t.Context(), source, listed, named, last)
		mustDo(t, err)
		of, gone = of+all, gone+lost
		if next == 0 {
			return of, gone
		}
		last = next
	}
}

func TestABillThatMovesFromOneListToTheOtherIsNotGone(t *testing.T) {
	s := openNew(t)
	all := billsOf(2500) // more than two pages
	for i := range all {
		all[i].Phone = phone(i)
	}
	must(s.Declare(SourceConfig, all[:1500], learnedAt))
	must(s.Import(t.Context(), SourceFile, all[1500:2000], learnedAt, nil))
	must(s.Import(t.Context(), SourceImport, all[2000:], learnedAt, nil))
	roll := must(NewImportIndex(t.Context(), false))
	defer roll.Close() //nolint:errcheck // a test
	var listed []reminder.ListedBill
	for i, b := range all[1000:1900] {
		listed = append(listed, reminder.ListedBill{Line: i + 2, Bill: b})
	}
	must(roll.Add(listed))
	inConfig := func(_, account string) bool { return account < all[300].Account || account == all[1950].Account }
	quiet(t, s, func() {
		// Of the config's 1500, 300 are there still and 500 are in the file.
		if of, gone := unlisted(t, s, SourceConfig, roll, inConfig); of != 1500 || gone != 700 {
			t.Errorf("of the config's: %d of %d are gone", gone, of)
		}
		// Of the file's 500, 400 are there still and one is in the config.
		if of, gone := unlisted(t, s, SourceFile, roll, inConfig); of != 500 || gone != 99 {
			t.Errorf("of the file's: %d of %d are gone", gone, of)
		}
		if of, gone := unlisted(t, s, SourceFile, nil, func(string, string) bool { return false }); of != 500 || gone != 500 {
			t.Errorf("without any list: %d of %d are gone", gone, of)
		}
	})
}

func TestAReleaseAgreesToTheListThatIsHeldAndToNoOther(t *testing.T) {
	s, p := openNew(t), newPolicy()
	cut := ShrunkList{Source: SourceFile, Mark: "cut", Gone: 39, Of: 40}
	want := func(what string, want ...ShrunkList) {
		t.Helper()
		if diff := cmp.Diff(want, must(s.ShrunkLists(t.Context()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	release := func() {
		t.Helper()
		must(s.ReleaseAll(t.Context(), p, learnedAt.Add(time.Hour), reminder.ListShrank, "somebody", nil))
	}
	agreed := func(l ShrunkList) ShrunkList { l.Agreed = true; return l }
	mustDo(t, s.HoldLists(learnedAt, []ShrunkList{cut}, nil, "39 of 40"))
	want("held", cut)
	if w := must(s.Warnings(t.Context())); len(w) != 1 || w[0].Reason != reminder.ListShrank || w[0].Detail != "39 of 40" {
		t.Errorf("warnings %v", w)
	}
	release()
	want("released", agreed(cut))
	if w := must(s.Warnings(t.Context())); len(w) != 0 {
		t.Errorf("warnings %v", w)
	}
	mustDo(t, s.HoldLists(learnedAt, []ShrunkList{cut}, nil, "39 of 40"))
	want("held again, as by a daemon that had not yet seen the release", agreed(cut))
	worse := cut
	worse.Gone = 40
	mustDo(t, s.HoldLists(learnedAt, []ShrunkList{worse}, nil, "40 of 40"))
	want("more are gone than was agreed to", worse)
	release()
	other := cut
	other.Mark = "other"
	mustDo(t, s.HoldLists(learnedAt, []ShrunkList{other}, nil, "another"))
	want("another list", other)
	release()
	mustDo(t, s.HoldLists(learnedAt, nil, []ShrunkList{other}, ""))
	want("about to be carried out: a crash forgets nothing", agreed(other))
	mustDo(t, s.ForgetList(SourceFile))
	want("carried out")
	mustDo(t, s.HoldLists(learnedAt, []ShrunkList{cut}, nil, "39 of 40"))
	mustDo(t, s.HoldLists(learnedAt, nil, nil, ""))
	want("whole again")
	if w := must(s.Warnings(t.Context())); len(w) != 0 {
		t.Errorf("warnings %v", w)
	}
}

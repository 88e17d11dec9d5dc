package store

import (
	"fmt"
	"sync"
	"testing"
)

// Readers and writers at once: for the race detector, and since a pool that
// waits for the writer while the writer waits for the pool would never end.
func TestReadersDoNotWaitForWriters(t *testing.T) {
	s := openNew(t)
	watch(t, s, newPolicy(), billsOf(20)...)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 10 {
				if err := s.SetMeta(fmt.Sprint(i), fmt.Sprint(j)); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			err := s.Bills(t.Context(), BillFilter{}, func(w Watched) error {
				_, err := s.Events(t.Context(), w.ID) // a read within a read
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	entered, leave := make(chan struct{}), make(chan struct{})
	all.Go(func() { // a write that is in its transaction, and stays there
		if err := s.do(func(*tx) error { close(entered); <-leave; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-entered
	defer all.Wait()
	defer close(leave)
	if _, err := s.Meta(t.Context(), "0"); err != nil {
		t.Error(err)
	}
	if _, _, err := s.ToRecheck(t.Context(), checkedAt, Place{}, 1); err != nil {
		t.Errorf("removing bills waits for the writer to find its bills: %v", err)
	}
}

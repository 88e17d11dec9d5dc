package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

const stateVersion = 1

// savedState is what the state file holds, as JSON.
type savedState struct {
	Version int     `json:"version"`
	Bills   []bill  `json:"bills"`
	Texts   []*text `json:"texts"` // oldest first
}

// stateFile saves the bills and texts after changes. Changes are numbered; whoever made
// one waits until a save that began after it is done, so that many changes at
// once cost one save.
type stateFile struct {
	path    string // "" = memory only
	changes atomic.Uint64

	mu    sync.Mutex // held while saving
	saved uint64     // the change up to which the file is complete
}

// changed numbers a change; the caller holds Sandbox.mu.
func (f *stateFile) changed() uint64 { return f.changes.Add(1) }

// save returns when the state file holds change n; 0 is always held. Without a
// file it does nothing.
func (s *Sandbox) save(n uint64) error {
	f := &s.state
	if f.path == "" || n == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.saved >= n {
		return nil
	}
	now, upTo := s.snapshot()
	if err := write(f.path, now); err != nil {
		return fmt.Errorf("save the sandbox's state: %w", err)
	}
	f.saved = upTo
	return nil
}

func (s *Sandbox) snapshot() (savedState, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := savedState{Version: stateVersion, Bills: make([]bill, 0, len(s.bills)), Texts: s.texts.all()}
	for _, b := range s.bills {
		w.Bills = append(w.Bills, *b)
	}
	return w, s.state.changes.Load()
}

// write replaces the file in one step. It does not sync: a process that is killed
// loses nothing by that, and after a power cut the sandbox may start over.
func write(path string, w savedState) (err error) {
	body, err := json.Marshal(w)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(body); err != nil {
		_ = tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// load reads the state file, if there is one.
func (s *Sandbox) load() error {
	if s.state.path == "" {
		return nil
	}
	body, err := os.ReadFile(s.state.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("load the sandbox's state: %w", err)
	}
	var w savedState
	if err := json.Unmarshal(body, &w); err != nil {
		return fmt.Errorf("load the sandbox's state: %s: %w (delete the file to start over)", s.state.path, err)
	}
	if w.Version != stateVersion {
		return fmt.Errorf("load the sandbox's state: %s has version %d, this program reads %d (delete the file to start over)",
			s.state.path, w.Version, stateVersion)
	}
	for i := range w.Bills {
		s.bills[w.Bills[i].key()] = &w.Bills[i]
	}
	for _, t := range w.Texts {
		s.texts.add(t)
	}
	return nil
}

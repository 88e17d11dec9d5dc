package reminder

import "sync"

// EnoughWitnesses is how many different bills, phones or calls must agree
// before what happened to each of them counts as a fault of something that they
// share. One of them may be odd, and a second one odd in the same way.
const EnoughWitnesses = 3

// Evidence gathers what single bills or phones say against something that many
// share: an account, a sender, a server. Each speaks for itself alone, however
// often it is tried. Only EnoughWitnesses different ones, with nothing good heard
// between them, speak for what they share.
//
// The zero value has heard nothing. Evidence is safe for concurrent use.
type Evidence struct {
	mu        sync.Mutex
	witnesses map[string]bool
}

// Against notes that a witness, named by its bill or phone, met a fault that may
// be of what is shared. It reports whether enough different ones have by now.
func (e *Evidence) Against(witness string) (enough bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.witnesses == nil {
		e.witnesses = make(map[string]bool, EnoughWitnesses)
	}
	if len(e.witnesses) < EnoughWitnesses { // more of them would say no more
		e.witnesses[witness] = true
	}
	return len(e.witnesses) >= EnoughWitnesses
}

// Clear forgets the witnesses: one was served well, or a new pass begins.
func (e *Evidence) Clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.witnesses)
}

package reminder

// nextBill is by how many days a due date moves on, at least, when it is that
// of the next bill; a shorter move is a delay that the biller grants.
const nextBill = 15

// Paid reports whether what was owed before is taken as paid: the balance has
// fallen to nothing, or to less than is worth a text; or the due date is that
// of the next bill, and no more is owed than before. Part of it does not count.
func (p *Policy) Paid(before, b Bill) bool {
	if before.Balance == nil || b.Balance == nil || !p.owes(*before.Balance) {
		return false
	}
	if !p.owes(*b.Balance) {
		return true
	}
	return !before.DueDate.IsZero() && b.DueDate.Sub(before.DueDate) >= nextBill && b.Balance.Cmp(*before.Balance) <= 0
}

// owes reports whether a balance is worth a text.
func (p *Policy) owes(m Money) bool { return m.Sign() > 0 && m.Cmp(p.MinBalance) >= 0 }

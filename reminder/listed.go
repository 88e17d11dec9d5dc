package reminder

// ListedBill is a bill and the line of the list that names it.
type ListedBill struct {
	Line int // from 1
	Bill Bill
}

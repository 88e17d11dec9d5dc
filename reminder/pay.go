package reminder

// payIfRoom words a text with how to pay, or without it where the text costs fewer
// segments so. Nobody should pay the provider twice for a text because a service
// says how it is paid.
func payIfRoom(pay string, word func(pay string) (Draft, error)) (Draft, error) {
	draft, err := word(pay)
	if err != nil || pay == "" || draft.Count.Segments == 1 {
		return draft, err
	}
	short, err := word("")
	if err != nil || short.Count.Segments < draft.Count.Segments {
		return short, err
	}
	return draft, nil
}

// PayFault says what is wrong with a Policy.Pay, "" for nothing: what would not be
// in a text as it is written, or make every text dearer.
func PayFault(pay string) string {
	for _, r := range pay {
		if r == '{' || r == '}' {
			return "holds a brace: write it as customers read it, such as Paybill 888880; the texts name the account beside it"
		}
	}
	if r := Count(normalize(pay)).Forcing; r != 0 {
		return "holds the character '" + string(r) + "', which is not in GSM-7 and more than doubles the price of a text: " +
			"write plain letters and digits, such as Paybill 888880"
	}
	return ""
}

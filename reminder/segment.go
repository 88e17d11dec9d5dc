package reminder

// The two ways in which a text travels. GSM-7 is half the price.
const (
	gsm7 = "GSM-7"
	ucs2 = "UCS-2"
)

// SegmentCount is the size of a text as the provider bills it.
type SegmentCount struct {
	Encoding string // "GSM-7" or "UCS-2"
	Segments int    // billed parts; 0 for an empty text
	Units    int    // septets in GSM-7, UTF-16 units in UCS-2
	Forcing  rune   // the first character that forced UCS-2; 0 = none did
}

// Count sizes a text as Twilio does with SmartEncoded=false: GSM-7 when every
// character is in the GSM 03.38 alphabet, else UCS-2. One segment holds 160
// septets or 70 units; in longer texts each holds 153 or 67, since a header
// takes the rest. A character of two units is not cut by a segment's end.
//
// Twilio's own calculator also keeps whole grapheme clusters together. Count
// does not: a joined emoji right at the end of a segment may count one less.
func Count(body string) SegmentCount {
	t := tally{single: 160, multi: 153}
	for _, r := range body {
		n := septetsOf(r)
		if n == 0 {
			return countUCS2(body, r)
		}
		t.add(n)
	}
	return SegmentCount{Encoding: gsm7, Segments: t.segments(), Units: t.units}
}

func countUCS2(body string, forcing rune) SegmentCount {
	t := tally{single: 70, multi: 67}
	for _, r := range body {
		n := 1
		if r > 0xFFFF {
			n = 2 // a surrogate pair
		}
		t.add(n)
	}
	return SegmentCount{Encoding: ucs2, Segments: t.segments(), Units: t.units, Forcing: forcing}
}

// tally fills segments one after the other, as if there will be several.
type tally struct {
	single, multi int // capacity of the only segment, and of each of several
	units         int
	full          int // segments that take no more
	used          int // units in the open segment
}

func (t *tally) add(n int) {
	if t.used+n > t.multi {
		t.full++
		t.used = 0
	}
	t.used += n
	t.units += n
}

func (t *tally) segments() int {
	switch {
	case t.units == 0:
		return 0
	case t.units <= t.single:
		return 1
	default:
		return t.full + 1
	}
}

// The GSM 03.38 default alphabet, and its extension table, whose characters
// cost an escape septet more (3GPP TS 23.038, sections 6.2.1 and 6.2.1.1).
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "\f^{}\\[~]|€"
)

// septetTable holds the cost of each character up to Ω; 0 = not in GSM-7.
var septetTable = func() (t [0x3AA]uint8) {
	for _, r := range gsmBasic {
		t[r] = 1
	}
	for _, r := range gsmExtended {
		if r != '€' {
			t[r] = 2
		}
	}
	return t
}()

// septetsOf is the cost of a character in GSM-7; 0 when it has none.
func septetsOf(r rune) int {
	switch {
	case r >= 0 && int(r) < len(septetTable):
		return int(septetTable[r])
	case r == '€':
		return 2
	default:
		return 0
	}
}

package reminder

import (
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestNormalize(t *testing.T) {
	tests := map[string]struct{ body, want string }{
		"plain":                     {"Your bill is due.\nThank you", "Your bill is due.\nThank you"},
		"empty":                     {"", ""},
		"GSM-7 accents stay":        {"Café Ünlü Ñandu Æ ß Ç €", "Café Ünlü Ñandu Æ ß Ç €"},
		"GSM-7 Greek stays":         {"ΓΔΘΛΞΠΣΦΨΩ", "ΓΔΘΛΞΠΣΦΨΩ"},
		"quotes":                    {"‘a’ “b” „c‟ «d» ‹e› `f´", `'a' "b" "c" "d" 'e' 'f'`},
		"Swahili ng with a curl":    {"ng’ombe ngʼombe", "ng'ombe ng'ombe"},
		"dashes":                    {"1–2 3—4 5−6 7‑8 9‐0", "1-2 3-4 5-6 7-8 9-0"},
		"odd spaces":                {"a\u00a0b\u202fc\u2009d\u3000e\u2003f", "a b c d e f"},
		"nothing wide":              {"a\u200bb\ufeffc\u00add\u2060e", "abcde"},
		"ellipsis and bullets":      {"• a… ‣ b", "* a... * b"},
		"accents GSM-7 lacks":       {"á í ó ú ç ê ã ő ž Á Ç", "a i o u c e a o z A Ç"},
		"Kikuyu":                    {"Mũthoni Wanjirũ Gĩthũnguri", "Muthoni Wanjiru Githunguri"},
		"Vietnamese":                {"Nguyễn", "Nguyen"},
		"decomposed":                {"Cafe\u0301 Jose\u0301 A\u0301", "Café José A"},
		"letters without parts":     {"Łodz Đa œuvre ıŋ Þor ẞ", "Lodz Da oeuvre ing' Thor SS"},
		"full width":                {"ＡＢＣ１２３！", "ABC123!"},
		"ligatures and marks":       {"ﬁrst ﬂoor ™ m² №5", "first floor TM m2 No5"},
		"fraction keeps its value":  {"1½ kg", "1 1/2 kg"},
		"control characters go":     {"a\x00b\x07c\x1b[0m\x7f\u0085d", "abc[0m\nd"},
		"tab is a space":            {"a\tb", "a b"},
		"carriage returns":          {"a\r\nb\rc", "a\nb\nc"},
		"line separators":           {"a\u2028b\u2029c", "a\nb\nc"},
		"broken UTF-8":              {"Jos\xe9 K", "Jos? K"},
		"Arabic stays":              {"فاتورة", "فاتورة"},
		"Amharic stays":             {"ሂሳብ", "ሂሳብ"},
		"Devanagari keeps marks":    {"क्\u200dष हिंदी", "क्\u200dष हिंदी"},
		"joined emoji stays":        {"👩\u200d👧 ❤\ufe0f", "👩\u200d👧 ❤\ufe0f"},
		"small Greek keeps accents": {"λογαριασμός", "λογαριασμός"},
		"Cyrillic stays":            {"счёт", "счёт"},
		"loose accent goes":         {"x\u030c \u0301a", "x a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := normalize(tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("normalize(%q) (-want +got):\n%s", tt.body, diff)
			}
			if again := normalize(got); again != got {
				t.Errorf("normalize(%q) = %q, not stable", got, again)
			}
		})
	}
}

func TestNormalizeLeavesPlainTextUnallocated(t *testing.T) {
	body := "Hello Jane, your Kenya Power bill is due today.\n[Ref {1}]"
	if n := testing.AllocsPerRun(100, func() { normalize(body) }); n != 0 {
		t.Errorf("%v allocations for plain ASCII, want 0", n)
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"", "a", "“é”", "e\u0301", "\u0301", "ж\u200d\u0301", "क्\u200dष", "\r\n\r", "\xff", "½", "ﬁ", "👩\u200d👧"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := normalize(body)
		if !utf8.ValidString(got) {
			t.Fatalf("normalize(%q) = %q is not UTF-8", body, got)
		}
		if again := normalize(got); again != got {
			t.Fatalf("normalize(%q) = %q, and again %q", body, got, again)
		}
		if Count(body).Encoding == "GSM-7" && Count(got).Encoding != "GSM-7" {
			t.Fatalf("normalize(%q) = %q made it dearer", body, got)
		}
	})
}

package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"duewatch/reminder"
)

// languageNames are the codes of languages by their names, in small letters.
var languageNames = map[string]string{
	"english": "en", "kiingereza": "en", "eng": "en", "swahili": "sw", "kiswahili": "sw", "swa": "sw",
	"french": "fr", "français": "fr", "kifaransa": "fr", "somali": "so", "kisomali": "so", "arabic": "ar", "kiarabu": "ar",
}

// serviceNames are the ids of services by their names, as one compares them.
type serviceNames struct {
	policies reminder.Policies
	ids      map[string]string // "" for a name of several
}

func namesOf(policies reminder.Policies) serviceNames {
	n := serviceNames{policies, map[string]string{}}
	for _, id := range slices.Sorted(maps.Keys(policies.ByService)) {
		name := foldName(policies.ByService[id].ServiceName)
		if _, twice := n.ids[name]; twice {
			id = ""
		}
		n.ids[name] = id
	}
	for id := range policies.ByService { // what is an id means that service, whatever is called so
		delete(n.ids, foldName(id))
	}
	delete(n.ids, "")
	return n
}

func foldName(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// id is the id of the service of that name; "" when there is none.
func (n serviceNames) id(name string) string {
	if len(n.ids) == 0 {
		return ""
	}
	return n.ids[foldName(name)]
}

// list is some services with their names, "" for none.
func (n serviceNames) list(ids []string) string {
	const most = 8
	var all []string
	for _, id := range ids[:min(len(ids), most)] {
		all = append(all, fmt.Sprintf("%s (%s)", id, n.policies.Name(id)))
	}
	if len(ids) > most {
		all = append(all, fmt.Sprintf("%d more", len(ids)-most))
	}
	return strings.Join(all, ", ")
}

// knows reports whether a text names one service of the config, by its id or name.
func (n serviceNames) knows(s string) bool { return n.policies.ByService[s] != nil || n.id(s) != "" }

// fault says that a service is none, "" where it may be one. Services need not be
// listed, so any other id may be right; but words are the name of a service, which
// Almara Pay would reject for each of its bills.
func (n serviceNames) fault(service string) string {
	if n.policies.ByService[service] != nil {
		return ""
	}
	if fault := ServiceFault(n.policies, service); fault != "" {
		return fault
	}
	if !strings.ContainsFunc(service, unicode.IsDigit) {
		return "is no id, and the name of no service of the config: write the id (duewatch services lists them), or name it under services:"
	}
	return ""
}

// numberAmongWords finds the one number of a cell that has words in front of it or
// behind it, as in "Tel: 0710000001 (wife)". It is "" where the words do not stand
// apart from the number, and where there is more than one.
func numberAmongWords(s string) (number, words string) {
	const digits = "0123456789"
	first, last := strings.IndexAny(s, "+"+digits), strings.LastIndexAny(s, digits)
	if first < 0 || last < first {
		return "", ""
	}
	before, number, after := s[:first], s[first:last+1], s[last+1:]
	if strings.ContainsFunc(number, unicode.IsLetter) {
		return "", ""
	}
	if open := strings.LastIndex(before, "("); open >= 0 && strings.Contains(number, ")") { // (0710) 000001
		before, number = before[:open], before[open:]+number
	}
	for _, c := range before + after {
		if !unicode.IsLetter(c) && !unicode.IsMark(c) && !strings.ContainsRune(" .,:;-–—/()[]'’&=", c) {
			return "", ""
		}
	}
	if endsInLetter(before) || startsWithLetter(after) {
		return "", ""
	}
	return number, before + " " + after
}

func endsInLetter(s string) bool {
	r := []rune(s)
	return len(r) > 0 && unicode.IsLetter(r[len(r)-1])
}

func startsWithLetter(s string) bool { return strings.IndexFunc(s, unicode.IsLetter) == 0 }

// against are words beside a number by which it may be the wrong one.
var against = words("old wrong not never dead deceased late off out stop dont don blocked lost unreachable former ex previous fake " +
	"zamani marehemu hapana sio si siyo usipige mbaya imezimwa")

// speakAgainst reports whether words beside a number may mean that it is not to be
// texted.
func speakAgainst(beside string) bool {
	list := strings.FieldsFunc(strings.ToLower(beside), func(c rune) bool { return !unicode.IsLetter(c) })
	return slices.ContainsFunc(list, func(w string) bool { return against[w] })
}

// isPlaceholder reports whether a number is one that people type where they have
// none: its last eight digits are all the same, or count upwards.
func isPlaceholder(p reminder.Phone) bool {
	const looked = 8
	digits := p.Digits()
	if len(digits) < looked {
		return false
	}
	end := digits[len(digits)-looked:]
	step := end[1] - end[0]
	if step > 1 {
		return false
	}
	for i := 1; i < looked; i++ {
		if end[i]-end[i-1] != step {
			return false
		}
	}
	return true
}

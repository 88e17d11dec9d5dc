package importer

import (
	"strings"
	"unicode"
)

// field is one thing that a list says of a bill.
type field int

const (
	service field = iota
	account
	phone
	description
	language
	fieldCount int = iota
)

// What a column may be besides one of the fields.
const (
	leftOut field = -1 - iota // known, and nothing that a bill needs; or left out by the operator
	unnamed                   // without a name: it must be empty
	unknown
)

var fields = [fieldCount]struct {
	name   string
	kind   cellKind
	needed bool
}{
	service:     {"service", cellNumber, true},
	account:     {"account", cellNumber, true},
	phone:       {"phone", cellPhone, true},
	description: {"description", cellText, false},
	language:    {"language", cellLanguage, false},
}

// CSVHeader names the columns of a file of bills, as export writes them.
func CSVHeader() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// knownHeaders are the words by which lists name their columns, in English and
// Swahili. Write a new one in small letters; # stands for every word that means a
// number (no., number, namba …), and case, spaces and punctuation do not matter.
//
// Where several columns of a file may be the same field, the one of the lowest
// rank is taken, and of two of the same rank the operator must choose, unless all
// their cells are equal. Words may be in several rows: a house is the account where
// nothing else is, and else the description.
var knownHeaders = []struct {
	field field
	rank  int
	words string
}{
	{service, 1, "service, service id, service #, service code, biller, biller id, biller code, huduma"},
	{service, 2, "service name, biller name, jina huduma"},

	{account, 1, "account, account #, account id, account code, acc, acc #, acct, acct #, a/c, a/c #, bill account, " +
		"bill account #, utility account, utility account #, paybill account, paybill account #, ledger a/c #, akaunti, akaunti #"},
	{account, 2, "meter, meter #, meter serial, meter serial #, mita, mita #, member #, mem #, membership #, member code, " +
		"mwanachama #, " +
		"customer #, customer code, client #, client code, consumer #, tenant #, tenant code, connection #, contract #, " +
		"loan #, policy #, student #, admission #, adm, adm #, subscriber #, patient #, farmer #, smartcard #, decoder #, mteja #"},
	{account, 3, "house, house #, hse, hse #, unit, unit #, nyumba, nyumba #, room, room #, chumba, chumba #, apartment, " +
		"apartment #, flat, flat #, door, door #, shop, shop #, stall, stall #, plot, plot #, " +
		"apt, apt #, house name, unit name, room name"},

	// The number of a person is one thing, whatever it is called: nobody but the
	// operator knows which of two is to be texted.
	{phone, 1, "mobile, mobile #, mobile phone, mobile phone #, mobiles, cell, cell #, cell phone, cell phone #, msisdn, " +
		"simu mkononi, simu mkononi #, m-pesa #, m-pesa phone, m-pesa phone #, sms #, phone, phone #, phones, telephone, " +
		"telephone #, tel, tel #, tele, simu, simu #, contact #, contacts, contact phone, contact phone #, phone mobile, " +
		"parent phone, parent phone #, father phone, father phone #, mother phone, mother phone #, guardian phone, guardian phone #, " +
		"parents phone, parents phone #, guardians phone, guardians phone #, parent mobile, parent mobile #, parent contact, " +
		"parent contact #, " +
		"simu mpangaji, simu mpangaji #, simu mteja, simu mteja #, simu mwanachama, simu mwanachama #, simu mzazi, simu mzazi #, " +
		"telephone 1, telephone # 1, phone 1, phone 1 value, phone # 1, mobile 1, " +
		"mobile # 1, tel 1, tel # 1, simu 1, whatsapp, whatsapp #"},

	{description, 1, "description, details, maelezo, bill description, bill name"},
	{description, 2, "house, house #, hse, hse #, unit, unit #, nyumba, nyumba #, room, room #, chumba, chumba #, apartment, " +
		"apartment #, flat, flat #, door, door #, shop, shop #, stall, stall #, plot, plot #, " +
		"apt, apt #, house name, unit name, room name"},

	{language, 1, "language, lang, language code, preferred language, lugha"},

	// Names are left out, since Almara Pay says who a customer is.
	{leftOut, 0, "name, names, full name, student, student name, pupil, pupil name, parent, parent name, guardian, guardian name, " +
		"first name, given name, last name, surname, family name, middle name, other name, other names, nickname, " +
		"initials, customer, customer name, customer full name, client, client name, member, member name, tenant, " +
		"tenant name, consumer, consumer name, contact, contact name, contact person, contact first name, " +
		"contact last name, contact title, company, company name, organization, organization name, organization title, " +
		"organization department, display name, salutation, title, name prefix, name suffix, file as, " +
		"phonetic first name, phonetic middle name, phonetic last name, landlord, owner, jina, majina, jina kamili, " +
		"name tenant, name customer, name client, name member, name consumer, name student, name pupil, full names, cust name, " +
		"names tenant, names customer, names client, names member, names student, trader name, traders name, farmer, " +
		"farmer name, patient, " +
		"patient name, subscriber, subscriber name, owner name, landlord name, resident name, parents name, guardians name, " +
		"trader, resident, occupant, insured, username, account name, jina mpangaji, mpangaji, mteja, jina mteja, mwanachama, " +
		"jina mwanachama"},
	{leftOut, 0, "email, emails, email address, email id, e-mail 1 label, e-mail 1 value, barua pepe, website, web, toll free, " +
		"fax, fax #, skype, twitter, facebook, photo, labels"},
	{leftOut, 0, "phone 2, phone # 2, phone 2 value, mobile 2, mobile # 2, tel 2, simu 2, phone 1 label, phone 1 type, " +
		"phone 2 label, phone 2 type, alternative phone, alternative phone #, alternate phone, alternate phone #, " +
		"telephone 2, telephone # 2, alt mobile, alt mobile #, alt contact, alt contact #, alternative mobile, alternative mobile #, " +
		"alternate mobile, alternate mobile #, alternative contact, alternative contact #, other contact, other contact #, " +
		"alt phone, alt phone #, other phone, other phone #, secondary phone, home phone, work phone, business phone, " +
		"office phone, next of kin, next of kin phone, next of kin phone #, kin phone, emergency contact, " +
		"emergency contact #, emergency phone, guarantor, guarantor phone, caretaker phone"},
	{leftOut, 0, "address, village, hostel, market, court, class, stream, form, grade, address 1, address 2, " +
		"address line 1, address line 2, billing address, " +
		"shipping address, street, street 2, city, town, county, sub county, ward, state, province, region, country, " +
		"zip, zip code, postal code, postcode, po box, physical address, postal address, location, zone, route, area, " +
		"territory, anwani, mji"},
	{leftOut, 0, "amount, amount due, total, total amount, balance, balance due, open balance, balance total, total balance, " +
		"opening balance, outstanding, outstanding amount, paid, paid in, withdrawn, amount paid, rent, monthly rent, " +
		"rent amount, deposit, arrears, penalty, credit limit, currency, currency code, tax, tax id, vat #, pin, " +
		"bal, bal b/f, bal c/f, bal b/d, bal c/d, balance b/f, balance c/f, balance b/d, balance c/d, fee balance, fee bal, " +
		"fees balance, " +
		"amt, amt due, bill amt, bill amount, total due, total paid, rent balance, balance kes, balance ksh, amount kes, " +
		"amount ksh, rent kes, " +
		"rent ksh, shares, savings, principal, interest, loan amount, land rates, fee, fees, market fee, rent payable, " +
		"rent due, land rate, service charge, service charges, service fee, premium, " +
		"kra pin, rate, tariff, kiasi, salio, deni, kodi, previous reading, current reading, prev reading, curr reading, " +
		"last reading, consumption, units consumed"},
	{leftOut, 0, "date, due date, invoice date, bill date, billing date, lease date, lease start, lease end, start date, " +
		"lease from, lease to, date in, date out, payment date, last payment, last payment date, end date, move in, " +
		"move in date, move out date, date of birth, dob, birthday, created, created at, created on, " +
		"created time, updated at, last modified time, date joined, join date, expiry, expiry date, renewal date, date of entry, " +
		"timestamp, submitted at, " +
		"reading date, completion time, initiation time, tarehe, month, period, year"},
	{leftOut, 0, "#, na, id, id #, national id, national id #, passport, passport #, kitambulisho, kitambulisho #, contact id, " +
		"customer id, client id, external id, database id, uuid, key, invoice, invoice #, invoice id, receipt #, " +
		"transaction #, linked transaction id, serial #, s/n, s/#, sr, sr #, row, index, ref, ref #, reference, " +
		"reference #, gender, sex, jinsia, status, active status, account status, customer status, tenant status, " +
		"member status, meter status, connection status, hali, enabled, disabled, state code, active, is active, is primary, type, " +
		"customer type, customer group, contact type, category, tags, group, transaction type, transaction status, " +
		"payment terms, terms, salesperson, activities, property, property name, estate, block, floor, building, " +
		"building name, branch, source, notes, note, remarks, remark, comment, comments, maoni, jengo, mtaa, kata"},
}

// ownRank is what a rank is when the file has exactly the columns that we write.
const ownRank = 0

// numberWords are what # stands for, fillers say nothing at all, and owners say
// whose the rest of the header is, as in "Customer Phone".
var (
	numberWords = words("no nos num nr nbr number numbers # namba nambari nambali")
	fillers     = words("of the your ya za wa la cha")
	owners      = words("customer customers client clients tenant tenants member members consumer subscriber " +
		"primary main billing default loan water rent rental utility electricity kplc bill savings sacco mteja mpangaji")
)

// hintWords are words of a header for which a column is proposed to the operator,
// the surest first, and never taken.
var hintWords = [fieldCount][]string{
	service: {"service", "biller", "huduma", "product"},
	account: {"account", "acc", "acct", "ac", "akaunti", "meter", "mita", "ref", "reference", "code", "house", "unit"},
	phone:   {"mobile", "phone", "cell", "msisdn", "tel", "telephone", "simu", "whatsapp", "contact", "line"},
}

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// candidate is a field that a column may hold.
type candidate struct {
	field field
	rank  int
}

// headerTable is knownHeaders by folded header.
var headerTable = func() map[string][]candidate {
	table := map[string][]candidate{}
	for _, row := range knownHeaders {
		for _, header := range strings.Split(row.words, ",") {
			key := strings.Join(headerWords(header), "")
			table[key] = append(table[key], candidate{row.field, row.rank})
		}
	}
	return table
}()

// headerWords are the words of a header in small letters: "Phone No.", "phoneNo"
// and "namba ya simu" alike say what is numbered, and then #.
func headerWords(header string) []string {
	var list []string
	number := false
	before := ' '
	var word strings.Builder
	flush := func() {
		switch w := word.String(); {
		case w == "" || fillers[w]:
		case numberWords[w]:
			number = true
		default:
			list = append(list, w)
		}
		word.Reset()
	}
	for _, c := range header {
		if unicode.IsLower(before) && unicode.IsUpper(c) {
			flush()
		}
		switch {
		case unicode.IsLetter(c) || unicode.IsDigit(c):
			word.WriteRune(unicode.ToLower(c))
		case c == '#':
			flush()
			number = true
		case unicode.IsMark(c) || c == '\'' || c == '’':
		default:
			flush()
		}
		before = c
	}
	flush()
	if n := len(list) - 1; n > 0 && list[n] == "na" { // "Nyumba Na." is short for its number; elsewhere "na" is "and"
		list, number = list[:n], true
	}
	if number {
		list = append(list, "#")
	}
	return list
}

// meanings are the fields that a header may stand for; nil when it is not known.
func meanings(header string) []candidate {
	if found := meaning(headerWords(header)); found != nil {
		return found
	}
	// "Mobile (07…)" and "Simu / Phone": what is in brackets explains, and what
	// stands on both sides of a stroke says one thing twice.
	if open := strings.IndexAny(header, "(["); open > 0 {
		return meanings(header[:open])
	}
	left, right, both := strings.Cut(header, "/")
	if !both {
		return nil
	}
	of, same := meaning(headerWords(left)), meaning(headerWords(right))
	if of != nil && same != nil && of[0].field == same[0].field {
		return of
	}
	return nil
}

func meaning(list []string) []candidate {
	if len(list) == 0 {
		return nil
	}
	key := strings.Join(list, "")
	if found := headerTable[key]; found != nil {
		return found
	}
	for _, joined := range []string{"number", "no", "num"} { // "accno", "phonenumber"
		if bare, ok := strings.CutSuffix(key, joined); ok && headerTable[bare+"#"] != nil {
			return headerTable[bare+"#"]
		}
	}
	if len(list) > 1 && owners[list[0]] {
		return meaning(list[1:])
	}
	return nil
}

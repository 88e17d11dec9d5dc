package sandbox

import (
	"duewatch/reminder"
)

// The services the sandbox offers. One id looks like a UUID, as in Almara
// Pay's examples, one is a number, as in its table: both are opaque text.
const (
	ServiceElectricity = "bc97d2b1-4828-f111-bc5a-0a7d952d79b7"
	ServiceWater       = "1042"
	ServiceRent        = "5e0c1b7a-9d34-4c1e-8a52-2f6d0b9e7711"
	ServiceTV          = "77aa0f3c-15d2-4b6e-b0c9-6f2f7f1d2e08"
	ServiceLoan        = "2093"
)

// service is a line of GET /v1/bill-services.
type service struct{ id, name, category, kind string }

func services() []service {
	return []service{
		{ServiceElectricity, "KPLC Postpaid", "ELECTRICITY", "KPLC POSTPAID"},
		{ServiceWater, "Nairobi Water", "WATER", "NAIROBI WATER"},
		{ServiceRent, "Umoja Court Rent", "RENT", "UMOJA COURT"},
		{ServiceTV, "Savanna TV", "TV", "SAVANNA TV"},
		{ServiceLoan, "Tumaini SACCO", "LOAN", "TUMAINI SACCO"},
	}
}

// Sample is one customer of the demonstration: what an operator would declare,
// and what Almara Pay will answer.
type Sample struct {
	Service     string
	ServiceName string
	Account     string
	Phone       reminder.Phone
	Language    string
	Description string
	Shows       string // what this customer is here to show, in a few words

	Customer string
	Balance  *reminder.Money // nil = not known
	DueDate  reminder.Date   // zero = not known
	Rejected bool            // Almara Pay refuses the account
}

// Samples are the customers of `duewatch run --sandbox`, one of every kind
// that gets another treatment. Due dates are relative to today; once a
// sandbox has registered one, its due date stays.
func Samples(today reminder.Date) []Sample {
	in := today.AddDays
	list := []Sample{
		{
			Service: ServiceElectricity, Account: "14200331", Phone: "+254710000001", Language: "en", Description: "House 12, Kilimani",
			Shows: "owed, due in 3 days", Customer: "Wanjiru Kamau", Balance: money("2315.50"), DueDate: in(3),
		},
		{
			Service: ServiceWater, Account: "0078-221", Phone: "+254710000002", Language: "en", Description: "Plot 7, South B",
			Shows: "owed, due today", Customer: "Brian Otieno", Balance: money("846"), DueDate: today,
		},
		{
			Service: ServiceRent, Account: "UC-B04", Phone: "+254710000003", Language: "en", Description: "Block B, door 4",
			Shows: "owed, due in 7 days", Customer: "Faith Mutua", Balance: money("18500"), DueDate: in(7),
		},
		{
			Service: ServiceElectricity, Account: "14200778", Phone: "+254710000004", Language: "sw", Description: "Nyumba ya Kisauni",
			Shows: "owed, due in 3 days, texted in Swahili", Customer: "Mwanaisha Juma", Balance: money("1120.75"), DueDate: in(3),
		},
		{
			Service: ServiceRent, Account: "UC-C11", Phone: "+254710000005", Language: "en", Description: "Block C, door 11",
			Shows: "two bills of one phone, due the same day: rent", Customer: "Kevin Kiptoo", Balance: money("22000"), DueDate: in(3),
		},
		{
			Service: ServiceWater, Account: "0078-305", Phone: "+254710000005", Language: "en", Description: "Block C, door 11",
			Shows: "two bills of one phone, due the same day: water", Customer: "Kevin Kiptoo", Balance: money("640.20"), DueDate: in(3),
		},
		{
			Service: ServiceTV, Account: "20881734", Phone: "+254710000006", Language: "en", Description: "Family package",
			Shows: "due in 3 days but paid", Customer: "Achieng Odhiambo", Balance: money("0"), DueDate: in(3),
		},
		{
			Service: ServiceElectricity, Account: "14201956", Phone: "+254710000007", Language: "en", Description: "Shop, Gikomba",
			Shows: "due today but in credit", Customer: "Gikomba Traders Ltd", Balance: money("-431.10"), DueDate: today,
		},
		{
			Service: ServiceLoan, Account: "TS-55019", Phone: "+254710000008", Language: "en", Description: "Boda loan, instalment",
			Shows: "owed, due far ahead", Customer: "Peter Njoroge", Balance: money("3750"), DueDate: in(24),
		},
		{
			Service: ServiceWater, Account: "0079-014", Phone: "+254710000009", Language: "en", Description: "New connection",
			Shows: "owed, due date not known", Customer: "Halima Abdi", Balance: money("300"),
		},
		{
			Service: ServiceTV, Account: "20870012", Phone: "+254710000010", Language: "sw", Description: "Kifurushi cha nyumbani",
			Shows: "owed, due date long past", Customer: "Zawadi Mwangi", Balance: money("1799"), DueDate: in(-40),
		},
		{
			Service: ServiceElectricity, Account: "1420", Phone: "+254710000011", Language: "en", Description: "A digit short",
			Shows: "account refused", Rejected: true,
		},
		{
			Service: ServiceLoan, Account: "TS-55144", Phone: PhoneUnreachable, Language: "en", Description: "School fees loan",
			Shows:    "owed, due in 3 days, phone switched off: the text is not delivered",
			Customer: "Samuel Barasa", Balance: money("5200"), DueDate: in(3),
		},
	}
	names := make(map[string]string)
	for _, s := range services() {
		names[s.id] = s.name
	}
	for i := range list {
		list[i].ServiceName = names[list[i].Service]
	}
	return list
}

var firstNames = [...]string{
	"Wanjiru", "Otieno", "Achieng", "Kamau", "Njeri", "Kiptoo", "Chebet", "Mutua", "Mwende", "Barasa", "Nekesa", "Juma",
	"Mwanaisha", "Halima", "Abdi", "Faith", "Brian", "Mercy", "Kevin", "Grace", "Samuel", "Esther", "Dennis", "Zawadi",
}

var lastNames = [...]string{
	"Kamau", "Odhiambo", "Mwangi", "Kiplagat", "Wafula", "Mutiso", "Njoroge", "Hassan", "Onyango", "Cheruiyot", "Wekesa",
	"Karanja", "Musyoka", "Omondi", "Rotich", "Kariuki", "Makena", "Ouma", "Muthoni", "Noor", "Simiyu", "Koech",
}

PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO goose_db_version VALUES(1,0,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(2,1,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(3,2,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(4,4,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(5,5,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(6,6,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(7,7,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(8,8,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(9,9,1,'2026-11-29 10:14:35');
INSERT INTO goose_db_version VALUES(10,10,1,'2026-11-29 10:14:35');
CREATE TABLE bills (
    id            INTEGER PRIMARY KEY,
    service       TEXT    NOT NULL,
    account       TEXT    NOT NULL,
    phone         TEXT    NOT NULL,
    language      TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    source        TEXT    NOT NULL,
    state         TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'paused', 'rejected', 'removed')),
    customer      TEXT    NOT NULL DEFAULT '',
    balance       TEXT,
    balance_at    BIGINT,
    due_date      TEXT,
    verified      INTEGER NOT NULL DEFAULT 0,
    registered_at BIGINT,
    checked_at    BIGINT,
    failures      INTEGER NOT NULL DEFAULT 0,
    last_error    TEXT    NOT NULL DEFAULT '', usual TEXT, paused_at BIGINT, paused_until BIGINT,
    UNIQUE (service, account)
);
INSERT INTO bills VALUES(1,'bc97d2b1-4828-f111-bc5a-0a7d952d79b7','14200331','+254710000001','en','House 12, Kilimani','config','active','Wanjiru Kamau','2315.5',1795947275415,'2026-12-02',1,1795947275415,1795947275415,0,'','2315.5',NULL,NULL);
INSERT INTO bills VALUES(2,'1042','0078-221','+254710000002','en','Plot 7, South B','config','active','Brian Otieno','846',1795947275414,'2026-11-29',1,1795947275414,1795947275414,0,'','846',NULL,NULL);
INSERT INTO bills VALUES(3,'5e0c1b7a-9d34-4c1e-8a52-2f6d0b9e7711','UC-B04','+254710000003','en','Block B, door 4','config','active','Faith Mutua','18500',1795947275501,'2026-12-06',1,1795947275501,1795947275501,0,'','18500',NULL,NULL);
INSERT INTO bills VALUES(4,'bc97d2b1-4828-f111-bc5a-0a7d952d79b7','14200778','+254710000004','sw','Nyumba ya Kisauni','config','active','Mwanaisha Juma','1120.75',1795947275521,'2026-12-02',1,1795947275521,1795947275521,0,'','1120.75',NULL,NULL);
INSERT INTO bills VALUES(5,'5e0c1b7a-9d34-4c1e-8a52-2f6d0b9e7711','UC-C11','+254710000005','en','Block C, door 11','config','active','Kevin Kiptoo','22000',1795947275565,'2026-12-02',1,1795947275565,1795947275565,0,'','22000',NULL,NULL);
INSERT INTO bills VALUES(6,'1042','0078-305','+254710000005','en','Block C, door 11','config','active','Kevin Kiptoo','640.2',1795947275625,'2026-12-02',1,1795947275625,1795947275625,0,'','640.2',NULL,NULL);
INSERT INTO bills VALUES(7,'77aa0f3c-15d2-4b6e-b0c9-6f2f7f1d2e08','20881734','+254710000006','en','Family package','config','active','Achieng Odhiambo','0',1795947275665,'2026-12-02',1,1795947275665,1795947275665,0,'',NULL,NULL,NULL);
INSERT INTO bills VALUES(8,'bc97d2b1-4828-f111-bc5a-0a7d952d79b7','14201956','+254710000007','en','Shop, Gikomba','config','active','Gikomba Traders Ltd','-431.1',1795947275729,'2026-11-29',1,1795947275729,1795947275729,0,'',NULL,NULL,NULL);
INSERT INTO bills VALUES(9,'2093','TS-55019','+254710000008','en','Boda loan, instalment','config','active','Peter Njoroge','3750',1795947275769,'2026-12-23',1,1795947275769,1795947275769,0,'','3750',NULL,NULL);
INSERT INTO bills VALUES(10,'1042','0079-014','+254710000009','en','New connection','config','active','Halima Abdi','300',1795947275815,NULL,1,1795947275815,1795947275815,0,'','300',NULL,NULL);
INSERT INTO bills VALUES(11,'77aa0f3c-15d2-4b6e-b0c9-6f2f7f1d2e08','20870012','+254710000010','sw','Kifurushi cha nyumbani','config','active','Zawadi Mwangi','1799',1795947275865,'2026-10-20',1,1795947275865,1795947275865,0,'','1799',NULL,NULL);
INSERT INTO bills VALUES(12,'bc97d2b1-4828-f111-bc5a-0a7d952d79b7','1420','+254710000011','en','A digit short','config','rejected','',NULL,NULL,NULL,0,NULL,NULL,0,'Account number number is invalid.',NULL,NULL,NULL);
INSERT INTO bills VALUES(13,'2093','TS-55144','+254710000091','en','School fees loan','config','active','Samuel Barasa','5200',1795947275968,'2026-12-02',1,1795947275968,1795947275968,0,'','5200',NULL,NULL);
CREATE TABLE due_register (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL);
CREATE TABLE due_recheck (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL);
INSERT INTO due_recheck VALUES(1,1796158080000);
INSERT INTO due_recheck VALUES(2,1796068010715);
INSERT INTO due_recheck VALUES(3,1796244480000);
INSERT INTO due_recheck VALUES(4,1796158080000);
INSERT INTO due_recheck VALUES(5,1796158080000);
INSERT INTO due_recheck VALUES(6,1796158080000);
INSERT INTO due_recheck VALUES(7,1796158080000);
INSERT INTO due_recheck VALUES(8,1796068010715);
INSERT INTO due_recheck VALUES(9,1796941422530);
INSERT INTO due_recheck VALUES(10,1796195812507);
INSERT INTO due_recheck VALUES(11,1796527194810);
INSERT INTO due_recheck VALUES(13,1796158080000);
CREATE TABLE due_remind (
    bill_id INTEGER PRIMARY KEY REFERENCES bills (id) ON DELETE CASCADE,
    at      BIGINT NOT NULL,
    owner   TEXT
);
INSERT INTO due_remind VALUES(1,1796158800000,NULL);
INSERT INTO due_remind VALUES(3,1796245200000,NULL);
INSERT INTO due_remind VALUES(4,1796158800000,NULL);
INSERT INTO due_remind VALUES(5,1796158800000,NULL);
INSERT INTO due_remind VALUES(6,1796158800000,NULL);
INSERT INTO due_remind VALUES(7,1796158800000,NULL);
INSERT INTO due_remind VALUES(9,1797368400000,NULL);
INSERT INTO due_remind VALUES(13,1796158800000,NULL);
CREATE TABLE opt_outs (
    phone   TEXT   NOT NULL,
    service TEXT   NOT NULL,
    reason  TEXT   NOT NULL CHECK (reason IN ('opted_out', 'bad_number')),
    since   BIGINT NOT NULL,
    source  TEXT   NOT NULL, -- provider, operator, import
    who     TEXT   NOT NULL,
    PRIMARY KEY (phone, service)
);
CREATE TABLE events (
    id      INTEGER PRIMARY KEY,
    at      BIGINT  NOT NULL,
    bill_id INTEGER NOT NULL,
    text_id INTEGER,
    what    TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    detail  TEXT    NOT NULL
);
INSERT INTO events VALUES(1,1795947275411,1,NULL,'added','declared','by config');
INSERT INTO events VALUES(2,1795947275411,2,NULL,'added','declared','by config');
INSERT INTO events VALUES(3,1795947275411,3,NULL,'added','declared','by config');
INSERT INTO events VALUES(4,1795947275411,4,NULL,'added','declared','by config');
INSERT INTO events VALUES(5,1795947275411,5,NULL,'added','declared','by config');
INSERT INTO events VALUES(6,1795947275411,6,NULL,'added','declared','by config');
INSERT INTO events VALUES(7,1795947275411,7,NULL,'added','declared','by config');
INSERT INTO events VALUES(8,1795947275411,8,NULL,'added','declared','by config');
INSERT INTO events VALUES(9,1795947275411,9,NULL,'added','declared','by config');
INSERT INTO events VALUES(10,1795947275411,10,NULL,'added','declared','by config');
INSERT INTO events VALUES(11,1795947275411,11,NULL,'added','declared','by config');
INSERT INTO events VALUES(12,1795947275411,12,NULL,'added','declared','by config');
INSERT INTO events VALUES(13,1795947275411,13,NULL,'added','declared','by config');
INSERT INTO events VALUES(14,1795947275418,2,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(15,1795947275418,2,NULL,'due_date','almara','due on 2026-11-29');
INSERT INTO events VALUES(16,1795947275418,2,NULL,'balance','almara','846.00');
INSERT INTO events VALUES(17,1795947275418,2,NULL,'customer','almara','Brian Otieno');
INSERT INTO events VALUES(18,1795947275418,1,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(19,1795947275418,1,NULL,'due_date','almara','due on 2026-12-02');
INSERT INTO events VALUES(20,1795947275418,1,NULL,'balance','almara','2,315.50');
INSERT INTO events VALUES(21,1795947275418,1,NULL,'customer','almara','Wanjiru Kamau');
INSERT INTO events VALUES(22,1795947275504,3,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(23,1795947275504,3,NULL,'due_date','almara','due on 2026-12-06');
INSERT INTO events VALUES(24,1795947275504,3,NULL,'balance','almara','18,500.00');
INSERT INTO events VALUES(25,1795947275504,3,NULL,'customer','almara','Faith Mutua');
INSERT INTO events VALUES(26,1795947275523,4,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(27,1795947275523,4,NULL,'due_date','almara','due on 2026-12-02');
INSERT INTO events VALUES(28,1795947275523,4,NULL,'balance','almara','1,120.75');
INSERT INTO events VALUES(29,1795947275523,4,NULL,'customer','almara','Mwanaisha Juma');
INSERT INTO events VALUES(30,1795947275567,5,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(31,1795947275567,5,NULL,'due_date','almara','due on 2026-12-02');
INSERT INTO events VALUES(32,1795947275567,5,NULL,'balance','almara','22,000.00');
INSERT INTO events VALUES(33,1795947275567,5,NULL,'customer','almara','Kevin Kiptoo');
INSERT INTO events VALUES(34,1795947275627,6,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(35,1795947275627,6,NULL,'due_date','almara','due on 2026-12-02');
INSERT INTO events VALUES(36,1795947275627,6,NULL,'balance','almara','640.20');
INSERT INTO events VALUES(37,1795947275627,6,NULL,'customer','almara','Kevin Kiptoo');
INSERT INTO events VALUES(38,1795947275667,7,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(39,1795947275667,7,NULL,'due_date','almara','due on 2026-12-02');
INSERT INTO events VALUES(40,1795947275667,7,NULL,'balance','almara','0.00');
INSERT INTO events VALUES(41,1795947275667,7,NULL,'customer','almara','Achieng Odhiambo');
INSERT INTO events VALUES(42,1795947275731,8,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(43,1795947275731,8,NULL,'due_date','almara','due on 2026-11-29');
INSERT INTO events VALUES(44,1795947275731,8,NULL,'balance','almara','-431.10');
INSERT INTO events VALUES(45,1795947275731,8,NULL,'customer','almara','Gikomba Traders Ltd');
INSERT INTO events VALUES(46,1795947275771,9,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(47,1795947275771,9,NULL,'due_date','almara','due on 2026-12-23');
INSERT INTO events VALUES(48,1795947275771,9,NULL,'balance','almara','3,750.00');
INSERT INTO events VALUES(49,1795947275771,9,NULL,'customer','almara','Peter Njoroge');
INSERT INTO events VALUES(50,1795947275817,10,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(51,1795947275817,10,NULL,'balance','almara','300.00');
INSERT INTO events VALUES(52,1795947275817,10,NULL,'customer','almara','Halima Abdi');
INSERT INTO events VALUES(53,1795947275867,11,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(54,1795947275867,11,NULL,'due_date','almara','due on 2026-10-20');
INSERT INTO events VALUES(55,1795947275867,11,NULL,'balance','almara','1,799.00');
INSERT INTO events VALUES(56,1795947275867,11,NULL,'customer','almara','Zawadi Mwangi');
INSERT INTO events VALUES(57,1795947275918,12,NULL,'rejected','almara','Account number number is invalid.');
INSERT INTO events VALUES(58,1795947275968,13,NULL,'registered','almara','accepted by Almara Pay');
INSERT INTO events VALUES(59,1795947275968,13,NULL,'due_date','almara','due on 2026-12-02');
INSERT INTO events VALUES(60,1795947275968,13,NULL,'balance','almara','5,200.00');
INSERT INTO events VALUES(61,1795947275968,13,NULL,'customer','almara','Samuel Barasa');
INSERT INTO events VALUES(62,1795947275973,1,NULL,'skipped','superseded','7 days before, due 2026-12-02: a later stage took its place');
INSERT INTO events VALUES(63,1795947275973,1,1,'texted','catch_up','3 days before, due 2026-12-02: balance KES 2,315.50, asked 0s ago');
INSERT INTO events VALUES(64,1795947275973,2,NULL,'skipped','superseded','7 days before, due 2026-11-29: a later stage took its place');
INSERT INTO events VALUES(65,1795947275973,2,NULL,'skipped','superseded','3 days before, due 2026-11-29: a later stage took its place');
INSERT INTO events VALUES(66,1795947275973,2,2,'texted','catch_up','due day, due 2026-11-29: balance KES 846.00, asked 0s ago');
INSERT INTO events VALUES(67,1795947275973,3,3,'texted','catch_up','7 days before, due 2026-12-06: balance KES 18,500.00, asked 0s ago');
INSERT INTO events VALUES(68,1795947275973,4,NULL,'skipped','superseded','7 days before, due 2026-12-02: a later stage took its place');
INSERT INTO events VALUES(69,1795947275973,4,4,'texted','catch_up','3 days before, due 2026-12-02: balance KES 1,120.75, asked 0s ago');
INSERT INTO events VALUES(70,1795947275973,5,NULL,'skipped','superseded','7 days before, due 2026-12-02: a later stage took its place');
INSERT INTO events VALUES(71,1795947275973,5,5,'texted','catch_up','3 days before, due 2026-12-02: balance KES 22,000.00, asked 0s ago; in one text with account 0078-305');
INSERT INTO events VALUES(72,1795947275973,6,NULL,'skipped','superseded','7 days before, due 2026-12-02: a later stage took its place');
INSERT INTO events VALUES(73,1795947275973,6,5,'texted','catch_up','3 days before, due 2026-12-02: balance KES 640.20, asked 0s ago; in one text with account UC-C11');
INSERT INTO events VALUES(74,1795947275973,7,NULL,'skipped','superseded','7 days before, due 2026-12-02: a later stage took its place');
INSERT INTO events VALUES(75,1795947275973,7,NULL,'skipped','paid','3 days before, due 2026-12-02: balance KES 0.00, asked 0s ago');
INSERT INTO events VALUES(76,1795947275973,8,NULL,'skipped','superseded','7 days before, due 2026-11-29: a later stage took its place');
INSERT INTO events VALUES(77,1795947275973,8,NULL,'skipped','superseded','3 days before, due 2026-11-29: a later stage took its place');
INSERT INTO events VALUES(78,1795947275973,8,NULL,'skipped','in_credit','due day, due 2026-11-29: balance KES -431.10, asked 0s ago');
INSERT INTO events VALUES(79,1795947275973,13,NULL,'skipped','superseded','7 days before, due 2026-12-02: a later stage took its place');
INSERT INTO events VALUES(80,1795947275973,13,6,'texted','catch_up','3 days before, due 2026-12-02: balance KES 5,200.00, asked 0s ago');
INSERT INTO events VALUES(81,1795947276003,1,1,'accepted','provider','the provider took it as SM0fb056ed4bb225eb0000000000000000');
INSERT INTO events VALUES(82,1795947276038,2,2,'accepted','provider','the provider took it as SM241eee5e63cebc630000000000000003');
INSERT INTO events VALUES(83,1795947276038,3,3,'accepted','provider','the provider took it as SM59265f60e50541ab0000000000000002');
INSERT INTO events VALUES(84,1795947276038,4,4,'accepted','provider','the provider took it as SM68576546b26dd8c10000000000000001');
INSERT INTO events VALUES(85,1795947276038,5,5,'accepted','provider','the provider took it as SMe7a14418aac147820000000000000004');
INSERT INTO events VALUES(86,1795947276038,6,5,'accepted','provider','the provider took it as SMe7a14418aac147820000000000000004');
INSERT INTO events VALUES(87,1795947276038,13,6,'accepted','provider','the provider took it as SM8986caf0219afa230000000000000005');
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO meta VALUES('world','sandbox');
INSERT INTO meta VALUES('sender','account AC5a0db0c05a0db0c05a0db0c05a0db0c0, sender SANDBOX, mode live');
INSERT INTO meta VALUES('policy','e03f754b344efec1a34d30c03fc0bdd323d7fc678565c2ac21105ecc261ae6b1');
INSERT INTO meta VALUES('seen_at','1795947275968');
CREATE TABLE usage (
    since    BIGINT PRIMARY KEY,
    texts    INTEGER NOT NULL,
    segments INTEGER NOT NULL
);
INSERT INTO usage VALUES(1795899600000,6,7);
CREATE TABLE stops (
    reason   TEXT   PRIMARY KEY,
    since    BIGINT NOT NULL,
    until_at BIGINT,          -- NULL = until the operator releases it
    detail   TEXT   NOT NULL
);
CREATE TABLE lifts (
    guard    TEXT   PRIMARY KEY,
    since    BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    who      TEXT   NOT NULL
);
CREATE TABLE strangers (
    provider_id TEXT    NOT NULL,
    bill_id     INTEGER NOT NULL REFERENCES bills (id) ON DELETE CASCADE,
    at          BIGINT  NOT NULL,
    PRIMARY KEY (provider_id, bill_id)
);
CREATE TABLE pauses (
    service  TEXT   NOT NULL,
    phone    TEXT   NOT NULL,
    since    BIGINT NOT NULL,
    until_at BIGINT,
    detail   TEXT   NOT NULL, -- until when, by whom and why, for the trail of each bill
    PRIMARY KEY (service, phone),
    CHECK (service <> '' OR phone <> '')
);
CREATE TABLE phones (
    phone_id INTEGER PRIMARY KEY,
    number   TEXT NOT NULL UNIQUE
);
INSERT INTO phones VALUES(1,'+254710000001');
INSERT INTO phones VALUES(2,'+254710000002');
INSERT INTO phones VALUES(3,'+254710000003');
INSERT INTO phones VALUES(4,'+254710000004');
INSERT INTO phones VALUES(5,'+254710000005');
INSERT INTO phones VALUES(6,'+254710000091');
CREATE TABLE IF NOT EXISTS "texts" (
    id              INTEGER PRIMARY KEY,
    phone           TEXT    NOT NULL, -- the customer's
    phone_id        INTEGER NOT NULL REFERENCES phones (phone_id),
    sent_to         TEXT    NOT NULL, -- where it went: the customer's phone, or the redirect
    body            TEXT    NOT NULL,
    language        TEXT    NOT NULL,
    segments        INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state = 'sending' OR state = 'accepted' OR state = 'delivered' OR state = 'sent'
                                            OR state = 'unknown' OR state = 'not_found' OR state = 'refused' OR state = 'undelivered'
                                            OR state = 'failed' OR state = 'canceled' OR state = 'unconfirmed'),
    owner           TEXT    NOT NULL, -- the process that holds the intent
    lease_until     BIGINT  NOT NULL, -- after this the owner is taken for dead
    planned_at      BIGINT  NOT NULL, -- when it should have left
    not_after       BIGINT  NOT NULL, -- when it stops being useful
    created_at      BIGINT  NOT NULL,
    accepted_at     BIGINT,
    settled_at      BIGINT,           -- when a final state was reached
    provider_id     TEXT,
    provider_status TEXT    NOT NULL DEFAULT '',
    error_code      INTEGER NOT NULL DEFAULT 0,
    error           TEXT    NOT NULL DEFAULT '',
    billed_segments INTEGER,
    price           TEXT,
    price_unit      TEXT,
    next_look_at    BIGINT,           -- when the receipts job next asks about it
    looks           INTEGER NOT NULL DEFAULT 0, -- how often it asked
    refused_for     TEXT    NOT NULL DEFAULT '', -- why it came to nothing, or may have; '' when it did not, or nobody knows
    CHECK (provider_id IS NOT NULL OR state = 'sending' OR state = 'unknown' OR state = 'not_found' OR state = 'refused')
);
INSERT INTO texts VALUES(1,'+254710000001',1,'+254710000001','Hello Wanjiru Kamau, your KPLC Postpaid bill (account 14200331) is due in 3 days, on 2 December 2026. Amount due: KES 2,315.50.','en',1,'accepted','28014-3M4UJWNC-0',1795947875973,1795899600000,1796245200000,1795947275973,1795947276003,NULL,'SM0fb056ed4bb225eb0000000000000000','queued',0,'',NULL,NULL,NULL,1795947335993,0,'');
INSERT INTO texts VALUES(2,'+254710000002',2,'+254710000002','Hello Brian Otieno, your Nairobi Water bill (account 0078-221) is due today, on 29 November 2026. Amount due: KES 846.00.','en',1,'accepted','28014-3M4UJWNC-0',1795947875973,1795899600000,1795986000000,1795947275973,1795947276038,NULL,'SM241eee5e63cebc630000000000000003','queued',0,'',NULL,NULL,NULL,1795947336022,0,'');
INSERT INTO texts VALUES(3,'+254710000003',3,'+254710000003','Hello Faith Mutua, your Umoja Court Rent bill (account UC-B04) is due in 7 days, on 6 December 2026. Amount due: KES 18,500.00.','en',1,'accepted','28014-3M4UJWNC-0',1795947875973,1795899600000,1796590800000,1795947275973,1795947276038,NULL,'SM59265f60e50541ab0000000000000002','queued',0,'',NULL,NULL,NULL,1795947336022,0,'');
INSERT INTO texts VALUES(4,'+254710000004',4,'+254710000004','Habari Mwanaisha Juma, mwisho wa kulipa bili ya KPLC Postpaid (akaunti 14200778) ni baada ya siku 3, tarehe 2 Desemba 2026. Kiasi: KES 1,120.75.','sw',1,'accepted','28014-3M4UJWNC-0',1795947875973,1795899600000,1796245200000,1795947275973,1795947276038,NULL,'SM68576546b26dd8c10000000000000001','queued',0,'',NULL,NULL,NULL,1795947336022,0,'');
INSERT INTO texts VALUES(5,'+254710000005',5,'+254710000005','Hello Kevin Kiptoo, your 2 bills: Umoja Court Rent UC-C11: KES 22,000.00, due in 3 days, 2 December 2026; Nairobi Water 0078-305: KES 640.20, due in 3 days, 2 December 2026. Total: KES 22,640.20.','en',2,'accepted','28014-3M4UJWNC-0',1795947875973,1795899600000,1796245200000,1795947275973,1795947276038,NULL,'SMe7a14418aac147820000000000000004','queued',0,'',NULL,NULL,NULL,1795947336028,0,'');
INSERT INTO texts VALUES(6,'+254710000091',6,'+254710000091','Hello Samuel Barasa, your Tumaini SACCO bill (account TS-55144) is due in 3 days, on 2 December 2026. Amount due: KES 5,200.00.','en',1,'accepted','28014-3M4UJWNC-0',1795947875973,1795899600000,1796245200000,1795947275973,1795947276038,NULL,'SM8986caf0219afa230000000000000005','queued',0,'',NULL,NULL,NULL,1795947336038,0,'');
CREATE TABLE IF NOT EXISTS "reminders" (
    id         INTEGER PRIMARY KEY,
    bill_id    INTEGER NOT NULL REFERENCES bills (id),
    due_date   TEXT    NOT NULL,
    stage      INTEGER NOT NULL,
    outcome    TEXT    NOT NULL CHECK (outcome = 'texted' OR outcome = 'skipped' OR outcome = 'held'),
    reason     TEXT    NOT NULL CHECK (reason <> ''),
    text_id    INTEGER REFERENCES texts (id),
    tries      INTEGER NOT NULL DEFAULT 0, -- texts of this stage that came to nothing after they were handed over
    decided_at BIGINT  NOT NULL,
    paid_at    BIGINT,                     -- when Almara Pay first said that what the text reminded of is paid
    UNIQUE (bill_id, due_date, stage),
    CHECK ((outcome = 'texted') = (text_id IS NOT NULL))
);
INSERT INTO reminders VALUES(1,1,'2026-12-02',-7,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(2,1,'2026-12-02',-3,'texted','catch_up',1,0,1795947275973,NULL);
INSERT INTO reminders VALUES(3,2,'2026-11-29',-7,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(4,2,'2026-11-29',-3,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(5,2,'2026-11-29',0,'texted','catch_up',2,0,1795947275973,NULL);
INSERT INTO reminders VALUES(6,3,'2026-12-06',-7,'texted','catch_up',3,0,1795947275973,NULL);
INSERT INTO reminders VALUES(7,4,'2026-12-02',-7,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(8,4,'2026-12-02',-3,'texted','catch_up',4,0,1795947275973,NULL);
INSERT INTO reminders VALUES(9,5,'2026-12-02',-7,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(10,5,'2026-12-02',-3,'texted','catch_up',5,0,1795947275973,NULL);
INSERT INTO reminders VALUES(11,6,'2026-12-02',-7,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(12,6,'2026-12-02',-3,'texted','catch_up',5,0,1795947275973,NULL);
INSERT INTO reminders VALUES(13,7,'2026-12-02',-7,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(14,7,'2026-12-02',-3,'skipped','paid',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(15,8,'2026-11-29',-7,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(16,8,'2026-11-29',-3,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(17,8,'2026-11-29',0,'skipped','in_credit',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(18,13,'2026-12-02',-7,'skipped','superseded',NULL,0,1795947275973,NULL);
INSERT INTO reminders VALUES(19,13,'2026-12-02',-3,'texted','catch_up',6,0,1795947275973,NULL);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('goose_db_version',10);
CREATE INDEX bills_phone ON bills (phone);
CREATE INDEX due_register_at ON due_register (at, bill_id);
CREATE INDEX due_recheck_at ON due_recheck (at, bill_id);
CREATE INDEX due_remind_at ON due_remind (at, bill_id);
CREATE INDEX due_remind_owner ON due_remind (owner) WHERE owner IS NOT NULL;
CREATE INDEX events_bill ON events (bill_id);
CREATE INDEX strangers_bill ON strangers (bill_id);
CREATE INDEX bills_declared ON bills (source) WHERE source <> 'import';
CREATE INDEX bills_odd ON bills (state) WHERE state <> 'active';
CREATE INDEX bills_failing ON bills (service) WHERE failures > 0;
CREATE INDEX texts_phone ON texts (phone_id, created_at);
CREATE INDEX texts_redirected ON texts (sent_to, provider_id) WHERE sent_to <> phone;
CREATE INDEX texts_next_look ON texts (next_look_at) WHERE next_look_at IS NOT NULL;
CREATE INDEX texts_in_doubt ON texts (state, created_at) WHERE state IN ('sending', 'unknown');
CREATE INDEX reminders_held ON reminders (reason, bill_id) WHERE outcome = 'held';
CREATE INDEX reminders_text ON reminders (text_id) WHERE text_id IS NOT NULL;
COMMIT;

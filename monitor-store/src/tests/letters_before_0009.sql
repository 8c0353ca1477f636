-- What the version before one outbox (SQLite 8, PostgreSQL 4) wrote: letters of every kind in every state. Blobs are
-- written as SQLite reads them; for PostgreSQL the test writes them anew.
INSERT INTO outage (id, server, port, since, latest, evidence, level, failures, phase, server_name, clients, ended, recovery,
    letters) VALUES
    (1, x'00000000000000000000FFFFC0000201', 443, 1000001, 1000100, 'unanswered', 'service', 1, 'open', 'www.example.net',
        6, 2000000, 'trap', 6),
    (2, x'20010DB8000100000000000000000002', 80, 1000002, 1000100, 'unanswered', 'service', 1, 'open', NULL,
        1, 2000000, 'trap', 1),
    (3, x'00000000000000000000FFFFCB007103', 25, 1000003, 1000100, 'unanswered', 'service', 1, 'open', NULL,
        2, 2100000, 'trap', 1),
    (4, x'00000000000000000000FFFFC0000209', 443, 1000009, 6, 'refused', 'service', 4, 'open', NULL,
        1, 2200000, 'trap', 1),
    (5, x'00000000000000000000FFFFC6336405', 22, 1000005, 1000100, 'unanswered', 'service', 1, 'open', NULL,
        0, NULL, NULL, 0);

INSERT INTO address (net, prefix, mail, language, origin, registered) VALUES
    (x'00000000000000000000FFFF0A000001', 128, 'gone@example.net', NULL, 'operator', 1),
    -- Whose letter went to another address.
    (x'00000000000000000000FFFF0A000004', 128, 'moved@example.net', NULL, 'operator', 1),
    (x'00000000000000000000FFFF0A000009', 128, 'late@example.net', NULL, 'operator', 1);

INSERT INTO letter (id, outage, client, mail, language, recovered, evidence, expires, state, tries, due, leased, settled,
    reason) VALUES
    -- Delivered, given up, put off, taken.
    (1, 1, x'00000000000000000000FFFF0A000001', 'gone@example.net', NULL, 2000000, 'trap', 5600000,
        'delivered', 1, 2000000, 0, 2000500, NULL),
    (2, 1, x'00000000000000000000FFFF0A000002', 'dead@example.net', NULL, 2000000, 'trap', 5600000,
        'dead', 1, 2000000, 0, 2000600, '550 no such user'),
    (3, 1, x'00000000000000000000FFFF0A000003', 'later@example.net', NULL, 2000000, 'trap', 5600000,
        'queued', 2, 3000000, 0, NULL, '451 later'),
    (4, 1, x'00000000000000000000FFFF0A000004', 'leased@example.net', NULL, 2000000, 'trap', 5600000,
        'queued', 0, 12800000, 1, NULL, NULL),
    -- Never tried: with a language, and of an IPv6 client about two services.
    (5, 1, x'00000000000000000000FFFF0A000005', 'ja@example.net', 'ja', 2000000, 'trap', 5600000,
        'queued', 0, 2000000, 0, NULL, NULL),
    (6, 1, x'20010DB8000000000000000000000005', 'two@example.net', 'en', 2000000, 'trap', 5600000,
        'queued', 0, 2000000, 0, NULL, NULL),
    -- A list, a letter of a relay and its receipt, a notice, two letters about a peer.
    (7, 3, x'010000000000000052BCC58BD50D4EAC', 'relay@example.net', NULL, 2100001, 'trap', 2400001,
        'queued', 0, 2100001, 0, NULL, NULL),
    (8, 4, x'00000000000000000000FFFF0A000001', 'gone@example.net', NULL, 2200000, 'trap', 5800000,
        'queued', 0, 2200000, 0, NULL, NULL),
    (9, 4, x'0100000000000000E4614FC9C34A1002', 'gw@example.net', NULL, 2200001, 'trap', 2400000,
        'queued', 0, 2200001, 0, NULL, NULL),
    (10, 0, x'010000000000000059C2D2D110D25355', 'ops@example.net', NULL, 2300000, 'signal', 5900000,
        'queued', 0, 2300000, 0, NULL, NULL),
    (11, 0, x'010000000000000035B48B218FF94C45', 'admin@example.net', NULL, 2400000, 'signal', 6000000,
        'queued', 0, 2400000, 0, NULL, NULL),
    (12, 0, x'0100000000000000B81E9B03D0B8980B', 'bounced@example.net', NULL, 2400000, 'signal', 6000000,
        'dead', 1, 2400000, 0, 2400500, '554 no');

INSERT INTO letter_service (letter, outage, first, latest, attempts, failure) VALUES
    (1, 1, 1000011, 1000011, 2, 'refused'),
    (2, 1, 1000012, 1000012, 2, 'refused'),
    (3, 1, 1000013, 1000013, 2, 'refused'),
    (4, 1, 1000014, 1000014, 2, 'refused'),
    (5, 1, 1000015, 1000018, 3, 'unanswered'),
    (6, 1, 1000030, 1000030, 2, 'refused'),
    (6, 2, 1000040, 1000040, 2, 'known-failed'),
    (8, 4, 5, 6, 4, 'refused');

INSERT INTO letter_ready (letter, key, subject, text, attachment_name, attachment, unsubscribe) VALUES
    (7, 'ringback.list.edf2e70dce12a6ec0e99065bc5cba794', 'Ringback list: 203.0.113.3:25 is back, 2 waiting',
        'To the Ringback relay', 'ringback-list.json', x'7B00FF7D', 0),
    (9, 'ringback.receipt.00000000000000000000000000000007', 'Ringback receipt: 192.0.2.9:443 is told',
        'To the Ringback gateway', 'ringback-receipt.json', x'7B7D', 0),
    (10, 'ringback.notice.1.1795799691684.edc0424c532522c1', 'Ringback: 198.51.100.5:22 is down: unanswered',
        '198.51.100.5:22 is down', NULL, NULL, 0),
    (11, 'ringback.0011223344556677.8899aabbccddeeff', 'web2 is down', 'gw hears nothing of web2.', NULL, NULL, 1),
    (12, 'ringback.0011223344556677.0000000000000001', 'web2 is down', 'gw hears nothing of web2.', NULL, NULL, 1);

UPDATE letter_tally SET queued = 9, retrying = 1, delivered = 1, dead = 2, last_error = '554 no';

-- The list is pending, and this is its JSON.
INSERT INTO relay_list (nonce, outage, letter, mail, clients, issued, expires, fallback, content) VALUES
    ('edf2e70dce12a6ec0e99065bc5cba794', 3, 7, 'relay@example.net', 2, 2100001, 2400001, 2700001, x'LIST');

-- A gateway that is late to say who waited for the first of these outages.
INSERT INTO gateway (name, host, applied, seen) VALUES ('a', 'a.example', 0, 2000000);
INSERT INTO outage_alias (gateway, local, outage, failures) VALUES ('a', 7, 1, 1);

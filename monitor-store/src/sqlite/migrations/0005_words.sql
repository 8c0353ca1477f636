-- Letters that bring their own words are of one kind. Those about peers and shared addresses keep their Message-IDs.
ALTER TABLE letter_ready ADD COLUMN unsubscribe SMALLINT NOT NULL DEFAULT 0;
INSERT INTO letter_ready (letter, key, subject, text, unsubscribe)
    SELECT id, 'ringback.' || outage || '.' || recovered || '.' || lower(hex(client)), subject, text, 1
    FROM letter WHERE subject IS NOT NULL AND text IS NOT NULL;
ALTER TABLE letter DROP COLUMN subject;
ALTER TABLE letter DROP COLUMN text;

-- A letter that is a notice of its own (a peer is down, an address has moved) brings its words and speaks of no outage's
-- service. Its `outage` is negative and made of what happened; its `client` is made of the recipient.
ALTER TABLE letter ADD COLUMN subject TEXT;
ALTER TABLE letter ADD COLUMN text TEXT;

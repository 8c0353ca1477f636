-- Each of these looked up, and locked, a row for each client that comes and for each letter: a third of a recovery's time.
-- Attempts are written only for outages that are open, in the transaction that saw so; letters are deleted with what they
-- speak of.
ALTER TABLE waiting DROP CONSTRAINT waiting_outage_fkey;
ALTER TABLE letter_service DROP CONSTRAINT letter_service_letter_fkey;

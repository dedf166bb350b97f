"""The review desk: queues, decisions, reports, modes, patrol, second review, inspection, records, team."""

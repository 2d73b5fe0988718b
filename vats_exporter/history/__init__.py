"""What changed about the trunks and when: counted in memory, kept in a SQLite file."""

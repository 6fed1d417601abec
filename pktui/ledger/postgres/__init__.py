"""A team's ledger: what decides, the limits and the record of all machines, in one PostgreSQL."""

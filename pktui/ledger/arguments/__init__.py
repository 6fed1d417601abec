"""Arguments on record: their canonical form, what is masked, the shapes of secrets."""

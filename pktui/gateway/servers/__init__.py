"""The servers a person has configured: their entries, made ready to be started."""

"""Now: what every agent does at this moment, and what needs a person."""

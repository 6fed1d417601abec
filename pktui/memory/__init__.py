"""Sessions, messages and knowledge: store, search, the service that owns them and its client."""

"""The views: one folder each, with its model, its list and its detail."""

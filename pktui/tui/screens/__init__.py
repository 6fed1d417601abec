"""Screens that open over the views."""

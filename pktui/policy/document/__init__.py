"""A policy as a document: read from the native or the Intercept form, converted, described."""

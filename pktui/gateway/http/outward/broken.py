"""A request to a server behind a URL that came to nothing."""

from __future__ import annotations


class ExchangeFailed(Exception):
    """There is no answer, or none to its end; the text is the system's word for it."""

"""A request to a server behind a URL that came to nothing."""

from __future__ import annotations


class ExchangeFailed(Exception):
    """There is no answer, or none to its end; the text is the system's word for it.

    `sent`: the server may have seen the request.
    """

    def __init__(self, why: str, *, sent: bool = True) -> None:
        super().__init__(why)
        self.sent = sent

from __future__ import annotations

import pytest

from pktui.gateway.protocol.server_messages import mended


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        (b'{"id":1}', None),
        (b'\xef\xbb\xbf{"id":1}', b'{"id": 1}'),
        (b'{"a":"caf\xe9"}', '{"a": "caf\ufffd"}'.encode()),
        (b'{"a":"\\ud83d","b":[1.50,1e400]}', b'{"a": "\\ufffd", "b": [1.50,1e400]}'),
        (b'{"a":"\\uDE00\\ud83d\\ude00"}', b'{"a": "\\ufffd\\ud83d\\ude00"}'),
        (b'\xef\xbb\xbf{"id":1,"id":2}', b'{"id":1,"id":2}'),
        (b'\xef\xbb\xbf[{"id":1}]', b'[{"id":1}]'),
        (b'{"a":"\\\\ud83d"}', None),
        (b'{"a":"\\\\\\ud83d"}', b'{"a": "\\\\\\ufffd"}'),
        (b'{"a":NaN}', None),
    ],
)
def test_only_what_is_no_character_is_changed(line: bytes, whole: bytes | None) -> None:
    assert mended(line) == whole


def test_what_is_mended_needs_no_mending() -> None:
    whole = mended(b'\xef\xbb\xbf{"a":"\xff\\ud800\\udc00\\ud800"}')
    assert whole is not None
    assert mended(whole) is None

"""Secrets are taken out, long arguments cut, and neither takes long."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.ledger.masking import ArgumentsMode, mask_arguments, mask_line
from pktui.ledger.secret_shapes import mask_text, names_secret
from tests.ledger.test_canonical import VALUES

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA75\n-----END RSA PRIVATE KEY-----"
SECRETS = [
    "sk-proj-Abcdefghijklmnop0123456789",
    "sk-ant-api03-abcdefghijklmnop",
    "sk_live_abcdefgh12345678",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "github_pat_11ABCDEFG0abcdefghijkl_mnop",
    "glpat-abcdefghij0123456789",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "xoxb-123456789012-abcdefghijkl",
    "hf_abcdefghijklmnopqrstuvwx",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "SG.abcdefghijklmnopqrst.uvwxyz0123456789abcd",
    "pktui_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789_-AbCdE",
    "gsk_abcdefghijklmnopqrstuvwxyz",
    "xai-abcdefghijklmnopqrstuvwxyz",
    "pplx-abcdefghijklmnopqrstuvwxyz",
    "GOCSPX-abcdefghijklmnop_rstuvwxyz",
    "hvs.abcdefghijklmnopqrstuvwxyz",
    "lin_api_abcdefghijklmnopqrstuv",
    "sbp_0123456789abcdef0123456789abcdef",
    "dckr_pat_abcdefghijklmnopqrstuvwx",
    "whsec_abcdefghijklmnopqrstuvwx",
    "AGE-SECRET-KEY-1QQPZRY9X8GF2TVDW0S3JN54KHCE6",
    JWT,
    PEM,
    PEM.replace("RSA ", "").split("-----END")[0],
]


@pytest.mark.parametrize("secret", SECRETS, ids=lambda secret: secret[:12])
@pytest.mark.parametrize("around", ["{}", "use {} now", '"{}"', "key={}&x=1", "a/{}\n"])
def test_known_shapes_are_masked_wherever_they_stand(secret: str, around: str) -> None:
    masked = mask_text(around.format(secret))
    assert "[masked]" in masked
    assert secret[12:] not in masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abcdef0123456789xyz", "Authorization: Bearer [masked]"),
        ("postgres://ada:s3cret!@db/shop", "postgres://[masked]@db/shop"),
        ("export DB_PASSWORD=hunter2 && make", "export DB_PASSWORD=[masked] && make"),
        ('{"api_key": "0123-4567"}', '{"api_key": [masked]}'),
        ("curl -u x --password hunter2", "curl -u x --password [masked]"),
        ("https://x.test/?token=abcdef&page=2", "https://x.test/?token=[masked]&page=2"),
    ],
)
def test_secrets_named_in_text_are_masked_and_their_names_kept(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "The JWT token expires too fast",
        "ask-me-anything-about-our-shop",
        "Read the monkey's keyboard layout",
        "see https://example.test/a:b and user@example.test",
        "def token_count(text): return len(text.split())",
        "risk-assessment-for-2026-quarter",
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text


@pytest.mark.parametrize(
    "key",
    ["password", "DB_PASSWORD", "X-Api-Key", "authToken", "client_secret", "Authorization", "pin"],
)
def test_members_that_name_a_secret_are_masked(key: str) -> None:
    assert names_secret(key)
    for value in ("short", 1234, ["a", "b"], {"deep": "er"}):
        assert json.loads(mask_arguments({key: value})) == {key: "[masked]"}


@pytest.mark.parametrize("key", ["max_tokens", "tokens", "path", "keyboard", "spinner", "title"])
def test_members_that_only_sound_like_it_are_kept(key: str) -> None:
    assert json.loads(mask_arguments({key: "value"})) == {key: "value"}


def test_secrets_are_found_at_any_depth_and_in_names() -> None:
    arguments = {"env": [{"name": "X", "value": SECRETS[0]}], SECRETS[3]: 1}
    text = mask_arguments(arguments)
    assert SECRETS[0] not in text
    assert SECRETS[3] not in text


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        ("masked", {"path": "/etc", "token": "[masked]", "n": 3, "deep": {"list": [1.5, None]}}),
        ("full", {"path": "/etc", "token": "abcdefgh", "n": 3, "deep": {"list": [1.5, None]}}),
        (
            "keys",
            {
                "path": "string",
                "token": "string",
                "n": "integer",
                "deep": {"list": ["number", "null"]},
            },
        ),
    ],
)
def test_each_mode_keeps_what_it_says(mode: str, kept: object) -> None:
    arguments = {"path": "/etc", "token": "abcdefgh", "n": 3, "deep": {"list": [1.5, None]}}
    assert json.loads(mask_arguments(arguments, mode)) == kept  # type: ignore[arg-type]


def test_the_hash_mode_and_no_arguments_keep_nothing() -> None:
    assert mask_arguments({"a": 1}, "hash") == mask_arguments(None) == ""
    assert mask_arguments({}) == "{}"


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "x" * 500_000},
        {"text": "\N{SNOWMAN}" * 100_000},
        {"many": ["x" * 100] * 20_000},
        {f"key {number}": "x" * 50 for number in range(50_000)},
        {"x" * 300_000: 1},
        {"deep": [[["y" * 1000] * 100] * 100]},
    ],
    ids=["text", "wide text", "list", "members", "name", "nested"],
)
def test_long_arguments_are_cut_and_stay_json(arguments: dict[str, object]) -> None:
    text = mask_arguments(arguments)
    assert 100 < len(text.encode()) <= 64 * 1024
    assert "… [cut]" in text
    assert isinstance(json.loads(text), dict)


def test_a_secret_across_the_cut_is_masked_whole() -> None:
    for place in range(64 * 1024 - 60, 64 * 1024 + 5, 7):
        text = mask_arguments({"text": "x" * (place - 1) + " " + SECRETS[3]}, "masked", 200_000)
        assert "ghp_" not in text
        assert "ghp_" not in mask_arguments({"text": "x" * (place - 1) + " " + SECRETS[3]})


def test_nesting_without_end_is_cut() -> None:
    value: object = "deep"
    for _ in range(900):
        value = [value]
    assert "… [cut]" in mask_arguments({"value": value})


@pytest.mark.parametrize(
    "unit",
    ["eyJ", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "sk-", "://a:", "token='",
     "token=\"'", "bearer ", "SG.", "AKIA", "password ", "a", "ghp_", "--token "],
)  # fmt: skip
def test_no_text_makes_masking_slow(unit: str) -> None:
    """Ten times the text may take ten times the time, give or take the machine's noise."""

    def cost(repeats: int) -> float:
        text = unit * repeats
        started = time.process_time()
        mask_text(text)
        return time.process_time() - started

    small = min(cost(3_000) for _ in range(3))
    large = min(cost(30_000) for _ in range(3))
    assert large < 40 * small + 0.05


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), VALUES, max_size=4), st.sampled_from(["masked", "full", "keys"]))
def test_whatever_comes_the_result_is_json_within_its_size(
    arguments: dict[str, object], mode: str
) -> None:
    text = mask_arguments(arguments, mode, 256)  # type: ignore[arg-type]
    assert len(text.encode()) <= 256
    assert isinstance(json.loads(text), dict)


SPICE = st.sampled_from(
    [*SECRETS, "TOKEN=abcdefgh", "to\u212aen=abcdefgh", "k\u0130 password: abcdefgh"]
)
TEXTS = st.one_of(st.text(max_size=12), SPICE, st.tuples(st.text(max_size=3), SPICE).map("".join))
NAMES = st.one_of(st.text(max_size=5), st.sampled_from(["password", "api-Key", "p_i_n", "a"]))
SPICED = st.recursive(
    st.one_of(TEXTS, st.integers(), st.none(), st.booleans()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(SPICED)
def test_short_and_long_arguments_are_masked_alike(value: object) -> None:
    alone = json.loads(mask_arguments({"value": value}))
    among_more = json.loads(mask_arguments({"value": value, "more": "x" * 8000}))
    assert alone["value"] == among_more["value"]


def test_names_that_are_secrets_are_masked_where_only_names_are_kept() -> None:
    text = mask_arguments({"deep": {SECRETS[3]: 1, "token": "x"}}, "keys")
    assert json.loads(text) == {"deep": {"[masked]": "integer", "token": "string"}}


LINE = f'{{"method":"tools/call","params":{{"password":"hunter22","text":"{SECRETS[3]}"'.encode()


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        ("masked", '{"method":"tools/call","params":{"password":[masked],"text":"[masked]"'),
        ("full", LINE.decode()),
        ("keys", ""),
        ("hash", ""),
    ],
)
def test_a_refused_message_is_kept_as_arguments_are(mode: ArgumentsMode, kept: str) -> None:
    assert mask_line(LINE, mode) == kept


def test_of_a_refused_message_only_the_beginning_is_kept_and_no_half_secret() -> None:
    assert mask_line(b"\xff" * 5000) == "\ufffd" * 1000
    for at in range(900, 1000, 7):
        line = b"x" * at + b" " + SECRETS[3].encode() + b" " + b"y" * 500
        assert SECRETS[3][:12] not in mask_line(line)

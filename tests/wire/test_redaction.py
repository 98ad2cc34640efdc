"""Credentials are masked in every form that a server may echo them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from webhooks_sdk._wire.redaction import MASK, redact, redact_body

if TYPE_CHECKING:
    from collections.abc import Callable

# Without the asterisks of the mask, and long enough not to occur in the text by chance.
SECRETS = st.text(
    alphabet=st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=6
)
TEXTS = st.text(alphabet="xyz ,.\n", max_size=30)


def plain(secret: str) -> str:
    return secret


def in_json(secret: str) -> str:
    return json.dumps(secret)[1:-1]


def in_json_as_unicode(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def in_json_with_escaped_slashes(secret: str) -> str:
    return in_json(secret).replace("/", "\\/")


def in_html_safe_json(secret: str) -> str:
    return re.sub("[<>&]", lambda match: f"\\u{ord(match[0]):04x}", in_json_as_unicode(secret))


def in_a_query(secret: str) -> str:
    return quote(secret, safe="")


def in_a_path(secret: str) -> str:
    return quote(secret)


def in_a_query_with_lower_case_escapes(secret: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), in_a_query(secret))


def in_a_form(secret: str) -> str:
    return quote_plus(secret)


FORMS: list[Callable[[str], str]] = [
    plain,
    in_json,
    in_json_as_unicode,
    in_json_with_escaped_slashes,
    in_html_safe_json,
    in_a_query,
    in_a_path,
    in_a_query_with_lower_case_escapes,
    in_a_form,
]


@pytest.mark.parametrize("form", FORMS)
@given(secret=SECRETS, before=TEXTS, after=TEXTS)
@example(secret="ab+/cd==<ef>&gh", before="", after="")
@example(secret="a&b\u2028cdef", before="", after="")
@example(secret='quote " back \\ line \n é', before="", after="")
@settings(deadline=None)
def test_secrets_are_masked_in_every_escaped_form(
    form: Callable[[str], str], secret: str, before: str, after: str
) -> None:
    echoed = form(secret)
    shown = redact(f"{before}{echoed}{after}", [secret])
    assert echoed not in shown
    assert MASK in shown
    assert echoed not in redact_body(f"{before}{echoed}{after}".encode(), [secret])


@given(secrets=st.lists(SECRETS, min_size=1, max_size=4), separator=TEXTS)
@settings(deadline=None)
def test_multiple_secrets_are_masked(secrets: list[str], separator: str) -> None:
    shown = redact(separator.join(secrets), secrets)
    assert not any(secret in shown for secret in secrets)


@given(SECRETS, SECRETS)
@settings(deadline=None)
def test_overlapping_secrets_are_masked_completely(a: str, b: str) -> None:
    assert redact(f"<{a}{b}>", [a, a + b]) == redact(f"<{a}{b}>", [a + b, a]) == f"<{MASK}>"


@given(TEXTS)
@settings(deadline=None)
def test_text_without_secrets_is_unchanged(text: str) -> None:
    assert redact(text, ["not in it"]) == text
    assert redact(text, []) == text
    assert redact(text, [""]) == text


@pytest.mark.parametrize(
    "name", ["access_token", "refresh_token", "client_secret", "secret", "header"]
)
@pytest.mark.parametrize("space", ["", " ", "\n  "])
@given(secret=SECRETS)
@settings(deadline=None, max_examples=30)
def test_unknown_secrets_in_json_fields_are_masked(name: str, space: str, secret: str) -> None:
    text = f'{{"id": 1, "{name}"{space}:{space}{json.dumps(secret)}, "url": "u"}}'
    assert json.loads(redact(text, ())) == {"id": 1, name: MASK, "url": "u"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"secret": "abc', '{"secret": "***"'),
        ('{"secret": "ab\\', '{"secret": "***"'),
        ('{"secret": "ab\\"c", "b": "d"}', '{"secret": "***", "b": "d"}'),
        ('{"secret": ""}', '{"secret": "***"}'),
        ('{"secret": null}', '{"secret": null}'),
        ('{"secretary": "Ann"}', '{"secretary": "Ann"}'),
        ('[{"secret": "a"}, {"secret": "b"}]', '[{"secret": "***"}, {"secret": "***"}]'),
    ],
)
def test_json_secret_field_edge_cases(text: str, shown: str) -> None:
    assert redact(text, ()) == shown


def test_redacted_body_length_is_limited() -> None:
    assert redact_body(b"x" * 8_192, ()) == "x" * 8_192
    assert redact_body(b"x" * 8_193, ()) == "x" * 8_192
    assert redact_body(b"x" * 1_000_000, ["secret"]) == "x" * 8_192


@given(cut=st.integers(1, 11))
@settings(deadline=None)
def test_secret_at_the_truncated_end_of_the_shown_body_is_masked(cut: int) -> None:
    secret = "qwertyuiopas"
    body = b"x" * (8_192 - cut) + secret.encode() + b"x" * 100
    assert "q" not in redact_body(body, [secret])


@given(length=st.integers(0, 60), cut=st.integers(1, 11))
@settings(deadline=None)
def test_secret_at_the_truncated_end_of_the_decoded_body_is_masked(length: int, cut: int) -> None:
    # Masks are shorter than the secrets, which moves the truncated end into the shown part.
    secret, filler = "qwertyuiopas", "z" * 10_000
    body = (filler * 6 + "y" * (65_536 - 60_000 - cut) + secret + "x" * length).encode()
    assert "q" not in redact_body(body, [secret, filler])


def test_undecodable_bytes_are_replaced() -> None:
    assert redact_body(b"\xff\xfeabcd", ["abcd"]) == "\ufffd\ufffd***"


def test_empty_body() -> None:
    assert redact_body(b"", ["abc"]) == ""


@pytest.mark.parametrize("cut", range(4, len("tok-3f9a17c2")))
def test_secret_prefix_at_the_end_of_a_truncated_body_is_masked(cut: int) -> None:
    secret = "tok-3f9a17c2"
    assert redact_body(f"you sent {secret[:cut]}".encode(), [secret]) == "you sent ***"

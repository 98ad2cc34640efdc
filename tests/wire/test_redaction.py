"""Credentials never show, in whatever form a server echoes them."""

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

# No asterisk, of which the mask is made, and long enough not to stand in the text by chance.
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


def in_json_that_is_safe_in_html(secret: str) -> str:
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
    in_json_that_is_safe_in_html,
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
def test_a_secret_is_masked_in_any_form(
    form: Callable[[str], str], secret: str, before: str, after: str
) -> None:
    echoed = form(secret)
    shown = redact(f"{before}{echoed}{after}", [secret])
    assert echoed not in shown
    assert MASK in shown
    assert echoed not in redact_body(f"{before}{echoed}{after}".encode(), [secret])


@given(secrets=st.lists(SECRETS, min_size=1, max_size=4), separator=TEXTS)
@settings(deadline=None)
def test_several_secrets_are_all_masked(secrets: list[str], separator: str) -> None:
    shown = redact(separator.join(secrets), secrets)
    assert not any(secret in shown for secret in secrets)


@given(SECRETS, SECRETS)
@settings(deadline=None)
def test_a_secret_that_is_a_part_of_another_leaves_nothing_of_it(a: str, b: str) -> None:
    assert redact(f"<{a}{b}>", [a, a + b]) == redact(f"<{a}{b}>", [a + b, a]) == f"<{MASK}>"


@given(TEXTS)
@settings(deadline=None)
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    assert redact(text, ["not in it"]) == text
    assert redact(text, []) == text
    assert redact(text, [""]) == text


@pytest.mark.parametrize(
    "name", ["access_token", "refresh_token", "client_secret", "secret", "header"]
)
@pytest.mark.parametrize("space", ["", " ", "\n  "])
@given(secret=SECRETS)
@settings(deadline=None, max_examples=30)
def test_secret_fields_of_an_answer_are_masked_unseen(name: str, space: str, secret: str) -> None:
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
def test_secret_fields_at_their_edges(text: str, shown: str) -> None:
    assert redact(text, ()) == shown


def test_the_shown_body_is_bounded() -> None:
    assert redact_body(b"x" * 8_192, ()) == "x" * 8_192
    assert redact_body(b"x" * 8_193, ()) == "x" * 8_192
    assert redact_body(b"x" * 1_000_000, ["secret"]) == "x" * 8_192


@given(cut=st.integers(1, 11))
@settings(deadline=None)
def test_a_secret_is_masked_where_the_shown_part_is_cut(cut: int) -> None:
    secret = "qwertyuiopas"
    body = b"x" * (8_192 - cut) + secret.encode() + b"x" * 100
    assert "q" not in redact_body(body, [secret])


@given(length=st.integers(0, 60), cut=st.integers(1, 11))
@settings(deadline=None)
def test_a_secret_is_masked_where_the_read_part_is_cut(length: int, cut: int) -> None:
    # Masks are shorter than what they hide, so that what is cut off comes to be shown.
    secret, filler = "qwertyuiopas", "z" * 10_000
    body = (filler * 6 + "y" * (65_536 - 60_000 - cut) + secret + "x" * length).encode()
    assert "q" not in redact_body(body, [secret, filler])


def test_a_body_that_is_no_text_is_shown_as_far_as_it_is() -> None:
    assert redact_body(b"\xff\xfeabcd", ["abcd"]) == "\ufffd\ufffd***"


def test_an_empty_body_is_empty() -> None:
    assert redact_body(b"", ["abc"]) == ""


@pytest.mark.parametrize("cut", range(4, len("tok-3f9a17c2")))
def test_a_secret_that_a_broken_body_ends_in_is_masked(cut: int) -> None:
    secret = "tok-3f9a17c2"
    assert redact_body(f"you sent {secret[:cut]}".encode(), [secret]) == "you sent ***"

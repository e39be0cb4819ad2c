"""Names of licences, compared as people mean them."""

from __future__ import annotations

import pytest

from llmkube.models.licence import is_allowed, is_same, of_sidecar, stated


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("apache-2.0", "Apache-2.0"),
        ("apache-2.0", "Apache 2.0 "),
        ("apache-2.0", "apache-2.0-license"),
        ("mit", "MIT License"),
        ("llama3.1", "Llama-3.1"),
        ("llama3.1", "Llama 3.1 Community License Agreement"),
        ("gemma", "LicenseRef-Gemma"),
        ("deepseek", "deepseek-license"),
        ("lfm1.0", "LFM 1.0 License"),
    ],
)
def test_spellings_of_one_licence_are_the_same(one: str, other: str) -> None:
    assert is_same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("llama3", "llama3.1"),
        ("llama3.1", "llama3.2"),
        ("apache-2.0", "apache-1.1"),
        ("mit", "mit-0"),
        ("gpl-3.0", "lgpl-3.0"),
    ],
)
def test_licences_that_only_look_alike_are_not(one: str, other: str) -> None:
    assert not is_same(one, other)


def test_a_policy_has_a_licence_in_any_spelling_and_never_a_missing_one() -> None:
    assert is_allowed("apache-2.0", ("MIT", "Apache-2.0"))
    assert not is_allowed("gemma", ("MIT", "Apache-2.0"))
    assert not is_allowed(None, ("MIT",))
    assert not is_allowed("", ("MIT",))


@pytest.mark.parametrize("expression", ["MIT OR Apache-2.0", "(GPL-3.0-only OR MIT)", "Apache-2.0 or MIT"])
def test_one_of_a_choice_is_enough(expression: str) -> None:
    assert is_allowed(expression, ("mit",))


@pytest.mark.parametrize("expression", ["MIT AND CC-BY-NC-4.0", "GPL-2.0-only WITH Classpath-exception-2.0"])
def test_all_of_several_and_exceptions_are_not_taken_apart(expression: str) -> None:
    assert not is_allowed(expression, ("mit", "gpl-2.0-only"))


@pytest.mark.parametrize(
    ("identifier", "name", "found"),
    [
        ("apache-2.0", None, "apache-2.0"),
        ("apache-2.0", "Apache License 2.0", "apache-2.0"),
        ("other", "lfm1.0", "lfm1.0"),
        ("other", None, "other"),
        (None, "gemma", "gemma"),
        (None, None, None),
    ],
)
def test_a_header_that_says_other_is_taken_by_its_own_name(
    identifier: str | None, name: str | None, found: str | None
) -> None:
    assert stated(identifier, name) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("apache-2.0\n", "apache-2.0"),
        ("  MIT  ", "MIT"),
        ("Copyright us\nSPDX-License-Identifier: Apache-2.0\n\nmuch more", "Apache-2.0"),
        ("# SPDX-License-Identifier: MIT OR Apache-2.0", "MIT OR Apache-2.0"),
        ("/* SPDX-License-Identifier: MIT */", "MIT"),
        ("Permission is hereby granted, free of charge, to\nany person", None),
        ("<html>not found</html>", None),
        ("", None),
        ("x" * 500, None),
    ],
)
def test_a_sidecar_names_one_licence_or_none(text: str, found: str | None) -> None:
    assert of_sidecar(text) == found

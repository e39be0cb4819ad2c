"""x-kubernetes-validations: rules in the Common Expression Language, compiled once, evaluated on one place of a value.

A rule that cannot be evaluated on a value is a problem of that value, never an exception.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver.correlation import NOTHING, is_kept
from llmkube.local.apiserver.errors import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmkube.local.objects import Object

OLD = re.compile(r"\boldSelf\b")
WHOLE = ('"object"', '"array"')


def problems(value: Any, old: Any, schema: Object, path: str) -> Iterator[Cause]:
    """What the rules of one place say about its value. A rule on oldSelf needs an old value, unless that is optional;
    a rule of the value alone is not asked where it did not change."""
    for rule in schema.get("x-kubernetes-validations") or ():
        if _is_asked(rule, value, old) and (why := _broken(rule, value, old)):
            yield _cause(rule, why, _shown(value), path)


def _is_asked(rule: Object, value: Any, old: Any) -> bool:
    if rule.get("optionalOldSelf"):
        return True
    return old is not NOTHING if OLD.search(rule["rule"]) else not is_kept(value, old)


def _cause(rule: Object, why: str, shown: str, path: str) -> Cause:
    where = f"{path}{rule.get('fieldPath') or ''}".lstrip(".") or "<nil>"
    is_whole, is_answer = shown in WHOLE, "evaluating rule: " not in why
    match rule.get("reason"):
        case "FieldValueForbidden" as reason:
            return Cause(reason, where, f"Forbidden: {why}")
        case "FieldValueRequired" as reason:
            return Cause(reason, where, f"Required value: {why}")
        case "FieldValueDuplicate" as reason:
            return Cause(reason, where, "Duplicate value" if is_whole else f"Duplicate value: {shown}")
        case _:
            told = why if is_whole and is_answer else f"{shown}: {why}"
            return Cause("FieldValueInvalid", where, f"Invalid value: {told}")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return WHOLE[isinstance(value, list)]
    return json.dumps(value, ensure_ascii=False)


def _broken(rule: Object, value: Any, old: Any) -> str:
    """Why the rule does not hold; empty when it does."""
    import celpy

    known = {"self": celpy.json_to_cel(value), **_old(rule, old)}
    try:
        if _compiled(rule["rule"])(known):
            return ""
    except (celpy.CELEvalError, celpy.CELParseError, TypeError, ValueError, KeyError) as error:
        return f"{_reason(error)} evaluating rule: {_plain(rule)}"
    return _message(rule, known)


def _old(rule: Object, old: Any) -> Object:
    """oldSelf; as an optional value it is a list of one or none, as the functions on it know."""
    import celpy

    if rule.get("optionalOldSelf"):
        return {"oldSelf": celpy.celtypes.ListType([] if old is NOTHING else [celpy.json_to_cel(old)])}
    return {} if old is NOTHING else {"oldSelf": celpy.json_to_cel(old)}


def _reason(error: Exception) -> str:
    why = str(error.args[0] if error.args else error)
    missing = re.fullmatch(r"no such member in mapping: '(.*)'", why)
    return f"no such key: {missing[1]}" if missing else why


def _plain(rule: Object) -> str:
    return str(rule.get("message") or f"failed rule: {' '.join(rule['rule'].split())}")


def _message(rule: Object, known: Object) -> str:
    import celpy

    if not rule.get("messageExpression"):
        return _plain(rule)
    try:
        return str(_compiled(rule["messageExpression"])(known))
    except (celpy.CELEvalError, celpy.CELParseError, TypeError, ValueError, KeyError):
        return _plain(rule)


@functools.lru_cache(maxsize=1024)
def _compiled(rule: str) -> Callable[[Object], Any]:
    import celpy

    from llmkube.local.apiserver.cellibrary import FUNCTIONS

    environment = celpy.Environment()
    program = environment.program(environment.compile(rule), functions=FUNCTIONS)
    evaluate: Callable[[Object], Any] = program.evaluate
    return evaluate

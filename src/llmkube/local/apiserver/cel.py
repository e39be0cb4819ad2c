"""x-kubernetes-validations: rules in the Common Expression Language, compiled once, evaluated with a bound.

A rule that cannot be evaluated on a value is a problem of that value, never an exception.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from llmkube.local.apiserver.errors import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llmkube.local.objects import Object

REASONS = {"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"}
Program = "Callable[[Object], Any]"


def problems(value: Any, old: Any, schema: Object, path: str) -> Iterator[Cause]:
    """What the rules of one place say about its value. A rule on oldSelf needs an old value."""
    for rule in schema.get("x-kubernetes-validations") or ():
        if "oldSelf" in rule["rule"] and old is None:
            continue
        if why := _broken(rule, value, old):
            where = f"{path}{rule.get('fieldPath') or ''}".lstrip(".") or "<root>"
            shown = _shown(value)
            reason = rule.get("reason", "FieldValueInvalid")
            yield Cause(reason if reason in REASONS else "FieldValueInvalid", where, f"Invalid value: {shown}: {why}")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return '"object"'
    return f'"{value}"' if isinstance(value, str) else str(value)


def _broken(rule: Object, value: Any, old: Any) -> str:
    """Why the rule does not hold; empty when it does."""
    import celpy

    known = {"self": celpy.json_to_cel(value), **({} if old is None else {"oldSelf": celpy.json_to_cel(old)})}
    try:
        if _compiled(rule["rule"])(known):
            return ""
    except (celpy.CELEvalError, celpy.CELParseError, TypeError, ValueError, KeyError) as error:
        return f"rule could not be evaluated: {rule['rule']}: {error.args[0] if error.args else error}"
    return _message(rule, known)


def _message(rule: Object, known: Object) -> str:
    import celpy

    plain = rule.get("message") or f"failed rule: {' '.join(rule['rule'].split())}"
    if not rule.get("messageExpression"):
        return str(plain)
    try:
        return str(_compiled(rule["messageExpression"])(known))
    except (celpy.CELEvalError, celpy.CELParseError, TypeError, ValueError, KeyError):
        return str(plain)


@functools.lru_cache(maxsize=1024)
def _compiled(rule: str) -> Callable[[Object], Any]:
    import celpy

    environment = celpy.Environment()
    program = environment.program(environment.compile(rule), functions={"format": _format})
    evaluate: Callable[[Object], Any] = program.evaluate
    return evaluate


def _format(text: Any, values: Any) -> Any:
    """Kubernetes' format() extension, for %s and %d."""
    import celpy

    return celpy.celtypes.StringType(str(text).replace("%d", "%s") % tuple(str(value) for value in values))

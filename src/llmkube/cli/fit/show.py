"""A verdict for people: a bar for each device, yes or no with the number that is missing, and what would help.

Bars and numbers are the same in a pipe, without colours. A narrow terminal loses the buffers' columns, then the bar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from llmkube.api.quantity import format_bytes
from llmkube.cli.fit.verdict import buffers_of
from llmkube.cli.output import printable, short_count

if TYPE_CHECKING:
    from llmkube.cli.fit.verdict import Device, Machine, Verdict
    from llmkube.gguf.facts import ModelFacts
    from llmkube.gguf.plan.options import EngineOptions
    from llmkube.gguf.plan.remedies import Remedy

STYLES = {"model": "cyan", "kv": "magenta", "recurrent": "blue", "compute": "yellow"}
MARKS = {"model": "█", "kv": "▓", "recurrent": "▓", "compute": "▒"}
PLAIN = {"model": "#", "kv": "=", "recurrent": "=", "compute": "+"}
FREE, PLAIN_FREE = "░", "."
WIDEST_BAR, NARROWEST_BAR = 40, 10
ROOM_FOR_NUMBERS, ROOM_FOR_BUFFER = 30, 10


def show(found: Verdict, facts: ModelFacts, options: EngineOptions, machine: Machine) -> None:
    """Print the plan, the verdict and the remedies."""
    console = Console(highlight=False)
    console.print(Text(_model(facts), style="bold"), soft_wrap=True)
    console.print(Text(_use(found, options, machine)), soft_wrap=True)
    console.print()
    console.print(table(found.devices, width=console.width, encoding=console.encoding))
    console.print(legend(found.devices, encoding=console.encoding))
    console.print()
    for line in told(found, machine):
        console.print(line, soft_wrap=True)


def table(devices: tuple[Device, ...], *, width: int, encoding: str = "utf-8") -> Table:
    """Return a row with a bar for each device, as wide as there is room for."""
    kinds = [name for name in STYLES if any(_parts(each)[name] for each in devices)]
    buffers = ROOM_FOR_BUFFER * len(kinds)
    with_buffers = width >= ROOM_FOR_NUMBERS + buffers + NARROWEST_BAR
    bar = min(WIDEST_BAR, width - ROOM_FOR_NUMBERS - (buffers if with_buffers else 0))
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ["DEVICE", *(["MEMORY"] if bar >= NARROWEST_BAR else [])]:
        shown.add_column(title, no_wrap=True)
    for title in ("NEEDS", "OF", *(name.upper() for name in kinds if with_buffers)):
        shown.add_column(title, no_wrap=True, justify="right")
    largest = max((each.buffers.total for each in devices), default=1)
    for each in devices:
        picture = [bar_of(each, bar, largest=largest, encoding=encoding)] if bar >= NARROWEST_BAR else []
        numbers = [Text(format_bytes(_parts(each)[name]), style=STYLES[name]) for name in kinds]
        needs = Text(format_bytes(each.buffers.total), style="bold red" if each.missing else "")
        free = "" if each.free is None else format_bytes(each.free)
        shown.add_row(each.name, *picture, needs, free, *(numbers if with_buffers else []))
    return shown


def legend(devices: tuple[Device, ...], *, encoding: str = "utf-8") -> Text:
    """Return what the marks of the bars mean."""
    marks, free = _marks(encoding)
    shown = [name for name in STYLES if any(_parts(each)[name] for each in devices)]
    parts = [Text(f"{marks[name]} {name}", style=STYLES[name]) for name in shown]
    return Text("  ").join([*parts, Text(f"{free} free", style="dim")])


def _marks(encoding: str) -> tuple[dict[str, str], str]:
    return (MARKS, FREE) if encoding.lower().replace("-", "") == "utf8" else (PLAIN, PLAIN_FREE)


def bar_of(device: Device, width: int, *, largest: int, encoding: str = "utf-8") -> Text:
    """Return the buffers as parts of what the device has; what it lacks runs over its end, behind a bar.

    A device without a limit is drawn against the largest need of all.
    """
    marks, free = _marks(encoding)
    whole = max(device.buffers.total, largest if device.free is None else device.free, 1)
    parts, drawn, seen = Text(), 0, 0
    for name, size in _parts(device).items():
        seen += size
        end = max(round(width * seen / whole), int(seen > 0))
        parts.append(marks[name] * (end - drawn), style=STYLES[name])
        drawn = end
    if device.free is None:
        return parts
    parts.append(free * (width - drawn), style="dim")
    if not device.missing:
        return parts
    limit = min(round(width * device.free / whole), width - 1)
    return parts[:limit] + Text("|", style="bold red") + parts[limit : width - 1]


def _parts(device: Device) -> dict[str, int]:
    """The buffers as they are drawn: the output, a few hundred kilobytes, with the compute buffers."""
    sizes = buffers_of(device.buffers)
    output = sizes.pop("output")
    return {**sizes, "compute": sizes["compute"] + output}


def told(found: Verdict, machine: Machine) -> list[Text]:
    """Return the verdict, a line each: what is missing and what would make it fit, or the room that is left."""
    if found.fits:
        return [Text("It fits.", style="bold green") + Text(_left(found))]
    lacking = ", ".join(f"{each.name} lacks {format_bytes(each.missing)}" for each in found.devices if each.missing)
    lines = [Text("It does not fit: ", style="bold red") + Text(f"{lacking}.")]
    if not found.remedies:
        return [*lines, Text("No one change is enough; take larger GPUs or more of them, and a smaller model.")]
    rows = [_remedy(each, found, machine) for each in found.remedies]
    wide = max(len(flags) for flags, _ in rows)
    return [*lines, Text("What would make it fit, each alone:"), *(_line(flags, says, wide) for flags, says in rows)]


def _line(flags: str, says: str, wide: int) -> Text:
    return Text(f"  {flags.ljust(wide)}  ", style="bold") + Text(says)


def _remedy(remedy: Remedy, found: Verdict, machine: Machine) -> tuple[str, str]:
    planned = remedy.planned
    match remedy.change:
        case "gpuLayers":
            layers, host = f"{remedy.value} of {planned.total_layers} layers", format_bytes(planned.host.total)
            return (
                f"--gpu-layers {remedy.value}",
                f"{layers}; {host} on the host",
            )
        case "context":
            return f"--context {remedy.value}", "the longest context that fits"
        case "cacheType":
            size = format_bytes(planned.sum.kv + planned.sum.kv_swa)
            return f"--cache-type-k {remedy.value} --cache-type-v {remedy.value}", f"a KV cache of {size}"
        case "quantization":
            size = format_bytes(planned.sum.model)
            return f"a {remedy.value} file", f"weights of about {size}, not {format_bytes(found.planned.sum.model)}"
        case "gpuCount":
            name = machine.gpu.name if machine.gpu else "GPU"
            return f"--gpu-count {remedy.value}", f"that many {name}"
    return f"--gpu {remedy.value}", "the smallest larger GPU of the table that does"


def _left(found: Verdict) -> str:
    limited = [each for each in found.devices if each.free is not None]
    left = min(((each.free or 0) - each.buffers.total, each.name) for each in limited) if limited else None
    room = f" {format_bytes(left[0])} are left on {left[1]}." if left else ""
    longest = f" The longest context that fits is {found.largest} tokens." if found.largest else ""
    return room + longest


def _model(facts: ModelFacts) -> str:
    parts = (facts.name, facts.architecture, short_count(facts.parameters), facts.quantization)
    return " ".join(printable(part) for part in parts if part)


def _use(found: Verdict, options: EngineOptions, machine: Machine) -> str:
    cache = options.cache_type_k
    cache = cache if cache == options.cache_type_v else f"{cache}/{options.cache_type_v}"
    slots = f"{options.parallel} slot{'s' if options.parallel > 1 else ''}"
    parts = [f"{found.planned.context} tokens of context", slots, f"{cache} cache"]
    if machine.gpu:
        where = f"{machine.count} × {machine.gpu.name}" if machine.count > 1 else machine.gpu.name
        parts.append(f"{found.planned.gpu_layers} of {found.planned.total_layers} layers on {where}")
        kept = machine.gpu.memory - machine.gpu.free(machine.reserve)
        parts.append(f"{format_bytes(kept)} of {format_bytes(machine.gpu.memory)} reserved")
    return ", ".join(parts)

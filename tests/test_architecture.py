"""Who may import what, and what no module may do, read from the syntax trees.

A failure names file, line, what is there and where it belongs. The rules are the tables below; a table that forbids
nothing is worth nothing, so `test_each_rule_catches_what_it_forbids` runs every rule on source that breaks it.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("monitor", "detectors", "deploy", "grafana", "tests")
PRODUCT = ("monitor", "detectors", "deploy", "grafana")

# Package -> the packages of this repository that it may import. `tests` may import all.
DIRECTION = {
    "detectors": ("detectors",),
    "monitor": ("monitor", "detectors"),
    "deploy": ("deploy", "monitor"),
    "grafana": ("grafana", "monitor"),
}
# What the builders of rules and dashboards may read of the service: names, never code that runs.
BUILDERS_READ = ("monitor.bounds", "monitor.catalogue", "monitor.topics")

# Outside package -> the only modules (with what is below them) that know it.
ONLY_IN = {
    "faust": ("monitor.streaming",),
    "mode": ("monitor.streaming",),
    "aiokafka": ("monitor.streaming", "monitor.service", "monitor.kafka_range"),
    "confluent_kafka": ("monitor.broker", "monitor.kafka_topics", "monitor.streaming.security", "monitor.simulate"),
    "prometheus_client": ("monitor.exposition",),
    "fastapi": ("monitor.http",),
    "starlette": ("monitor.http",),
    "uvicorn": ("monitor.http",),
    "river": ("detectors",),
    "grafana_foundation_sdk": ("grafana",),
}
# aiokafka's documented modules; everything else of it is internal and stays in monitor.streaming.
AIOKAFKA_PUBLIC = ("aiokafka", "aiokafka.admin", "aiokafka.errors", "aiokafka.helpers", "aiokafka.structs")

# `detectors` is arithmetic: no files, clock, environment, threads, logging or global random generator.
DETECTORS_IMPORT = frozenset(
    (
        *("__future__", "abc", "bisect", "collections", "dataclasses", "enum", "fractions", "functools", "hashlib"),
        *("heapq", "io", "itertools", "math", "numbers", "operator", "pickle", "statistics", "struct", "types"),
        *("typing", "warnings", "detectors", "msgspec", "numpy", "river", "scipy"),
    )
)
# Modules of the service that may read clock, environment and entropy; every other takes them as arguments.
SHELL = (
    "monitor.broker",
    "monitor.cli",
    "monitor.commands",
    "monitor.demo",
    "monitor.http",
    "monitor.service",
    "monitor.simulate.publish",  # paces what it sends
    "monitor.streaming",
    "monitor.worker",
)
IMPURE = ("os", "random", "secrets", "time", "uuid")

SUPPRESS = ("suppress", "contextlib.suppress")
EMPTY_NAMES = frozenset(("common", "helper", "helpers", "misc", "util", "utils"))


@dataclass(frozen=True)
class Module:
    """One source file: dotted name, path relative to the root, tree."""

    name: str
    path: str
    tree: ast.Module

    @classmethod
    def parse(cls, name: str, source: str) -> Module:
        return cls(name, name.replace(".", "/") + ".py", ast.parse(source))

    @property
    def package(self) -> str:
        return self.name.partition(".")[0]

    def inside(self, names: tuple[str, ...]) -> bool:
        return _inside(self.name, names)

    def says(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"

    def imports(self, *, for_types: bool = True) -> Iterator[tuple[ast.AST, str]]:
        """(node, module imported), with or without the imports that only type checkers follow."""
        blocks = () if for_types else filter(_for_type_checkers, ast.walk(self.tree))
        skipped = {child for block in blocks for child in ast.walk(block)}
        for node in ast.walk(self.tree):
            if node in skipped:
                continue
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parents = self.name.split(".")[: -node.level] if node.level else []
                yield node, ".".join([*parents, node.module or ""]).strip(".")


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _inside(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(place + ".") for place in places)


@cache
def modules() -> tuple[Module, ...]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    relative = [path.relative_to(ROOT) for path in paths]
    return tuple(
        Module(".".join(path.with_suffix("").parts).removesuffix(".__init__"), str(path), ast.parse(full.read_text()))
        for path, full in zip(relative, paths, strict=True)
    )


def imports_point_one_way(module: Module) -> Iterator[str]:
    if module.package not in DIRECTION:
        return
    for node, target in module.imports():
        package = target.partition(".")[0]
        if package in PACKAGES and package not in DIRECTION[module.package]:
            yield module.says(node, f"{module.package} must not import {target}")
        if module.package in {"deploy", "grafana"} and package == "monitor":
            deeper = [f"{target}.{alias.name}" for alias in getattr(node, "names", ())]
            for name in deeper if target == "monitor" else [target]:
                if not _inside(name, BUILDERS_READ):
                    yield module.says(node, f"builders read {' and '.join(BUILDERS_READ)} only, not {name}")


def each_dependency_has_its_place(module: Module) -> Iterator[str]:
    if module.package not in PRODUCT:
        return
    for node, target in module.imports():
        places = ONLY_IN.get(target.partition(".")[0])
        if places and not module.inside(places):
            yield module.says(node, f"{target} is known to {' and '.join(places)} only")
        internal = target.startswith("aiokafka") and target not in AIOKAFKA_PUBLIC
        if internal and not module.inside(("monitor.streaming",)):
            yield module.says(node, f"{target} is internal to aiokafka: monitor.streaming only")


def detectors_are_arithmetic(module: Module) -> Iterator[str]:
    if module.package != "detectors":
        return
    for node, target in module.imports():
        if target.partition(".")[0] not in DETECTORS_IMPORT:
            yield module.says(node, f"detectors has no I/O, clock or threads: {target} is not in DETECTORS_IMPORT")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"open", "input", "print"}:
            yield module.says(node, f"detectors has no I/O: {ast.unparse(node.func)}()")


def clock_and_environment_are_arguments(module: Module) -> Iterator[str]:
    if module.package != "monitor" or module.inside(SHELL):
        return
    for node, target in module.imports():
        if target.partition(".")[0] in IMPURE:
            yield module.says(node, f"{target}: take it as an argument, or list {module.name} in SHELL with a reason")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node).endswith(
            ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
        ):
            yield module.says(node, f"{ast.unparse(node)}: time is an argument")


def randomness_is_seeded(module: Module) -> Iterator[str]:
    if module.package not in {*PRODUCT, "tests"}:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"np.random", "numpy.random"}:
            if node.attr.islower() and node.attr != "default_rng":  # classes take their seed
                yield module.says(node, f"{ast.unparse(node)} uses the global generator: take a Generator")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("default_rng") and not node.args:
            yield module.says(node, "default_rng() without a seed: results could not be repeated")


def no_error_is_swallowed(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
            if broad and all(isinstance(line, ast.Pass | ast.Continue) or _is_constant(line) for line in node.body):
                yield module.says(node, "a broad except that does nothing hides faults: name the errors, or report")
        elif isinstance(node, ast.Call) and ast.unparse(node) in {f"{name}(Exception)" for name in SUPPRESS}:
            yield module.says(node, "suppress(Exception) hides faults: name the errors")


def _is_constant(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def no_global_state(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield module.says(node, f"global {', '.join(node.names)}: state belongs to an object that is passed on")


def pauses_wait_for_conditions(module: Module) -> Iterator[str]:
    """A fixed pause is a guess about speed, except inside a loop that watches for a condition.

    A named pause is allowed: it plays a slow program, or says which interval it spans.
    """
    if module.package != "tests":
        return
    polled = {
        child
        for loop in ast.walk(module.tree)
        if isinstance(loop, ast.While) and (_is_condition(loop.test) or _leaves(loop))
        for child in ast.walk(loop)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"sleep", "time.sleep", "asyncio.sleep"}:
            guessed = any(isinstance(pause, ast.Constant) and pause.value for pause in node.args)
            if guessed and node not in polled:
                yield module.says(node, f"{ast.unparse(node)}: wait for a condition with a deadline")


def _is_condition(test: ast.expr) -> bool:
    return not isinstance(test, ast.Constant)


def _leaves(loop: ast.While) -> bool:
    return any(isinstance(node, ast.Break | ast.Return | ast.Raise) for node in ast.walk(loop))


def modules_are_named_and_described(module: Module) -> Iterator[str]:
    last = module.name.rpartition(".")[2]
    if last in EMPTY_NAMES and module.package in PRODUCT:
        yield module.says(module.tree, f"a module named {last} says nothing about its content")
    if module.tree.body and not ast.get_docstring(module.tree):
        yield module.says(module.tree, "no docstring: one line what, then what a reader would get wrong")


RULES = {
    imports_point_one_way: {
        "detectors.x": "import monitor.blocks",
        "monitor.x": "from tests.snapshots import fleet",
        "grafana.x": "from monitor import settings",
    },
    each_dependency_has_its_place: {
        "monitor.x": "import faust",
        "monitor.service.x": "from aiokafka.consumer.fetcher import Fetcher",
        "monitor.http.x": "from prometheus_client import Counter",
        "monitor.export": "from fastapi import FastAPI",
    },
    detectors_are_arithmetic: {"detectors.x": "import time", "detectors.y": "open('file')"},
    clock_and_environment_are_arguments: {"monitor.blocks": "import os", "monitor.ledger": "datetime.now(UTC)"},
    randomness_is_seeded: {"detectors.x": "np.random.normal()", "monitor.x": "rng = np.random.default_rng()"},
    no_error_is_swallowed: {
        "monitor.x": "try:\n    f()\nexcept Exception:\n    pass",
        "monitor.y": "try:\n    f()\nexcept:\n    ...",
        "monitor.z": "with contextlib.suppress(Exception):\n    f()",
    },
    no_global_state: {"monitor.x": "def f():\n    global cache\n    cache = 1"},
    pauses_wait_for_conditions: {"tests.x": "time.sleep(1)", "tests.y": "while True:\n    time.sleep(1)"},
    modules_are_named_and_described: {"monitor.utils": "'''Words.'''", "monitor.x": "a = 1"},
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_module_keeps(rule: Callable[[Module], Iterator[str]]) -> None:
    found = [line for module in modules() for line in rule(module)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [(rule, name, source) for rule, cases in RULES.items() for name, source in cases.items()],
    ids=lambda value: value.__name__ if callable(value) else value.split("\n")[0],
)
def test_each_rule_catches_what_it_forbids(rule: Callable[[Module], Iterator[str]], name: str, source: str) -> None:
    assert 1 == len(list(rule(Module.parse(name, source))))


@pytest.mark.parametrize(
    "source", ["while not ready():\n    assert clock() < deadline\n    time.sleep(0.05)", "await asyncio.sleep(0)"]
)
def test_polling_and_yielding_are_allowed(source: str) -> None:
    assert [] == list(pauses_wait_for_conditions(Module.parse("tests.x", source)))


def test_no_import_goes_in_a_circle() -> None:
    known = {module.name for module in modules()}
    graph: dict[str, set[str]] = {}
    for module in modules():
        targets = set()
        for node, target in module.imports(for_types=False):
            submodules = {f"{target}.{alias.name}" for alias in getattr(node, "names", ())} & known
            targets |= (submodules or {target}) & known - {module.name}
        graph[module.name] = targets
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail("imports go in a circle: " + " <- ".join(error.args[1]))

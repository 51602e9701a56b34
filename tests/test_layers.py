"""The table of docs/design.md, "Who may import whom", holds: every import goes down, and pure files are pure."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "greenwire"

# Each layer may import itself and what stands above it in this list. A longer prefix wins.
LAYERS = [
    ["errors", "limits", "unread", "ids", "quiet", "version", "garbage", "places"],
    ["websocket.frame", "websocket.handshake", "websocket.__init__"],
    ["engineio.packet", "engineio.session", "engineio.heartbeat", "engineio.cors", "engineio.options"],
    [
        *("socketio.packet", "socketio.json", "socketio.client", "socketio.rooms", "socketio.__init__"),
        *("cluster.messages", "cluster.dialect"),
    ],
    ["loop", "runners", "watchdog", "green"],
    ["net"],
    ["http"],
    ["websocket"],
    ["engineio"],
    ["socketio"],
    ["cluster"],
    ["run_options", "settings"],
    ["stack", "duties", "drain", "processes", "logs", "metrics", "measuring"],
    ["flask", "wsgi"],
    ["compat", "command", "__main__"],
]
PURE = {name for layer in (LAYERS[0][:3], *LAYERS[1:4]) for name in layer} | {
    *("net.proxy_protocol", "net.trust", "net.addresses", "websocket.deflate", "socketio.rate"),
}
# What a pure file may import beside pure files: nothing that does I/O, keeps time, or runs anything.
PURE_IMPORTS = {
    *"base64 binascii collections dataclasses decimal enum functools hashlib inspect ipaddress itertools".split(),
    *"json math orjson re struct typing weakref zlib".split(),
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        yield name, ast.parse(path.read_text())


def layer_of(name: str) -> int:
    best = max(
        (len(prefix), number)
        for number, layer in enumerate(LAYERS)
        for prefix in layer
        if name == prefix or name.startswith(prefix + ".")
    )
    return best[1]


def own_imports(name: str, tree: ast.Module) -> Iterator[str]:
    """The modules of the package that *name* imports, also inside functions, as dotted names."""
    package = name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            target = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                inner = SOURCE.joinpath(*target, alias.name)
                is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                yield ".".join([*target, alias.name] if is_module else target or ["__init__"])


def foreign_imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.split(".")[0]


def typing_only(tree: ast.Module) -> ast.Module:
    """*tree* without what stands under ``if TYPE_CHECKING``: it is not imported."""

    class Strip(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)

    stripped = Strip().visit(tree)
    assert isinstance(stripped, ast.Module)
    return stripped


FILES = {name: typing_only(tree) for name, tree in modules()}


@pytest.mark.parametrize("name", sorted(set(FILES) - {"__init__"}))
def test_imports_go_down(name: str) -> None:
    for target in own_imports(name, FILES[name]):
        if target == "__init__":
            continue
        found = target if target in FILES else f"{target}.__init__"
        assert layer_of(found) <= layer_of(name), f"{name} may not import {target}"


@pytest.mark.parametrize("name", sorted(PURE & set(FILES)))
def test_pure_files_import_no_io(name: str) -> None:
    assert set(foreign_imports(FILES[name])) <= PURE_IMPORTS
    for target in own_imports(name, FILES[name]):
        assert target in PURE, f"{name} is pure and imports {target}"


def test_no_import_cycles_between_files() -> None:
    graph = {name: set(own_imports(name, tree)) & set(FILES) - {name} for name, tree in FILES.items()}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"cycle: {' -> '.join((*path, name))}"
        if name not in done:
            for target in graph[name]:
                walk(target, (*path, name))
            done.add(name)

    for name in graph:
        walk(name, ())


def test_files_and_functions_fit() -> None:
    """No file over 600 lines, no function over 60, docstrings left out."""
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert text.count("\n") <= 600, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                assert (node.end_lineno or 0) - first.lineno < 60, f"{path}: {node.name}"


def test_the_standard_library_is_named_rightly() -> None:
    assert PURE_IMPORTS - {"orjson"} <= set(sys.stdlib_module_names)

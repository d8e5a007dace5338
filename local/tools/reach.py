"""Static analysis of a Lambda function's code: the libraries that it imports and the settings that it reads.

It starts at the function's app.py and follows all references; unreachable code does not count.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from local.host.template import ROOT

PACKAGES = ROOT / "layers" / "trading"
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Reach:
    """The imported top-level packages, and the names of the environment variables that are read."""

    imports: set[str] = field(default_factory=set)
    settings: set[str] = field(default_factory=set)


@cache
def of(code: Path) -> Reach:
    """Return what the function in a folder reaches."""
    walk = _Walk()
    walk.enter(code / "app.py", whole=True)
    return Reach(walk.imports, walk.settings)


class _Module:
    """A Python file: its definitions, its other statements, and the names of its imports."""

    def __init__(self, file: Path) -> None:
        body = [node for node in ast.parse(file.read_text()).body if not _is_for_types(node)]
        self.definitions = {node.name: node for node in body if isinstance(node, Definition)}
        self.others = [node for node in body if not isinstance(node, Definition)]
        self.imported: dict[str, tuple[str, str]] = {}
        for node in (each for statement in body for each in ast.walk(statement)):
            for name, module, attribute in _imports(node):
                self.imported[name] = (module, attribute)


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _imports(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Return the imports of a statement: local name, module, and imported name."""
    if isinstance(node, ast.Import):
        yield from ((name.asname or name.name, name.name, "") for name in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((name.asname or name.name, node.module, name.name) for name in node.names)


def _file_of(module: str) -> Path | None:
    place = PACKAGES.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


_parsed = cache(_Module)


class _Walk:
    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.settings: set[str] = set()
        self._seen: set[tuple[Path, str]] = set()

    def enter(self, file: Path, name: str = "", *, whole: bool = False) -> None:
        """Follow the import-time statements of a file, and one of its definitions, or all of them."""
        module = _parsed(file)
        if (file, "") not in self._seen:
            self._seen.add((file, ""))
            for node in module.others:
                self._follow(file, module, node)
        for each in module.definitions if whole else {name} & module.definitions.keys():
            if (file, each) not in self._seen:
                self._seen.add((file, each))
                self._follow(file, module, module.definitions[each])

    def _follow(self, file: Path, module: _Module, tree: ast.AST) -> None:
        for node in ast.walk(tree):
            for _, imported, attribute in _imports(node):
                self.imports.add(imported.partition(".")[0])
                self._go(imported, attribute if _file_of(f"{imported}.{attribute}") else "")
            match node:
                case ast.Call(func=ast.Name("setting"), args=[ast.Constant(str(name)), *_]):
                    self.settings.add(name)
                case ast.Call(
                    func=ast.Attribute(ast.Attribute(ast.Name("os"), "environ"), "get"),
                    args=[ast.Constant(str(name)), *_],
                ):
                    self.settings.add(name)
                case ast.Name(name) if name in module.imported:
                    self._go(*module.imported[name])
                case ast.Name(name):
                    self.enter(file, name)
                case ast.Attribute(ast.Name(name), attribute) if name in module.imported:
                    self._go(".".join(filter(None, module.imported[name])), attribute)

    def _go(self, module: str, name: str) -> None:
        whole = _file_of(f"{module}.{name}") if name else None
        file = whole or _file_of(module)
        if file:
            self.enter(file, "" if whole else name)

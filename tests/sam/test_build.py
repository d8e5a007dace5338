from pathlib import Path

import pytest

from local.host.template import ROOT, Function, read, transformed

LAMBDA_LIMIT = 250 * 1_000_000  # bytes, of a function and its layers, unzipped


@pytest.fixture(scope="module")
def functions(build: Path) -> list[Function]:
    """The functions of the built template, whose folders are named as in the folder of the build."""
    return list(read(transformed(build / "template.yaml")).functions.values())


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_function_is_one_small_file(build: Path, functions: list[Function]) -> None:
    for function in functions:
        folder = build / function.code.name
        assert [path.name for path in folder.iterdir()] == ["app.py"]
        assert size(folder) < 100_000


def test_a_function_and_its_layers_are_far_from_what_lambda_refuses(
    build: Path, functions: list[Function], pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = {layer.name for function in functions for layer in function.layers}
    sizes = {name: size(build / name) for name in layers}
    megabytes = ", ".join(f"{name} {sizes[name] / 1e6:.2f} MB" for name in sorted(layers))
    with capsys.disabled():
        pytestconfig.get_terminal_writer().line(f"\nUnzipped: {megabytes}")
    for function in functions:
        assert size(build / function.code.name) + sum(sizes[layer.name] for layer in function.layers) < LAMBDA_LIMIT


def test_the_trading_layer_is_the_package_with_its_migrations_and_nothing_else(build: Path) -> None:
    built = files(build / "TradingLayer")
    assert built == {f"python/{name}" for name in files(ROOT / "layers" / "trading")}
    assert "python/trading/core/migrations/0001_trades.sql" in built


def test_the_runtime_layer_leaves_to_lambda_what_lambda_brings(build: Path) -> None:
    packages = {path.name for path in (build / "RuntimeLayer" / "python").iterdir()}
    assert {"aws_lambda_powertools", "psycopg2", "pydantic"} <= packages
    assert not {"boto3", "botocore"} & packages

from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from local.host import page, template
from local.host.page import headers
from local.host.system import RunningSystem
from local.tools import build_page

DECLARED = template.read(template.kept()).page_headers


def test_the_page_has_the_headers_of_the_template_for_the_laptops_own_socket() -> None:
    resolved = headers(DECLARED, "ws://127.0.0.1:8001")
    policy = dict(directive.strip().split(" ", 1) for directive in resolved["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == "'self' ws://127.0.0.1:8001"
    assert (resolved["X-Frame-Options"], resolved["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert resolved["Referrer-Policy"] == "no-referrer"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built page, with a secret beside it."""
    folder = tmp_path.resolve() / "web"
    (folder / "assets-0123abcd").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>the page")
    (folder / "assets-0123abcd" / "main.js").write_text("start();")
    (folder.parent / "secret").write_text("secret")
    monkeypatch.setattr(page, "BUILT", folder)
    return folder


def test_the_page_is_served_anew_each_time_and_its_files_are_kept_for_ever(running: RunningSystem, built: Path) -> None:
    del built
    with urlopen(f"{running.url}/", timeout=5) as index:  # noqa: S310
        assert index.read() == b"<!doctype html>the page"
        assert index.headers["Cache-Control"] == "no-cache"
        assert index.headers["Content-Security-Policy"].endswith(f"connect-src 'self' {running.socket_url}")
    with urlopen(f"{running.url}/assets-0123abcd/main.js", timeout=5) as script:  # noqa: S310
        assert script.headers["Content-Type"] == "text/javascript"
        assert "immutable" in script.headers["Cache-Control"]
        assert script.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["assets-0123abcd/../../secret", "assets-0123abcd/none.js", "assets-0123abcd/"])
def test_nothing_but_the_pages_files_is_served(running: RunningSystem, built: Path, path: str) -> None:
    del built
    with pytest.raises(HTTPError) as refusal:
        urlopen(f"{running.url}/{path}", timeout=5)  # noqa: S310
    assert refusal.value.code == 404
    assert b"secret" not in refusal.value.read()
    refusal.value.close()


def test_where_the_page_is_not_built_it_says_what_to_do(running: RunningSystem, built: Path) -> None:
    (built / "index.html").unlink()
    with pytest.raises(HTTPError) as refusal:
        urlopen(f"{running.url}/", timeout=5)  # noqa: S310
    assert b"`make page` says why" in refusal.value.read()
    refusal.value.close()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The source of a small page, its library installed."""
    folder = tmp_path / "web"
    (folder / build_page.LIBRARY / "dist").mkdir(parents=True)
    (folder / "assets").mkdir()
    (folder / "index.html").write_text('<script type="module" src="assets/main.js"></script>')
    (folder / "assets" / "main.js").write_text("start();")
    (folder / build_page.LIBRARY / "LICENSE").write_text("Apache")
    (folder / build_page.LIBRARY / "dist" / "lightweight-charts.standalone.production.mjs").write_text("export {};")
    (folder / build_page.FONT / "files").mkdir(parents=True)
    (folder / build_page.FONT / "files" / "inter-latin-wght-normal.woff2").touch()
    (folder / build_page.FONT / "LICENSE").write_text("Open Font License")
    (folder / "package-lock.json").touch()
    (folder / "node_modules" / ".package-lock.json").touch()
    monkeypatch.setattr(build_page, "SOURCE", folder)
    monkeypatch.setattr(build_page, "BUILT", tmp_path / "built")
    return folder


def test_a_build_names_its_folder_after_what_is_in_it(source: Path) -> None:
    build_page.build()
    built = source.parent / "built"
    [first] = built.glob("assets-*")
    assert {file.name for file in first.rglob("*") if file.is_file()} == {
        "main.js",
        "lightweight-charts.js",
        "LICENSE.txt",
        "inter.woff2",
        "inter-LICENSE.txt",
    }
    assert f'src="{first.name}/main.js"' in (built / "index.html").read_text()

    (source / "assets" / "main.js").write_text("start(again);")
    build_page.build()
    [second] = built.glob("assets-*")
    assert second.name != first.name


def test_a_build_leaves_out_lines_of_comments_and_keeps_every_statement_on_its_line(source: Path) -> None:
    script = (
        '// What it does.\n/**\n * @param {string} a\n */\n  /** One. */\n/** @type {A} */ (a).go("// b"); // why\n'
    )
    (source / "assets" / "main.js").write_text(script)
    build_page.build()
    [main] = (source.parent / "built").glob("assets-*/main.js")
    assert main.read_text() == "\n\n\n\n\n" + '/** @type {A} */ (a).go("// b"); // why\n'


def test_a_build_refuses_scripts_that_are_too_large(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source / "assets" / "large.js").write_bytes(bytes(range(256)) * 4)
    build_page.build()
    assert not capsys.readouterr().err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_page, "SCRIPT_LIMIT", 200)
        assert build_page.main() == 1
    assert "bytes gzipped; the limit is 200" in capsys.readouterr().err


def test_a_build_without_npm_says_what_to_do(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "node_modules" / ".package-lock.json").unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build_page, "OWN_NODE", tmp_path)
    assert build_page.main() == 1
    assert "there is no npm: install Node.js" in capsys.readouterr().err


def test_scripts_that_do_not_agree_with_their_types_are_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / build_page.TOOLS).mkdir(parents=True)
    compiler = source / "compiler"
    compiler.write_text("#!/bin/sh\necho 'main.js(1,1): error TS2304: Cannot find name start.'\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(build_page, "program", lambda _: str(compiler))
    monkeypatch.setattr("sys.argv", ["build_page", "--check"])
    assert build_page.main() == 1
    assert "Cannot find name start" in capsys.readouterr().err

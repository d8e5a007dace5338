import re

from local.host.template import ROOT

TESTS = {
    name
    for file in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE)
}


def test_every_failure_names_the_test_that_shows_it_or_says_that_it_needs_aws() -> None:
    lines = (ROOT / "docs" / "failure-modes.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| what fails")]
    assert len(rows) > 30
    for row in rows:
        shown_by = row.rstrip("| ").rpartition("| ")[2]
        named = re.findall(r"`(test_\w+)`", shown_by)
        assert named or shown_by == "needs AWS", row
        assert set(named) <= TESTS, row


def test_every_test_that_the_documents_name_is_there() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        assert set(re.findall(r"`(test_\w+)`", document.read_text())) <= TESTS, document

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core import tables
from trading.core.tables import Row, Table, UnknownTableError


def positions(names: Sequence[str]) -> dict[str, int] | None:
    """Recognize a header that has the columns name and price, in any order and case."""
    lower = [name.lower() for name in names]
    return {name: lower.index(name) for name in ("name", "price")} if {"name", "price"} <= set(lower) else None


def read(text: str | bytes) -> Table[dict[str, int]]:
    return tables.read(text if isinstance(text, bytes) else text.encode(), positions)


def cells(text: str | bytes) -> list[Sequence[str]]:
    return [row.cells for row in read(text).rows]


def test_rows_are_numbered_by_the_line_at_which_they_begin_and_cells_lose_their_outer_spaces() -> None:
    table = read('name, price\n\n" a", 1 \n ; ,\n"two\nlines",2\n\n,\n"b","3"')
    assert (table.layout, table.header) == ({"name": 0, "price": 1}, Row(1, ["name", "price"]))
    assert list(table.rows) == [
        Row(3, ["a", "1"]),
        Row(4, [";", ""]),
        Row(5, ["two\nlines", "2"]),
        Row(9, ["b", "3"]),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_under_which_the_header_is_recognized(delimiter: str) -> None:
    lines = ["Exported, on; Monday|\t", delimiter.join(["Price", "Name"]), delimiter.join(['"1,5"', "a"])]
    assert cells("\n".join(lines)) == [["1,5", "a"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_is_read_in_the_encodings_in_which_spreadsheets_save(encoding: str) -> None:
    assert cells("name,price\r\nZürich €,1\r\n".encode(encoding)) == [["Zürich €", "1"]]


def test_utf_16_is_read_in_either_byte_order() -> None:
    assert cells(b"\xfe\xff" + "name,price\nZürich,1".encode("utf-16-be")) == [["Zürich", "1"]]


def test_bytes_that_mean_nothing_are_no_letters_and_no_digits() -> None:
    assert cells(b"name,price\na,\x8d1\n") == [["a", "\ufffd1"]]
    assert cells(b"\xff\xfe" + "name,price\na,1".encode("utf-16-le") + b"2") == [["a", "1\ufffd"]]


def test_a_header_may_stand_below_a_preamble_of_nineteen_lines_and_no_lower() -> None:
    assert cells("account\n" * 19 + "name,price\na,1") == [["a", "1"]]
    with pytest.raises(UnknownTableError) as refused:
        read("account\n" * 20 + "name,price\na,1")
    assert refused.value.seen == "account"


def test_a_file_without_a_known_header_is_named_by_its_first_row() -> None:
    with pytest.raises(UnknownTableError, match=r"the first row is 'name;\\x1b\[2J'$"):
        read("\n \nname;\x1b[2J\n1;2\n")
    with pytest.raises(UnknownTableError, match="the first row is ''"):
        read("")


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x00"])
def test_only_a_newline_ends_a_row(character: str) -> None:
    assert cells(f"name,price\na{character}b,1\nc,2\n") == [[f"a{character}b", "1"], ["c", "2"]]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("a\rb,1", "is not CSV: new-line character seen in unquoted field"),
        ('"a"b,1', "is not CSV: ',' expected after '\"'"),
        ("a" * 140_000 + ",1", "is not CSV: field larger than field limit (131072)"),
    ],
)
def test_a_row_that_is_not_csv_costs_no_other(row: str, fault: str) -> None:
    limit = csv.field_size_limit(131_072)  # the process's, which other code may have changed
    try:
        assert list(read(f"name,price\n{row}\nc,2\n").rows) == [Row(2, [], fault), Row(3, ["c", "2"])]
    finally:
        csv.field_size_limit(limit)


def test_a_quote_that_is_never_closed_is_one_row_to_the_end() -> None:
    assert list(read('name,price\n"a,1\nb,2\n').rows) == [Row(2, [], "is not CSV: unexpected end of data")]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12).map(str.strip)
rows = st.lists(st.tuples(texts, texts).map(list).filter(any), max_size=12)


@given(
    rows,
    st.sampled_from(tables.DELIMITERS),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.integers(0, 3),
)
def test_a_table_is_read_as_it_was_written(  # noqa: PLR0913, PLR0917 - the ways to write one
    written: list[list[str]], delimiter: str, newline: str, encoding: str, quoting: int, blank: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting)  # type: ignore[arg-type]
    text.write(f"Prices of today{newline}" + newline * blank)
    for row in [["name", "price"], *written]:
        writer.writerow(row)
        text.write(newline * blank)
    assert cells(text.getvalue().encode(encoding)) == written


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("310.50", "310.50"),
        (" 310 ", "310"),
        ("1,234,567.891", "1234567.891"),
        ("1'234.5", "1234.5"),
        ("1\u2019234.5", "1234.5"),
        ("1\u00a0234.5", "1234.5"),
        ("1\u202f234.5", "1234.5"),
        ("$310.50", "310.50"),
        ("-$310.50", "-310.50"),
        ("$-310.50", "-310.50"),
        ("($310.50)", "-310.50"),
        ("US$ 310.50", "310.50"),
        ("310.50 €", "310.50"),
        ("CHF 310.50", "310.50"),
        ("310.50 USD", "310.50"),
        ("\u2212310.50", "-310.50"),
        ("+310.50", "310.50"),
        (".5", "0.5"),
        ("9.82e-06", "0.00000982"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
    ],
)
def test_a_number_has_the_digits_that_its_cell_spells(text: str, number: str) -> None:
    assert str(tables.number(text)) == str(Decimal(number))
    if "," not in text:
        assert tables.number(text.replace(".", ","), ",") == Decimal(number)


NO_NUMBERS = """
- $ EUR 5. 1,23 1,2345 0,123 1,2345,678 1,234'567 12.3.4 1_0 \u0661 NaN inf 0x1 --5 -$-5 (5 5) (-5) -(5) 5- 5% 1e 1e1000
=5 null
"""


@pytest.mark.parametrize("text", ["", "1 23", "1\n2", *NO_NUMBERS.split()])
def test_what_spells_no_number_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        tables.number(text)


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["1,234", "950", "1,234.5"], "."),
        (["1.234", "950", "1.234,5"], ","),
        (["1,234", "12,5"], ","),
        (["1,234,567"], "."),
        (["1.234.567"], ","),
        (["0,125"], ","),
        (["AAPL", "31.01.2024", "-1,25 €"], ","),
        (["3,744", "190.28M"], "."),
        (["3,744", "0,13%"], ","),
        (["3,744", "1,020", "1 234", "x", ""], None),
        ([], None),
    ],
)
def test_the_decimal_mark_is_that_of_the_first_number_that_has_only_one(texts: list[str], mark: str | None) -> None:
    assert tables.find_decimal_mark(texts) == mark


@given(
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6),
    st.sampled_from([".", ","]),
    st.sampled_from(["", ",", ".", "'", " ", "\u00a0"]),
    st.sampled_from(["{}", "${}", "{} €", "EUR {}"]),
    st.booleans(),
)
def test_a_number_is_read_as_it_was_written(
    number: Decimal,
    mark: str,
    separator: str,
    currency: str,
    parentheses: bool,  # noqa: FBT001
) -> None:
    if separator == mark:
        separator = ""
    digits = f"{abs(number):,.6f}".translate({ord(","): separator, ord("."): mark})
    amount = currency.format(digits)
    if number < 0:
        amount = f"({amount})" if parentheses else f"-{amount}"
    assert tables.number(amount, mark) == number
    assert tables.find_decimal_mark([amount]) == mark

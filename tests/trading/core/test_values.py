from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trading.core import values
from trading.core.values import Price, Quantity

PRICE = TypeAdapter(Price)
QUANTITY = TypeAdapter(Quantity)

prices = st.builds(
    lambda whole, fraction, digits: Decimal(f"{whole}.{fraction:0{digits}d}") if digits else Decimal(whole),
    st.integers(0, 10**12 - 1),
    st.integers(0, 9),
    st.integers(0, 6),
)


@given(prices)
def test_a_price_is_written_with_the_digits_that_were_sent(price: Decimal) -> None:
    assert PRICE.dump_python(PRICE.validate_python(str(price)), mode="json") == str(price)
    assert PRICE.validate_python(values.read_json(str(price))) == price


@pytest.mark.parametrize(("sent", "kept"), [("1e2", "100"), ("2.5e-3", "0.0025"), ("-0", "0"), ("-0.00", "0.00")])
def test_an_exponent_is_written_out_and_zero_has_no_sign(sent: str, kept: str) -> None:
    assert str(PRICE.validate_python(sent)) == kept


@pytest.mark.parametrize(
    "sent",
    [
        "-1", "NaN", "Infinity", "-Infinity", "", " 1", "1 ", "1_000", "0x10", "\u0661", "1,5", "1e400", "1e-7",
        "310.5000000", "0.0000001",
        "1000000000000", True, None, [], {}, 310.5, Decimal("NaN"), Decimal("Infinity"),
        Decimal("1e400"),
    ],
)  # fmt: skip
def test_what_is_no_price_is_refused(sent: object) -> None:
    with pytest.raises(ValidationError):
        PRICE.validate_python(sent)


@given(st.from_regex(r"[0-9]{1,15}(\.[0-9]{1,8})?", fullmatch=True), st.integers(1, 12), st.integers(1, 6))
def test_text_in_plain_digits_is_read_as_the_decimal_that_it_spells(text: str, whole: int, fraction: int) -> None:
    def read(value: object) -> str:
        try:
            return str(values.exact_decimal(value, whole, fraction))
        except ValueError as error:
            return f"refused: it {error}"

    assert read(text) == read(Decimal(text))


def test_no_binary_float_can_become_a_price_or_a_quantity() -> None:
    for adapter in (PRICE, QUANTITY):
        with pytest.raises(ValidationError, match="decimal"):
            adapter.validate_python(310.5)
    assert values.read_json("[310.50]") == [Decimal("310.50")]
    assert isinstance(values.read_json("[310.50]")[0], Decimal)


@given(st.integers(0, 10**15 - 1), st.integers(0, 10))
def test_a_quantity_survives_as_a_json_number(digits: int, places: int) -> None:
    quantity = Decimal(digits).scaleb(-places)
    assume(quantity < 10**9)
    written = QUANTITY.dump_json(QUANTITY.validate_python(quantity)).decode()
    assert Decimal(written) == quantity


def test_a_quantity_has_at_most_as_many_digits_as_a_double_carries() -> None:
    assert QUANTITY.validate_python("123456789.0000000000") == 123456789
    assert QUANTITY.validate_python("12345.1234567891") == Decimal("12345.1234567891")
    with pytest.raises(ValidationError, match="15 significant digits"):
        QUANTITY.validate_python("123456.1234567891")


def test_a_whole_quantity_is_written_without_a_fraction() -> None:
    assert QUANTITY.dump_json(Decimal("50.000")) == b"50"
    assert QUANTITY.dump_json(Decimal("0.5")) == b"0.5"


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-14 * 60, 14 * 60))
def test_an_instant_is_the_same_in_every_offset(instant: datetime, minutes: int) -> None:
    try:
        elsewhere = instant.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    assert values.parse_instant(elsewhere.isoformat()) == instant


@pytest.mark.parametrize(
    "text",
    ["2025-06-03T12:00:00", "2025-06-03T12:00:00Z", "2025-06-03T12:00:00z", "2025-06-03t12:00Z", "2025-06-03 12:00",
     "2025-06-03 12:00:00.000-00:00", "2025-06-04T11:59:00+23:59", "2025-06-02T12:01:00-2359"],
)  # fmt: skip
def test_an_instant_has_a_t_or_a_space_and_an_offset_or_is_in_utc(text: str) -> None:
    assert values.parse_instant(text) == datetime(2025, 6, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2025-06-03", "2025-06-03T12:00:00+05:60", "2025-06-03T12:00:00+24:00", "2025-06-03T24:00:00Z",
     "2025-06-03T12:60:00Z", "2025-06-03T12:00:60Z", "2025-06-03T12:00:00+5", "2025-06-03T12Z",
     "2025-02-30T00:00:00Z", "2025-06-03T25:00:00Z", "1748952000", "0001-01-01T00:00:00+14:00",
     "2025-06-03T12:00:00Z\n", "2025-06-03T12:00:00ZZ", "20250603T120000Z", "\uff12025-06-03T12:00:00Z",
     "now", 1748952000, None],
)  # fmt: skip
def test_what_is_no_instant_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be an ISO 8601 date and time"):
        values.parse_instant(text)


def test_a_date_alone_bounds_its_whole_day() -> None:
    assert values.parse_boundary("2025-06-03", time.min) == datetime(2025, 6, 3, tzinfo=UTC)
    assert values.parse_boundary("2025-06-03", time.max) == datetime(2025, 6, 3, 23, 59, 59, 999999, UTC)


def test_json_that_is_nested_too_deep_or_has_endless_numbers_is_refused_or_bounded() -> None:
    with pytest.raises(ValueError, match="nested"):
        values.read_json("[" * 200_000)
    assert values.read_json("9" * 5_000).is_finite()

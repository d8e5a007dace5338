from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.core import pagination
from trading.core.errors import InvalidError


@given(st.datetimes(timezones=st.just(UTC)), st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back_to_its_row(timestamp: datetime, row_id: int) -> None:
    assert pagination.decode_cursor(pagination.encode_cursor(timestamp, row_id)) == (timestamp, row_id)


@given(st.text(max_size=60))
def test_a_forged_cursor_is_read_or_refused_but_breaks_nothing(text: str) -> None:
    with suppress(InvalidError):
        timestamp, row_id = pagination.decode_cursor(text)
        assert timestamp.tzinfo is UTC
        assert 0 <= row_id < 2**63


@pytest.mark.parametrize(
    "text", ["", "abc", "MS4t", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAuMQ", "MC45OTk5OTk5OTk5OTk5OTk5OTk5OQ", "…"]
)
def test_what_we_did_not_give_out_is_refused(text: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        pagination.decode_cursor(text)
    assert [error.field for error in refusal.value.errors] == ["cursor"]

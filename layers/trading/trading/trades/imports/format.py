"""A declarative description of a broker's file format; `formats/` has one for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

# The fields of a row. `account` is an account in this system, `source_account` one at the broker.
type Field = Literal[
    "account", "currency", "date", "id", "isin", "kind", "price", "quantity", "source_account", "ticker", "time"
]

ISO = "ISO 8601"
# For formats whose sample has some of these words: brokers use the language of the customer.
BUYS = "b|buy|bought|kauf|koop|achat|acquisto|compra"
SELLS = "s|sell|sold|verkauf|verkoop|vente|vendita|venta"


@dataclass(frozen=True, slots=True)
class Source:
    """A public sample: a file in a repository at a commit."""

    repository: str
    commit: str
    path: str


@dataclass(frozen=True, slots=True)
class Fee:
    """A column of fees, by any of its names, and the column of their currency if there is one."""

    names: Sequence[str]
    currency: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How to recognize a broker's file and read its trades. Column names are case-insensitive.

    Attributes:
        name: the format's name in requests.
        title: the name shown to people.
        sources: the public samples against which the format was checked.
        header: columns that together identify a file of this format.
        columns: the column names of each field; the first one that exists is used.
        buys: a regular expression for the whole `kind`, in lower case, of a buy.
        sells: the same for a sell. Without a `kind` column, a negative quantity is a sell.
        splits: the same for a stock split.
        dates: the date format: ISO, or %Y %m %d %b %H %M %S %f and separators. A date without a time means noon.
        zone: the time zone of dates without an offset.
        fees: the columns whose sum is a trade's fee.
        charges_are_negative: whether fees are negative and rebates positive.
        currency: the currency of trades if no column has it; None to use the request's.
        decimal_mark: the decimal mark of all numbers; None to derive it from the file.
        newest_first: the order of the rows if all trades are of one day, so that the dates do not show it.
        only: regular expressions that a trade's row must match in these columns, if they exist.
        event: a regular expression for a composite `kind`, with the groups kind, quantity, price and currency.
        symbol: a regular expression whose first group is the ticker.
        date_part: a regular expression whose first group is the date.
        months: names of months in other languages.
        ids_are_ours: whether ids are those of trades in this system or another deployment of it.
        is_sectioned: whether each row begins with the name of its section and the word Header or Data.
    """

    name: str
    title: str
    sources: Sequence[Source]
    header: Sequence[str]
    columns: Mapping[Field, Sequence[str]]
    buys: str = BUYS
    sells: str = SELLS
    splits: str = "(?!)"
    dates: Sequence[str] = (ISO,)
    zone: str = "UTC"
    fees: Sequence[Fee] = ()
    charges_are_negative: bool = False
    currency: str | None = None
    decimal_mark: Literal[".", ","] | None = "."
    newest_first: bool = True
    only: Mapping[str, str] | None = None
    event: str | None = None
    symbol: str = "(.*)"
    date_part: str = "(.*)"
    months: Mapping[str, str] | None = None
    ids_are_ours: bool = False
    is_sectioned: bool = False

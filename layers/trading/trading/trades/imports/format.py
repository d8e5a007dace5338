"""What a broker's file of trades looks like, as data: `formats/` has one of these for each broker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

# What may be read of a row. `account` names an account of this system, `source_account` one of the broker.
type Field = Literal[
    "account", "currency", "date", "id", "isin", "kind", "price", "quantity", "source_account", "ticker", "time"
]

ISO = "ISO 8601"
# Used where the sample of a format has some of these: brokers write them in the language of the customer.
BUYS = "b|buy|bought|kauf|koop|achat|acquisto|compra"
SELLS = "s|sell|sold|verkauf|verkoop|vente|vendita|venta"


@dataclass(frozen=True, slots=True)
class Source:
    """A public sample: a file of a repository as of a commit."""

    repository: str
    commit: str
    path: str


@dataclass(frozen=True, slots=True)
class Fee:
    """A column of fees, by any of its names, and the column that names their currency if there is one."""

    names: Sequence[str]
    currency: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How to tell a broker's file, and how to read the trades in it. Names of columns are compared without case.

    Attributes:
        name: what the format is called in requests.
        title: what it is called for people.
        sources: the public samples against whose headers and values it was checked.
        header: columns that a file of this format has, and one of no other format.
        columns: what each field is called; of several names that are there, the first counts.
        buys: a pattern of the whole `kind`, in lower case, of a row that is a buy.
        sells: the same of a sell. Without a column of kinds, the sign of the quantity tells: negative ones are sold.
        splits: the same of a row that is a stock split.
        dates: how dates are written: ISO, or %Y %m %d %b %H %M %S %f with what stands between them. Those without a
            time of day mean noon.
        zone: the time zone of dates without an offset.
        fees: the columns that add up to a trade's fee.
        charges_are_negative: whether a fee above zero is a rebate.
        currency: the currency of trades where no column names it; None for the one that the request names.
        decimal_mark: that of all numbers; None where the file shows it.
        newest_first: the order of a file whose trades are all of one day, which does not show it.
        only: patterns of the values that a trade's row has in these columns, if they are there.
        event: a pattern of a `kind` that holds more: the groups kind, quantity, price and currency.
        symbol: a pattern whose first group is the ticker.
        date_part: a pattern whose first group is the date.
        months: names of months that are not English.
        ids_are_ours: whether ids are those of trades of this system, or of another like it.
        is_sectioned: whether each row begins with the section that it is of, and the word Header or Data.
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

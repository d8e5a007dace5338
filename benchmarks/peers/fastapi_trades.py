"""The peer of trades_api: FastAPI, SQLAlchemy and Mangum, plainly used. It announces nothing: that favours it."""

import os
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, FastAPI, Response
from mangum import Mangum
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import BigInteger, ForeignKey, Identity, create_engine, make_url, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2"))
app = FastAPI()


class Base(DeclarativeBase):
    """The tables."""


class Trade(Base):
    """A recorded trade."""

    __tablename__ = "trades"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    ticker: Mapped[str]
    price: Mapped[Decimal]
    quantity: Mapped[Decimal]
    side: Mapped[str]
    timestamp: Mapped[datetime]
    client_trade_id: Mapped[str | None]
    recorded_by: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Notification(Base):
    """What is to be told of a trade."""

    __tablename__ = "notifications"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    trade_id: Mapped[int] = mapped_column(ForeignKey("trades.id"))


class NewTrade(BaseModel):
    """A trade as its client sends it."""

    model_config = ConfigDict(extra="forbid")

    ticker: str = Field(pattern=r"^[A-Z]{1,5}([.-][A-Z]{1,4})?$")
    price: Decimal = Field(ge=0, max_digits=18, decimal_places=6)
    quantity: Decimal = Field(ge=0, max_digits=15, decimal_places=6)
    side: Literal["BUY", "SELL"]
    timestamp: AwareDatetime
    client_trade_id: str | None = Field(default=None, pattern=r"^[ -~]{1,100}$")


class AnsweredTrade(NewTrade):
    """A trade as it is answered."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    recorded_by: str
    recorded_at: datetime


def open_session() -> Iterator[Session]:
    """Open a session for one request."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


@app.post("/api/trades/", status_code=201)
def record_trade(
    new: NewTrade, session: Annotated[Session, Depends(open_session)], response: Response
) -> AnsweredTrade:
    """Record a trade and its notification in one transaction."""
    trade = Trade(**new.model_dump(), recorded_by="local")
    session.add(trade)
    session.flush()
    session.add(Notification(trade_id=trade.id))
    session.commit()
    response.headers["Location"] = f"/api/trades/{trade.id}/"
    return AnsweredTrade.model_validate(trade)


@app.get("/api/trades/")
def find_trades(session: Annotated[Session, Depends(open_session)], limit: int = 1_000) -> list[AnsweredTrade]:
    """Return the newest trades."""
    newest = select(Trade).order_by(Trade.timestamp.desc(), Trade.id.desc()).limit(limit)
    return [AnsweredTrade.model_validate(trade) for trade in session.scalars(newest)]


handler = Mangum(app, lifespan="off")

"""A day's analysis: woken by a file of trades that was put into the bucket, by the clock, or by hand."""

import json
from dataclasses import asdict
from datetime import date
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading import analysis, days
from trading.problems import ProblemError
from trading.settings import setting

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Analyse the day that the event is about, and answer as the original did: a status code and a JSON body."""
    match event.get("source"):
        case "aws.s3":
            return _analyse_file(event["detail"]["object"]["key"])
        case "aws.scheduler":
            return _analyse_yesterday(event)
        case _:
            return _answer_by_hand(event)


def _analyse_file(key: str) -> dict[str, Any]:
    day = days.day_of(key)
    if day is None:  # the rule lets through what only looks like a day's trades, such as 2024/02/30/trades.csv
        logger.info("not a file of trades", key=key)
        return {"skipped": key}
    return _analysed(day)


def _analyse_yesterday(event: dict[str, Any]) -> dict[str, Any]:
    day = days.day_asked_for(event)
    bucket = setting("TRADES_BUCKET")
    if analysis.is_done(bucket, day):
        logger.info("analysed already", day=str(day))
        return {"skipped": str(day)}
    try:
        return _analysed(day)
    except ProblemError as problem:
        if problem.problem.status != HTTPStatus.NOT_FOUND:
            raise
        logger.warning("there is no file of trades", day=str(day))
        return {"skipped": str(day)}


def _answer_by_hand(event: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"statusCode": 200, "body": json.dumps(_analysed(days.day_asked_for(event)))}
    except ProblemError as problem:
        return {"statusCode": problem.problem.status, "body": json.dumps(asdict(problem.problem))}


def _analysed(day: date) -> dict[str, Any]:
    outcome = analysis.analyse_day(setting("TRADES_BUCKET"), day)
    logger.info("analysed", **asdict(outcome))
    return asdict(outcome)

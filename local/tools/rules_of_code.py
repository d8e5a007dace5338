"""Rules on how the template and the code must agree: timeouts, libraries, settings, and local support."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from local.host import template
from local.host.template import ROOT, RouteKeyError, UnknownResourceError, names_in
from local.host.triggers import UnknownScheduleError, next_due
from local.tools import reach
from local.tools.deployed import Deployed, variables_of
from local.tools.expressions import written
from trading.analysis import runs
from trading.notifications import outbox
from trading.notifications.webhooks import deliveries, sending
from trading.prices import ticks
from trading.simulation import records
from trading.trades import standings

# The lease in seconds of a function's work; its timeout must be shorter.
LEASES = {
    "NotificationPublisher": outbox.LEASE_SECONDS,
    "TradeAnalyzer": runs.LEASE.total_seconds(),
    "TradeExporter": runs.LEASE.total_seconds(),
    "WebhookSender": deliveries.LEASE_SECONDS,
}
# The deadline in seconds after which the code itself gives up; the function's timeout must be longer.
DEADLINES = {
    "PositionsApi": standings.READING_SECONDS,
    "PricesApi": ticks.PUBLISH_SECONDS + ticks.PUBLISH_CALL_SECONDS,
    "StrategySimulator": records.SWEEP_SECONDS,
    "WebhooksApi": sending.SECONDS,
}
# Functions whose nightly work depends on that of another function.
AFTER = {"TradeAnalyzer": "TradeExporter"}
LAMBDAS_OWN = {"boto3", "botocore"}
IMPORTED_AS = {"google-re2": "re2", "psycopg2-binary": "psycopg2", "python-mimeparse": "mimeparse"}
# Variables of all functions, and database variables, which have separate rules.
AS_DEPLOYED = {"AUTH_REQUIRED": "true", "AWS_ENDPOINT_URL": "", "DATABASE_URL": ""}
LAPTOPS_OWN = {"WEBHOOKS_TO_LOOPBACK"}  # no template may set these
COMMON = AS_DEPLOYED.keys() | LAPTOPS_OWN
DATABASE = {"DB_CONNECT_SECONDS", "DB_HOST", "DB_NAME", "DB_SECRET_ARN", "DB_USER"}


def code_and_template_agree_on_time(deployed: Deployed) -> Iterator[str]:
    """A function times out before its lease expires and after its own deadline, and CloudFormation waits for it."""
    timeouts = {name: each.get("Timeout", 3) for name, each in deployed.of("AWS::Lambda::Function").items()}
    for name in LEASES.keys() & timeouts.keys():
        if timeouts[name] >= LEASES[name]:
            yield f"{name} may still run when its lease of {LEASES[name]:g} seconds expires"
    for name in DEADLINES.keys() & timeouts.keys():
        if timeouts[name] <= DEADLINES[name]:
            yield f"{name} times out before its own deadline of {DEADLINES[name]:g} seconds"
    for name, schema in deployed.of("Custom::SchemaMigration").items():
        for migrator in names_in(schema.get("ServiceToken")) & timeouts.keys():
            if schema.get("ServiceTimeout", 3_600) <= timeouts[migrator]:
                yield f"{name} does not wait as long as {migrator} may run"


def every_function_has_the_layers_that_it_imports(deployed: Deployed) -> Iterator[str]:
    """Everything that a function imports is in one of its layers, the standard library, or Lambda's runtime."""
    layers = deployed.of("AWS::Lambda::LayerVersion")
    for name, function in deployed.of("AWS::Lambda::Function").items():
        its = names_in(function.get("Layers", [])) & layers.keys()
        had = {library for layer in its for library in _libraries(layers[layer]["Content"]["S3Key"])}
        for library in sorted(_reach(function).imports - had - LAMBDAS_OWN - sys.stdlib_module_names):
            yield f"{name} imports {library}, which none of its layers has"


def every_function_is_told_what_it_asks_for(deployed: Deployed) -> Iterator[str]:
    """A function has exactly the variables that its code reads."""
    for name, function in deployed.of("AWS::Lambda::Function").items():
        asked = _reach(function).settings - COMMON - DATABASE
        told = {each for each in variables_of(function) if not each.startswith("POWERTOOLS_")} - COMMON - DATABASE
        for variable in sorted(asked - told):
            yield f"{name} reads {variable}, which is not set"
        for variable in sorted(told - asked):
            yield f"{name} has {variable}, which it does not read"


def nothing_of_the_laptop_is_deployed(deployed: Deployed) -> Iterator[str]:
    """Tokens are required, and functions use the real AWS services and the proxy."""
    for name, function in deployed.of("AWS::Lambda::Function").items():
        for variable, value in AS_DEPLOYED.items():
            if variables_of(function).get(variable) != value:
                yield f"{name} must have {variable} {value or 'empty'}"
        for variable in sorted(LAPTOPS_OWN & variables_of(function).keys()):
            yield f"{name} has {variable}, which is for local use only"


def every_clock_runs_in_utc_and_in_order(deployed: Deployed) -> Iterator[str]:
    """A schedule is enabled, in UTC and supported locally; dependent nightly work starts after its predecessor."""
    functions = deployed.of("AWS::Lambda::Function")
    midnight = datetime(2000, 1, 1, tzinfo=UTC)
    nightly: dict[str, timedelta] = {}
    for name, schedule in deployed.of("AWS::Scheduler::Schedule").items():
        expression = schedule.get("ScheduleExpression", "")
        if schedule.get("State", "ENABLED") != "ENABLED":
            yield f"{name} is disabled"
        if schedule.get("ScheduleExpressionTimezone", "UTC") != "UTC":
            yield f"{name} is in the time zone {schedule['ScheduleExpressionTimezone']}"
        try:
            due = next_due(expression, midnight - timedelta(seconds=1))
        except UnknownScheduleError as error:
            yield f"{name}: {error}"
            continue
        if expression.startswith("cron"):
            for function in names_in(schedule["Target"]["Arn"]) & functions.keys():
                nightly[function] = max(nightly.get(function, due - midnight), due - midnight)
    for later, earlier in AFTER.items():
        if {later, earlier} <= nightly.keys():
            ended = nightly[earlier] + timedelta(seconds=functions[earlier].get("Timeout", 3))
            if nightly[later] < ended:
                yield f"{later} starts before {earlier} has ended"


def nothing_that_wakes_functions_is_switched_off(deployed: Deployed) -> Iterator[str]:
    """Event source mappings and event rules are enabled."""
    for name, source in deployed.of("AWS::Lambda::EventSourceMapping").items():
        if source.get("Enabled") is False:
            yield f"{name} is disabled"
    for name, rule in deployed.of("AWS::Events::Rule").items():
        if rule.get("State", "ENABLED") != "ENABLED":
            yield f"{name} is disabled"


def every_dashboard_is_json(deployed: Deployed) -> Iterator[str]:
    """A dashboard is valid JSON: CloudFormation passes it on unchanged, and CloudWatch refuses anything else."""
    for name, dashboard in deployed.of("AWS::CloudWatch::Dashboard").items():
        try:
            has_widgets = bool(json.loads(written(dashboard["DashboardBody"]))["widgets"])
        except (ValueError, KeyError):
            has_widgets = False
        if not has_widgets:
            yield f"{name} is not JSON with widgets"


def the_laptop_knows_all_of_it(deployed: Deployed) -> Iterator[str]:
    """`make start` supports everything that the template declares; it refuses the rest, such as function URLs."""
    try:
        template.read({"Resources": deployed.resources})
    except (UnknownResourceError, RouteKeyError, KeyError, ValueError) as error:
        yield f"the local system does not support this: {type(error).__name__}: {error}"


def _reach(function: Mapping[str, Any]) -> reach.Reach:
    folder = ROOT / function["Code"]["S3Key"]
    return reach.of(folder) if (folder / "app.py").is_file() else reach.Reach()


@cache
def _libraries(folder: str) -> set[str]:
    """Return the top-level packages in a layer's folder."""
    pinned = ROOT / folder / "requirements.txt"
    names = re.findall(r"^([\w-]+)==", pinned.read_text(), re.MULTILINE) if pinned.is_file() else []
    own = {each.parent.name for each in (ROOT / folder).glob("*/__init__.py")}
    return own | {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names}

"""The whole stack, deployed by `sam deploy` into an emulator that has CloudFormation and needs no Docker.

What the emulator does not know is left out, and nothing else: see LEFT_OUT. The database, whose RDS it could only
pretend, is a real PostgreSQL of this machine, and CloudFormation has the migrator make its schema there.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from samtranslator.yaml_helper import yaml_parse

from local.host import conditions, template
from local.host.aws_services import Aws
from local.host.gateway import http_event
from local.host.postgres import UNSAFE, Postgres
from local.host.system import LOOPBACK, free_port
from local.host.template import REGION, ROOT
from local.tools.deployed import environments
from tests.sam.conftest import ARCHITECTURE, ENVIRONMENT, SAM

EMULATOR = (str(ROOT / ".venv-ministack" / "bin" / "python"), "-m", "ministack")
LEFT_OUT = {
    "AWS::ApiGatewayV2::RouteResponse",
    "AWS::EC2::EgressOnlyInternetGateway",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EC2::SubnetCidrBlock",
    "AWS::EC2::VPCCidrBlock",
}
STACKS = {"dev": "trading", "prod": "trading-prod"}
ARTIFACTS = "artifacts"
START_SECONDS = 30


def is_left_out(resource: dict[str, Any]) -> bool:
    """Whether the emulator does not know a resource: its kind, or an alarm on what several metrics come to."""
    kind = resource["Type"]
    return kind in LEFT_OUT or kind.startswith("AWS::RDS::") or "Metrics" in resource.get("Properties", {})


def reduced(built: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """Return a built template without what is left out; a word stands for what others ask of it."""
    gone = {name for name, resource in built["Resources"].items() if is_left_out(resource)}

    def without(value: Any) -> Any:
        match value:
            case {"Ref": name} if name in gone:
                return "left-out"
            case {"Fn::GetAtt": [name, *_]} if name in gone:
                return "arn:aws:rds:eu-west-1:000000000000:db-proxy:prx-left-out"
            case dict():
                return {key: without(each) for key, each in value.items()}
            case list():
                return [without(each) for each in value if not isinstance(each, str) or each not in gone]
        return value

    resources = {name: without(resource) for name, resource in built["Resources"].items() if name not in gone}
    for resource in resources.values():
        if "DependsOn" in resource:
            wanted = resource["DependsOn"]
            resource["DependsOn"] = [
                name for name in (wanted if isinstance(wanted, list) else [wanted]) if name not in gone
            ]
    settings = built["Globals"]["Function"]
    variables = {**without(settings["Environment"]["Variables"]), **environment}
    function = {**settings, "Environment": {"Variables": variables}}
    return {**built, "Resources": resources, "Globals": {**built["Globals"], "Function": function}}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """The emulator, on this machine alone; it starts functions as processes, and is told of no Docker."""
    folder = tmp_path_factory.mktemp("ministack")
    port = str(free_port(0, [LOOPBACK]))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "GATEWAY_PORT": port,
        "MINISTACK_REGION": REGION,
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder}/none",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            EMULATOR, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True
        )
    services = Aws(f"http://{LOOPBACK}:{port}")
    deadline = time.monotonic() + START_SECONDS
    while "Running on" not in (said := (folder / "log").read_text()):
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
    yield services
    os.killpg(process.pid, signal.SIGTERM)  # and the functions that it started
    process.wait(20)
    sys.stderr.write((folder / "log").read_text())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of an empty database."""
    with tempfile.TemporaryDirectory(prefix="trading-deploy-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        server = Postgres(Path(name) / "postgres", free_port(0, [LOOPBACK]), settings=UNSAFE)
        server.start()
        server.create_database("trading")
        yield server.url("trading")
        server.kill()


def parameters(environment: str) -> dict[str, str]:
    """Return what is chosen for an environment; the layers were built for this machine's processors."""
    return {**environments()[environment], "Architecture": ARCHITECTURE}


def deploy(file: Path, emulator: Aws, environment: str = "dev") -> subprocess.CompletedProcess[str]:
    """Have `sam deploy` deploy a template, and return how that went."""
    overrides = [f"{name}={value}" for name, value in parameters(environment).items()]
    command: list[str | Path] = [
        *SAM, "deploy", "--template-file", file, "--stack-name", STACKS[environment], "--s3-bucket", ARTIFACTS,
        "--region", REGION, "--capabilities", "CAPABILITY_IAM", "--parameter-overrides", *overrides,
        "--no-confirm-changeset", "--no-progressbar",
    ]  # fmt: skip
    credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    return subprocess.run(
        command,
        cwd=file.parent,  # away from samconfig.toml, whose bucket would be another
        env={**ENVIRONMENT, **credentials, "AWS_ENDPOINT_URL": emulator.endpoint},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def deployed_file(build: Path, emulator: Aws, address: str) -> Path:
    """The template that was deployed, its folders those of the build."""
    settings = {"DATABASE_URL": address, "AWS_ENDPOINT_URL": emulator.endpoint, "AUTH_REQUIRED": "false"}
    file = build / "reduced.yaml"
    file.write_text(json.dumps(reduced(yaml_parse((build / "template.yaml").read_text()), settings)))
    emulator.client("s3").create_bucket(Bucket=ARTIFACTS, CreateBucketConfiguration={"LocationConstraint": REGION})
    outcome = deploy(file, emulator)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return file


@pytest.fixture(scope="module")
def deployed(deployed_file: Path) -> dict[str, Any]:
    """What was deployed, as AWS's transform reads it."""
    return template.transformed(deployed_file)


@pytest.fixture
def resources(emulator: Aws, deployed: dict[str, Any]) -> dict[str, str]:
    """The stack's resources: what each is called in the account."""
    del deployed
    return resources_of("dev", emulator)


def resources_of(environment: str, emulator: Aws) -> dict[str, str]:
    """Return what the resources of an environment's stack are called in the account."""
    stack = emulator.client("cloudformation").describe_stack_resources(StackName=STACKS[environment])
    assert {each["ResourceStatus"] for each in stack["StackResources"]} == {"CREATE_COMPLETE"}
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in stack["StackResources"]}


def rows(address: str, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def expected(environment: str, deployed: dict[str, Any]) -> set[str]:
    """Return the resources that an environment has, but for layers, whose names have a digest of their code's place."""
    chosen = conditions.resolved(deployed, parameters(environment))["Resources"]
    return {name for name, each in chosen.items() if each["Type"] != "AWS::Lambda::LayerVersion"}


def test_every_resource_of_dev_is_there(deployed: dict[str, Any], resources: dict[str, str]) -> None:
    assert expected("dev", deployed) <= resources.keys()
    assert {"UserPool", "PageClient", "ResourceServer", "Ipv6Route"} <= resources.keys()
    assert {"MachineClient", "SqsEndpoint", "SecretsEndpoint"} & resources.keys() == set()


def test_prod_is_deployed_beside_it(deployed_file: Path, deployed: dict[str, Any], emulator: Aws) -> None:
    outcome = deploy(deployed_file, emulator, "prod")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    resources = resources_of("prod", emulator)
    assert expected("prod", deployed) <= resources.keys()
    assert {"MachineClient", "SqsEndpoint", "SnsEndpoint", "SecretsEndpoint"} <= resources.keys()
    assert "Ipv6Route" not in resources


@pytest.mark.usefixtures("deployed")
def test_the_migrator_was_asked_by_cloudformation_and_made_the_schema_and_the_role(address: str) -> None:
    files = sorted(file.name for file in (ROOT / "layers/trading/trading/core/migrations").glob("*.sql"))
    assert rows(address, "select name from schema_migrations order by name") == [(name,) for name in files]
    assert rows(address, "select count(*) from pg_roles where rolname = 'trading_app'") == [(1,)]


def test_queues_have_their_dead_letter_queues_and_wake_so_many_at_a_time(
    emulator: Aws, deployed: dict[str, Any], resources: dict[str, str]
) -> None:
    sqs, functions = emulator.client("sqs"), emulator.client("lambda")
    sources = {each["EventSourceArn"]: each for each in functions.list_event_source_mappings()["EventSourceMappings"]}
    for source in deployed["Resources"].values():
        if source["Type"] == "AWS::Lambda::EventSourceMapping":
            url = resources[source["Properties"]["EventSourceArn"]["Fn::GetAtt"][0]]
            queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            redrive = json.loads(queue["RedrivePolicy"])
            dead_letters = sqs.get_queue_url(QueueName=redrive["deadLetterTargetArn"].rpartition(":")[2])["QueueUrl"]
            assert dead_letters in resources.values()
            made = sources[queue["QueueArn"]]
            assert made["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
            assert made["BatchSize"] == source["Properties"]["BatchSize"]
            assert made["ScalingConfig"] == source["Properties"]["ScalingConfig"]


def test_every_alarm_tells_the_topic(emulator: Aws, deployed: dict[str, Any], resources: dict[str, str]) -> None:
    ours = [
        resources[name]
        for name, each in deployed["Resources"].items()
        if each["Type"] == "AWS::CloudWatch::Alarm" and name in resources
    ]
    alarms = emulator.client("cloudwatch").describe_alarms(AlarmNames=ours, MaxRecords=100)["MetricAlarms"]
    assert len(alarms) == len(ours)
    assert all(alarm["AlarmActions"] == [resources["AlarmsTopic"]] for alarm in alarms)


def test_a_trade_goes_through_its_queue_and_is_told_of(emulator: Aws, resources: dict[str, str], address: str) -> None:
    sqs, sns = emulator.client("sqs"), emulator.client("sns")
    heard = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=resources["NotificationsTopic"], Protocol="sqs", Endpoint=arn)

    trade = {"ticker": "MSFT", "price": "310.50", "quantity": 50, "side": "BUY", "timestamp": "2025-06-03T12:00:00Z"}
    headers = [("content-type", "application/json")]
    request = http_event("POST", "/api/trades/", headers=headers, body=json.dumps(trade).encode())
    answer = emulator.client("lambda").invoke(FunctionName=resources["TradesApi"], Payload=json.dumps(request))
    assert json.load(answer["Payload"])["statusCode"] == 201

    deadline = time.monotonic() + 30
    while not (messages := sqs.receive_message(QueueUrl=heard, WaitTimeSeconds=1).get("Messages", [])):
        assert time.monotonic() < deadline, "nobody was told of the trade"
    published = json.loads(messages[0]["Body"])
    assert published["Subject"] == "BUY 50 MSFT at 310.50"
    correlation_id = published["MessageAttributes"]["correlation_id"]["Value"]
    assert correlation_id == request["requestContext"]["requestId"]
    assert rows(address, "select count(delivered_at) from notifications") == [(1,)]


def test_a_migration_that_fails_stops_a_deployment_which_is_taken_back(deployed_file: Path, emulator: Aws) -> None:
    broken = json.loads(deployed_file.read_text())
    broken["Resources"]["Schema"]["Properties"]["NewestMigration"] = "9999_never.sql"
    migrator = broken["Resources"]["SchemaMigrator"]["Properties"]
    migrator["Environment"]["Variables"]["DATABASE_URL"] = "postgresql://127.0.0.1:9/none"
    broken["Resources"]["TradesApi"]["Properties"]["Description"] = "Newer, and in need of the newer schema."
    file = deployed_file.with_name("broken.yaml")
    file.write_text(json.dumps(broken))
    outcome = deploy(file, emulator)
    assert outcome.returncode != 0
    [stack] = emulator.client("cloudformation").describe_stacks(StackName=STACKS["dev"])["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    events = emulator.client("cloudformation").describe_stack_events(StackName=STACKS["dev"])["StackEvents"]
    failed = {event["LogicalResourceId"]: event for event in events if event["ResourceStatus"] == "UPDATE_FAILED"}
    assert "DatabaseUnavailableError" in failed["Schema"]["ResourceStatusReason"]
    functions = emulator.client("lambda").list_functions()["Functions"]
    assert "Newer, and in need of the newer schema." not in {function["Description"] for function in functions}

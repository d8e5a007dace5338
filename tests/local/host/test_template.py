from pathlib import Path

import pytest

from local.host import template
from local.host.template import ROOT

HEAD = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/worker/
      Handler: app.handler
      Runtime: python3.13
      Timeout: 7
      MemorySize: 256
      Layers: []
      Environment: {Variables: {QUEUE: !Ref Queue, FIXED: text}}
"""


def read(tmp_path: Path, rest: str) -> template.System:
    file = tmp_path / "template.yaml"
    file.write_text(HEAD + rest)
    return template.read(template.transformed(file))


def test_a_function_has_its_code_limits_and_environment(tmp_path: Path) -> None:
    worker = read(tmp_path, "").functions["Worker"]
    assert worker.code == ROOT / "functions/worker"
    assert (worker.handler, worker.timeout, worker.memory) == ("app.handler", 7, 256)
    assert worker.environment == {"QUEUE": {"Ref": "Queue"}, "FIXED": "text"}


def test_events_become_routes_queue_sources_and_schedules(tmp_path: Path) -> None:
    system = read(
        tmp_path,
        """
      Events:
        Get: {Type: HttpApi, Properties: {Method: GET, Path: "/a/{b}"}}
        Any: {Type: HttpApi, Properties: {Method: ANY, Path: "/c/{d+}"}}
        Rest: {Type: HttpApi}
        Messages: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn, BatchSize: 5,
                   FunctionResponseTypes: [ReportBatchItemFailures]}}
        Clock: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(2 minutes)}}
  Queue: {Type: AWS::SQS::Queue}
""",
    )
    assert {route.key for route in system.routes} == {"$default", "ANY /c/{d+}", "GET /a/{b}"}
    assert {route.function for route in system.routes} == {"Worker"}
    [source] = system.queue_sources
    assert (source.queue, source.function, source.batch_size) == ({"Fn::GetAtt": ["Queue", "Arn"]}, "Worker", 5)
    [schedule] = system.schedules
    assert (schedule.expression, schedule.function) == ("rate(2 minutes)", "Worker")
    assert list(system.services) == ["Queue"]


def test_a_kind_of_resource_that_is_not_known_is_an_error_and_not_silence(tmp_path: Path) -> None:
    with pytest.raises(template.UnknownResourceError, match="Stream is an AWS::Kinesis::Stream"):
        read(tmp_path, "  Stream: {Type: AWS::Kinesis::Stream}\n")


def test_a_queue_source_without_partial_failures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(template.UnknownResourceError, match="item by item"):
        read(
            tmp_path,
            """
      Events: {Messages: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn, BatchSize: 5}}}
  Queue: {Type: AWS::SQS::Queue}
""",
        )


def test_every_function_is_in_a_folder_of_its_own_and_every_folder_is_a_function() -> None:
    declared = {function.code for function in template.read(template.kept()).functions.values()}
    assert declared == {file.parent for file in (ROOT / "functions").glob("*/app.py")}


def test_a_route_that_api_gateway_refuses_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(template.RouteKeyError, match="GET /a/: the path ends with a slash"):
        read(tmp_path, "      Events: {Get: {Type: HttpApi, Properties: {Method: GET, Path: /a/}}}\n")


def test_every_path_is_there_with_what_is_below_it() -> None:
    routes = {route.key for route in template.read(template.kept()).routes}
    paths = {route for route in routes if not route.endswith("/{proxy+}")} - {"$default", "ANY /api/health"}
    assert paths
    assert routes == paths | {f"{path}/{{proxy+}}" for path in paths} | {"$default", "ANY /api/health"}


def test_the_laptop_keeps_the_times_of_prod() -> None:
    system = template.read(template.kept())
    schedules = {schedule.name: schedule.expression for schedule in system.schedules}
    assert schedules["NotificationSweeperSweep"] == "rate(1 minute)"
    assert schedules["TradeExporterStaleDays"] == "rate(1 hour)"
    assert system.functions["TradesApi"].timeout == 15


def test_a_setting_that_speaks_of_what_the_laptop_leaves_out_is_left_out(tmp_path: Path) -> None:
    system = read(
        tmp_path,
        """
  Key: {Type: AWS::KMS::Key, Properties: {KeyPolicy: {}}}
  Topic: {Type: AWS::SNS::Topic, Properties: {KmsMasterKeyId: !Ref Key, DisplayName: Alarms}}
  Queue: {Type: AWS::KMS::Key, Properties: {KeyPolicy: {}}}
""",
    )
    assert system.services["Topic"]["Properties"] == {"DisplayName": "Alarms"}
    assert system.functions["Worker"].environment == {"FIXED": "text"}


def test_a_template_is_transformed_again_only_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared, results = tmp_path / "template.yaml", iter([{"Resources": {}}, {"Resources": {"New": {}}}])
    monkeypatch.setattr(template, "TEMPLATE", declared)
    monkeypatch.setattr(template, "KEPT", tmp_path)
    monkeypatch.setattr(template, "transformed", lambda: next(results))
    declared.write_text("Resources: {}")
    assert [template.kept() for _ in range(2)] == [{"Resources": {}}] * 2
    declared.write_text("Resources: {New: {}}")
    assert [template.kept() for _ in range(2)] == [{"Resources": {"New": {}}}] * 2
    assert len(list(tmp_path.glob("template-*"))) == 1

"""The committed contract files are what the code says, and every published sample still reads."""

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import schemas
from schemas import generate
from schemas.activation import ACTIVATION_SCHEMA, Activation
from schemas.alert import ALERT_SCHEMA, Alert
from schemas.deadletter import Failed, dead_letter_message
from schemas.errors import Code, InputError, ReplayError, Stage
from schemas.frame import FRAME_TYPE, Origin, frame_headers
from schemas.headers import Headers
from schemas.jsonschemas import file_name, json_schemas, schema_id
from schemas.message import activation_message, alert_message, artifact_message, result_message
from schemas.modelcard import ModelCard
from schemas.pipeline import load_pipeline
from schemas.replaycommand import ANSWER_SCHEMA, COMMAND_TYPE, ReplayAnswer, answer_message, parse_command
from schemas.result import RESULT_SCHEMA, Result

PACKAGE = Path(schemas.__file__).parent
SAMPLES = sorted((Path(__file__).parent / "samples").glob("v*/*.json"))
ALERTS = sorted((Path(__file__).parent / "samples").glob("v*/alerts/*.json"))
NOW = datetime(2025, 1, 2, tzinfo=UTC)


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((PACKAGE / "json" / file_name(name)).read_text())
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def as_text(headers: Headers) -> dict[str, str]:
    return {name: value.decode() for name, value in headers if value is not None}


def stem(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


def test_committed_files_are_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_generation_is_deterministic_and_writes_what_check_wants(tmp_path: Path) -> None:
    assert generate.contract_files() == generate.contract_files()
    assert generate.main([str(tmp_path)]) == 0
    assert generate.main(["--check", str(tmp_path)]) == 0


def test_check_names_changed_missing_and_foreign_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(PACKAGE / "json", tmp_path / "json")
    shutil.copy(PACKAGE / "asyncapi.yaml", tmp_path)
    changed = tmp_path / "json" / file_name("result")
    changed.write_text(changed.read_text() + " ")
    (tmp_path / "json" / file_name("alert")).unlink()
    (tmp_path / "json" / "old.v1.schema.json").write_text("{}")
    before = sorted(tmp_path.rglob("*"))

    assert generate.main(["--check", str(tmp_path)]) == 1

    named = [line.split(":")[0] for line in capsys.readouterr().err.splitlines()]
    expected = [file_name("alert"), file_name("result"), "old.v1.schema.json"]
    assert [Path(path).name for path in named] == expected
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", json_schemas())
def test_every_schema_is_a_schema(name: str) -> None:
    schema = validator(name).schema
    Draft202012Validator.check_schema(schema)
    assert isinstance(schema, dict)
    assert schema["$id"] == schema_id(name)


def test_dataschema_headers_name_a_schema() -> None:
    assert schema_id("activation") == ACTIVATION_SCHEMA
    assert schema_id("result") == RESULT_SCHEMA
    assert schema_id("alert") == ALERT_SCHEMA
    assert schema_id("replay-answer") == ANSWER_SCHEMA


@pytest.mark.parametrize(
    "name", ["result", "alert", "activation", "replay-answer", "event-headers", "dead-letter-headers", "frame-headers"]
)
def test_what_consumers_read_is_open(name: str) -> None:
    schema = json_schemas()[name]
    for part in (schema, *schema.get("$defs", {}).values()):
        assert part["additionalProperties"] is True
    if name in {"result", "alert"}:
        assert "enum" not in json.dumps(schema)


def test_there_are_samples() -> None:
    names = {path.stem for path in SAMPLES if path.parent.name == "v1.0"}
    assert names >= {"civic-accepted", "civic-rejected", "unknown-fields", "unknown-values", "minimal", "detections"}


@pytest.mark.parametrize("path", SAMPLES, ids=stem)
def test_sample_results_read_and_keep_everything(path: Path) -> None:
    published = json.loads(path.read_text())
    validator("result").validate(published)

    written = Result.model_validate_json(path.read_bytes()).to_json()

    assert json.loads(written) == published
    assert Result.model_validate_json(written).to_json() == written


@pytest.mark.parametrize("path", ALERTS, ids=stem)
def test_sample_alerts_read_and_keep_everything(path: Path) -> None:
    published = json.loads(path.read_text())
    validator("alert").validate(published)
    assert json.loads(Alert.model_validate_json(path.read_bytes()).to_json()) == published


@pytest.mark.parametrize("field", ["result_id", "captured_at", "kind"])
def test_a_result_without_a_required_field_is_no_result(field: str) -> None:
    published = json.loads(SAMPLES[0].read_text())
    del published[field]
    assert not validator("result").is_valid(published)


@pytest.mark.parametrize("path", SAMPLES, ids=stem)
def test_headers_of_results_match_their_schema(path: Path) -> None:
    message = result_message(Result.model_validate_json(path.read_bytes()), f"00-{'a' * 32}-{'b' * 16}-01")
    validator("event-headers").validate(as_text(message.headers))


def test_headers_of_alerts_and_artifacts_match_their_schema() -> None:
    alert = alert_message(Alert.model_validate_json(ALERTS[0].read_bytes()))
    artifact = artifact_message("civic", "a/b.jpg", None, "image/jpeg", NOW, "s3://bucket/a/b.jpg")
    for message in (alert, artifact):
        validator("event-headers").validate(as_text(message.headers))


def test_headers_of_dead_letters_match_their_schema() -> None:
    failed = Failed(b"k", b"v", [("x", b"y")], Origin("frames.civic", 0, 7), 1_700_000_000_000)
    error = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "damaged")
    message = dead_letter_message("civic", failed, error, now=NOW, worker="w", frame_id="f", dataref="s3://b/k")
    validator("dead-letter-headers").validate(as_text(message.headers))


def test_headers_of_frames_match_their_schema() -> None:
    extensions = {"confidence": "0.25", "iou": ".7", "overlay": "true", "keep": "false", "subject": "p-1"}
    headers = as_text(
        frame_headers(event_id="1", source="/c", media_type="image/jpeg", captured_at=NOW, extensions=extensions)
    )
    validator("frame-headers").validate(headers)
    wrong: list[dict[str, str]] = [
        {"ce_specversion": "0.3"}, {"ce_type": "x"}, {"ce_id": ""}, {"ce_confidence": "1_0"}, {"ce_keep": "yes"},
        {"ce_dataref": ""}, {"traceparent": "zz"},
    ]  # fmt: skip
    for change in wrong:
        assert not validator("frame-headers").is_valid(headers | change), change


def test_structured_frames_match_their_schema() -> None:
    base = {"specversion": "1.0", "type": FRAME_TYPE, "id": "1", "source": "/c"}
    check = validator("frame-envelope")
    check.validate(base | {"data_base64": "AAAA", "confidence": 0.5, "keep": True})
    check.validate(base | {"dataref": "s3://b/k", "confidence": "0.5", "keep": "true"})
    for change in ({}, {"data_base64": "AAAA", "dataref": "s3://b/k"}, {"data_base64": "AA", "confidence": 2}):
        assert not check.is_valid(base | change), change


def test_activations_and_their_headers_match_their_schemas() -> None:
    one, two = ({"name": "a", "version": version, "digest": version * 64} for version in ("1", "2"))
    state = Activation.model_validate({
        "activation_id": "i", "pipeline": "p", "role": "detector", "live": one, "previous": two,
        "canary": {"model": two, "share": 0.1, "salt": "s"}, "activated_at": NOW, "activated_by": "me@here",
    })  # fmt: skip
    message = activation_message(state)
    content = json.loads(message.value or b"")
    validator("activation").validate(content)
    validator("event-headers").validate(as_text(message.headers))
    for change in ({"live": None}, {"role": 1}, {"canary": {**content["canary"], "share": 0}}):
        assert not validator("activation").is_valid(content | change), change


def test_model_card_schema_agrees_with_its_reader() -> None:
    good: dict[str, Any] = {
        "name": "a", "version": "1", "task": "detect", "files": {"model.onnx": "0" * 64}, "classes": ["x"],
        "input_wh": [64, 64], "licence": "MIT",
    }  # fmt: skip
    ModelCard.model_validate(good)
    validator("model-card").validate(good)
    wrong: list[dict[str, Any]] = [
        {"nmae": "a"}, {"task": "dance"}, {"classes": []}, {"files": {"model.onnx": "0"}}, {"licence": ""},
    ]  # fmt: skip
    for change in wrong:
        assert not validator("model-card").is_valid(good | change), change


def test_pipeline_schema_agrees_with_its_reader() -> None:
    text = "name: a\nsummary: civic\ninput:\n  media_types: [image/jpeg]\ngate: off\n"
    load_pipeline(text, "a.yaml")
    check = validator("pipeline")
    good: dict[str, Any] = {
        "name": "a", "summary": "civic", "input": {"media_types": ["image/jpeg"]}, "gate": "off",
    }  # fmt: skip
    check.validate(good)
    for change in ({"nmae": "a"}, {"gate": "on"}, {"quality": {"pass_score": 101}}, {"name": "A"}):
        assert not check.is_valid(good | change), change


def test_replay_command_schemas_agree_with_their_reader() -> None:
    headers: Headers = [
        ("ce_specversion", b"1.0"), ("ce_type", COMMAND_TYPE.encode()), ("ce_id", b"c"), ("ce_source", b"/planner"),
    ]  # fmt: skip
    good: dict[str, Any] = {
        "action": "start", "pipeline": "civic", "rate": 5,
        "selection": {"arrived_from": "2026-03-01T08:00:00Z", "offsets": {"0": [5, None]}, "cameras": ["/a"]},
        "overrides": {"with": "civic-legacy", "set": {"quality.pass_score": 70}, "models": {"detector": "a@1"}},
    }  # fmt: skip
    parse_command(headers, json.dumps(good).encode())
    validator("replay-command").validate(good)
    validator("replay-command-headers").validate(as_text(headers))
    wrong: list[dict[str, Any]] = [
        {"action": "dance"}, {"pipeline": "A"}, {"rate": 0}, {"camera": "/a"}, {"selection": {"camera": ["/a"]}},
    ]  # fmt: skip
    for change in wrong:
        assert not validator("replay-command").is_valid(good | change), change
        with pytest.raises(ReplayError):
            parse_command(headers, json.dumps(good | change).encode())


def test_answers_to_replay_commands_and_their_headers_match_their_schemas() -> None:
    answer = ReplayAnswer(
        command_id="c", command_source="/planner", action="start", outcome="done", replay_id="r", pipeline="civic",
        state="running", counts={"frames": 3}, answered_at=NOW,
    )  # fmt: skip
    message = answer_message(answer, "k")
    validator("replay-answer").validate(json.loads(message.value or b""))
    validator("event-headers").validate(as_text(message.headers))


# The AsyncAPI document


def document() -> dict[str, Any]:
    content = yaml.safe_load((PACKAGE / "asyncapi.yaml").read_text())
    assert isinstance(content, dict)
    return content


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [ref for child in node.values() for ref in references(child)]
    return [ref for child in node for ref in references(child)] if isinstance(node, list) else []


def resolve(reference: str) -> Any:
    """Follow a reference within the document or to a file beside it."""
    file, _, pointer = reference.partition("#")
    node = json.loads((PACKAGE / file).read_text()) if file else document()
    for part in pointer.strip("/").split("/") if pointer else []:
        node = node[part]
    return node


def test_every_reference_resolves() -> None:
    found = references(document())
    assert len(found) > 20
    for reference in found:
        assert isinstance(resolve(reference), dict), reference


def test_references_inside_the_schemas_resolve() -> None:
    registry = Registry().with_resources(
        (str(body["$id"]), Resource.from_contents(body)) for body in json_schemas().values()
    )
    for body in json_schemas().values():
        resolver = registry.resolver(str(body["$id"]))
        for reference in references(body):
            assert resolver.lookup(reference).contents


def test_every_topic_is_described() -> None:
    content = document()
    assert content["asyncapi"] == "3.0.0"
    assert {channel["address"] for channel in content["channels"].values()} == {
        "frames.{pipeline}", "results.{pipeline}", "artifacts.{pipeline}", "deadletters.{pipeline}", "alerts",
        "emr.{pipeline}", "models.{pipeline}.{role}", "frames.{pipeline}.replay", "results.{pipeline}.replay",
        "replays.{pipeline}", "replay-commands", "replay-answers",
    }  # fmt: skip
    for channel in content["channels"].values():
        assert re.findall(r"{(\w+)}", channel["address"]) == list(channel.get("parameters", {}))
    used = {operation["channel"]["$ref"] for operation in content["operations"].values()}
    assert used == {f"#/channels/{name}" for name in content["channels"]}
    assert {operation["action"] for operation in content["operations"].values()} == {"send", "receive"}


def test_every_message_has_key_headers_and_payload_that_are_schemas() -> None:
    content = document()
    messages = content["components"]["messages"]
    listed = {ref for channel in content["channels"].values() for ref in references(channel["messages"])}
    assert listed == {f"#/components/messages/{name}" for name in messages}
    for message in messages.values():
        assert message["contentType"]
        assert message["bindings"]["kafka"]["key"]["type"] == "string"
        for part in ("headers", "payload"):
            holder = resolve(message[part]["$ref"]) if "$ref" in message[part] else message[part]
            assert holder["schemaFormat"] == "application/schema+json;version=draft-2020-12"
            body = resolve(holder["schema"]["$ref"]) if "$ref" in holder["schema"] else holder["schema"]
            Draft202012Validator.check_schema(body)
            if part == "headers":
                assert body["type"] == "object"


def test_a_planted_wrong_schema_is_noticed() -> None:
    with pytest.raises(jsonschema.SchemaError):
        Draft202012Validator.check_schema({"type": "strnig"})

"""Settings: where values come from, and how wrong ones are named."""

import os
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from sightline.runtime.settings import list_settings, load_settings, unknown_variables


def _file(folder: Path, text: str) -> dict[str, str]:
    path = folder / "sightline.yaml"
    path.write_text(text, encoding="utf-8")
    return {"SIGHTLINE_CONFIG": str(path)}


def test_defaults_need_nothing() -> None:
    settings = load_settings({})
    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert settings.database.url is None


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    env = _file(tmp_path, "kafka:\n  bootstrap_servers: file:1\nworker:\n  threads: 3\n")
    settings = load_settings({**env, "SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS": "env:1"})
    assert settings.kafka.bootstrap_servers == "env:1"
    assert settings.worker.threads == 3


def test_librdkafka_properties_come_from_the_file(tmp_path: Path) -> None:
    env = _file(tmp_path, "kafka:\n  properties:\n    security.protocol: SSL\n    session.timeout.ms: 6000\n")
    assert load_settings(env).kafka.properties == {"security.protocol": "SSL", "session.timeout.ms": 6000}
    with pytest.raises(ConfigurationError, match="SIGHTLINE_KAFKA_PROPERTIES"):
        load_settings({"SIGHTLINE_KAFKA_PROPERTIES": "a=b"})


def test_the_usual_names_of_s3_keys_are_read() -> None:
    env = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_REGION": "eu", "SIGHTLINE_S3_REGION": "us"}
    settings = load_settings(env)
    assert settings.s3.access_key_id == "id"
    assert settings.s3.secret_access_key is not None
    assert settings.s3.region == "us"


def test_a_list_is_split_at_blanks() -> None:
    assert load_settings({"SIGHTLINE_CLAIMS_ALLOWED": "s3://a/ s3://b/"}).claims.allowed == ("s3://a/", "s3://b/")


def test_an_unknown_key_is_named_with_file_and_line(tmp_path: Path) -> None:
    env = _file(tmp_path, "kafka:\n  bootstrap_servers: x:1\n  nonsense: 1\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(env)
    assert caught.value.where == f"{env['SIGHTLINE_CONFIG']}:3"


def test_a_wrong_value_is_named_with_its_variable() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({"SIGHTLINE_WORKER_THREADS": "none"})
    assert caught.value.where == "SIGHTLINE_WORKER_THREADS"


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="SIGHTLINE_CONFIG"):
        load_settings({"SIGHTLINE_CONFIG": "/nowhere.yaml"})


@pytest.mark.parametrize("method", ["database_url", "objects_url"])
def test_a_setting_that_a_command_needs_is_asked_for(method: str) -> None:
    with pytest.raises(ConfigurationError, match="is not set"):
        getattr(load_settings({}), method)()


def test_the_list_says_where_values_come_from_and_masks_secrets(tmp_path: Path) -> None:
    env = _file(tmp_path, "worker:\n  threads: 3\nkafka:\n  properties:\n    sasl.password: hush\n    client.id: me\n")
    env |= {"SIGHTLINE_DATABASE_URL": "postgresql://u:hush@h/d", "AWS_SECRET_ACCESS_KEY": "hush"}
    listed = {setting.name: setting for setting in list_settings(env)}
    assert (listed["worker.threads"].value, listed["worker.threads"].origin) == ("3", env["SIGHTLINE_CONFIG"])
    assert listed["database.url"].origin == "SIGHTLINE_DATABASE_URL"
    assert listed["s3.secret_access_key"].origin == "AWS_SECRET_ACCESS_KEY"
    assert listed["log.level"].origin == "default"
    assert "client.id=me" in listed["kafka.properties"].value
    assert not any("hush" in setting.value for setting in listed.values())


def test_slips_of_the_pen_are_found() -> None:
    env = {"SIGHTLINE_KAFKA_BOOTSTRAP_SERVER": "x", "SIGHTLINE_LOG_LEVEL": "info", "SIGHTLINE_CONFIG": ""}
    assert unknown_variables(env) == ["SIGHTLINE_KAFKA_BOOTSTRAP_SERVER"]


def test_models_are_kept_where_the_user_keeps_what_can_be_had_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert load_settings({}).models.cache_folder() == tmp_path / "home/.cache/sightline/models"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert load_settings({}).models.cache_folder() == tmp_path / "caches/sightline/models"
    assert load_settings({"SIGHTLINE_MODELS_CACHE": "/a/b"}).models.cache_folder() == Path("/a/b")


def test_a_model_gets_the_cores_that_there_are_unless_told() -> None:
    assert load_settings({}).worker.model_threads() == len(os.sched_getaffinity(0))
    assert load_settings({"SIGHTLINE_WORKER_INFERENCE_THREADS": "3"}).worker.model_threads() == 3
    with pytest.raises(ConfigurationError, match="SIGHTLINE_WORKER_DEVICE"):
        load_settings({"SIGHTLINE_WORKER_DEVICE": "abacus"})

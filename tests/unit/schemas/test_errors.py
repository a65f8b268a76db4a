import inspect
import pickle

import pytest

from schemas import errors
from schemas.errors import Code, ConfigurationError, InputError, OutageError, SetupError, SightlineError, Stage


def test_every_code_has_its_own_value_and_an_explanation() -> None:
    assert len({code.value for code in Code}) == len(Code.__members__)
    assert len({code.explanation for code in Code}) == len(Code)
    for code in Code:
        assert code.value == code.name.lower()
        assert code.explanation.endswith(".")
        assert Code(code.value) is code
        assert str(code) == code.value


def test_codes_survive_another_process() -> None:
    assert pickle.loads(pickle.dumps(Code.TIME_INVALID)) is Code.TIME_INVALID  # noqa: S301  # our own bytes


def test_stages_are_unique() -> None:
    assert len({stage.value for stage in Stage}) == len(Stage.__members__)


def test_the_tree_is_as_drawn() -> None:
    drawn: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        name = next((word for word in line.split() if word.endswith("Error")), None)
        if name is None or not line.startswith("    "):
            continue
        depth = (line.index(name) - 4) // 4
        path = [*path[:depth], name]
        drawn[name] = path[depth - 1] if depth else "Exception"
    classes = {
        name: member
        for name, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, Exception) and member.__module__ == errors.__name__
    }
    assert drawn == {name: member.__bases__[0].__name__ for name, member in classes.items()}
    assert drawn["SetupError"] == "OutageError"
    assert drawn["ModelError"] == "ConfigurationError"
    assert len(drawn) == 9


def test_errors_carry_facts() -> None:
    failed = InputError(Code.TIME_INVALID, Stage.FRAME, "why")
    assert (failed.code, failed.stage, failed.reason, str(failed)) == (
        Code.TIME_INVALID, Stage.FRAME, "why", "time_invalid: why",
    )  # fmt: skip
    away = SetupError("postgres", "no table")
    assert (away.service, away.reason) == ("postgres", "no table")
    wrong = ConfigurationError("a.yaml:3", "unknown key")
    assert (wrong.where, wrong.problem, str(wrong)) == ("a.yaml:3", "unknown key", "a.yaml:3: unknown key")


def test_a_wrong_setup_is_handled_as_an_outage_and_poison_is_not() -> None:
    with pytest.raises(OutageError):
        raise SetupError("s3", "denied")
    assert not issubclass(InputError, OutageError)
    assert issubclass(InputError, SightlineError)

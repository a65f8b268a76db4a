from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError
from schemas.pipeline import CheckName, MediaType, load_pipeline

MEDIA_TYPES = ["image/jpeg", "image/png", "image/webp", "image/heic", "image/tiff"]
HEAD = "name: civic\nsummary: civic\ninput:\n  media_types: [image/jpeg, image/png]\n"


def problem(text: str) -> tuple[int, str]:
    """Return the line that is named, and what is said of it."""
    with pytest.raises(ConfigurationError) as caught:
        load_pipeline(text, "dir/civic.yaml")
    file, _, line = caught.value.where.rpartition(":")
    assert file == "dir/civic.yaml"
    assert "\n" not in str(caught.value)
    return int(line), caught.value.problem


def test_a_short_definition_has_the_published_defaults() -> None:
    definition = load_pipeline(HEAD, "civic.yaml")
    assert definition.input.media_types == (MediaType.JPEG, MediaType.PNG)
    assert (definition.gate, definition.keep, definition.quality.pass_score) == ("off", "nothing", 65)
    quality = definition.quality
    weights = [getattr(quality, name).weight for name in CheckName]
    assert (quality.checks, weights) == (tuple(CheckName), [25, 25, 20, 15, 15])
    assert (quality.levels.fair, quality.levels.good, quality.levels.excellent) == (40, 65, 85)


def test_everything_can_be_set() -> None:
    text = HEAD + (
        "gate: reject\nkeep: picture\nbatch: {max_frames: 1, max_bytes: 1, max_wait_ms: 0}\n"
        "quality:\n  checks: [exposure, blur]\n  pass_score: 12.5\n  blur: {weight: 1, min_variance: 1.5e2}\n"
        "  exposure: {max_clipped_share: null}\n"
    )
    definition = load_pipeline(text, "civic.yaml")
    assert definition.quality.checks == (CheckName.EXPOSURE, CheckName.BLUR)
    assert definition.quality.blur.min_variance == 150
    assert definition.quality.exposure.max_clipped_share is None


@pytest.mark.parametrize("word", ["off", "flag", "reject"])
def test_off_is_a_word_not_a_boolean(word: str) -> None:
    assert load_pipeline(f"{HEAD}gate: {word}\n", "a.yaml").gate == word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "nmae: x\n", (5, "nmae: unknown key")),
        (HEAD + "quality:\n  blur:\n    weight: 1\n    wieght: 2\n", (8, "quality.blur.wieght: unknown key")),
        ("nmae: civic\nsummary: civic\ninput:\n  media_types: [image/jpeg]\n", (1, "nmae: unknown key")),
        ("\n\n" + HEAD + "gate: maybe\n", (7, "gate: Input should be 'off', 'flag' or 'reject'")),
        ("", (1, "name: is missing")),
        ("# nothing\n---\n", (1, "name: is missing")),
        ("name: a\nsummary: b\ninput:\n  max_bytes: 1\n", (3, "input.media_types: is missing")),
        ("- name: a\n", (1, "the file: must be a mapping")),
        ("text\n", (1, "the file: must be a mapping")),
        (HEAD + "quality: 7\n", (5, "quality: must be a mapping")),
        (HEAD + "quality:\n  - blur\n", (5, "quality: must be a mapping")),
        (
            "name: a\nsummary: b\ninput:\n  media_types:\n    - image/jpeg\n    - image/gif\n",
            (
                6,
                f"input.media_types.1: Input should be {', '.join(map(repr, MEDIA_TYPES[:-1]))} or {MEDIA_TYPES[-1]!r}",
            ),
        ),
        (HEAD + "quality:\n  checks: [blur]\n  blur:\n    weight: 0\n",
         (5, "quality: the weights of the checks that count are all zero")),
        (HEAD + "quality:\n  checks: [blur, blur]\n", (5, "quality: a check is listed twice")),
        (HEAD + "quality:\n  levels: {good: 90}\n",
         (6, "quality.levels: fair, good and excellent are not in rising order")),
        (HEAD + "quality:\n  levels: {fair: 90}\n",
         (6, "quality.levels: fair, good and excellent are not in rising order")),
        (HEAD + "quality:\n  brightness: {min_mean: 230}\n", (6, "quality.brightness: min_mean is above max_mean")),
        (HEAD + "quality:\n  exposure: {low_point: 1}\n", (6, "quality.exposure: low_point is not below high_point")),
        (HEAD + "gate: flag\nquality:\n  pass_score: x\nbatch: {max_frames: x}\n",
         (7, "quality.pass_score: Input should be a valid number")),
        (HEAD + "name: other\n", (5, "not YAML: a key is repeated")),
        (HEAD + "quality: {blur: {weight: 1,\n  weight: 2}}\n", (6, "not YAML: a key is repeated")),
        (HEAD + "1: 2\n", (5, "1: Keys should be strings")),
    ],
)  # fmt: skip
def test_problems_are_named_with_their_line(text: str, expected: tuple[int, str]) -> None:
    assert problem(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [\n\n", 3), ("a: b: c\n", 1), ("name: 'x\n", 2), ("a: 1\n\tb: 2\n", 2), ("a: 1\n---\nb: 2\n", 2),
        ("a: *nowhere\n", 1), ("a: 1\nb: \x00\n", 2), ("a: 1\n\nb: \ud800\n", 3), ("a: 1\n? [x]\n: 2\n", 2),
        ("a: 1\nb: !!python/object:os.system x\n", 2), ("a: 1\nb: !!int x\n", 2), ("a: !!int ''\n", 1),
        ("a: !!bool maybe\n", 1), ("a: !!float x\n", 1), ("a: !!timestamp x\n", 1), ("a: !!binary é\n", 1),
        ("a: " + "9" * 5000 + "\n", 1), ("[" * 5000, 1), ("{a: " * 5000, 1), ("a: &x [*x, *x]\n&y b: *y\n: c", 3),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_what_is_not_yaml_is_named_with_its_line(text: str, line: int) -> None:
    assert problem(text)[0] == line


@pytest.mark.parametrize("value", ["true", "'16'", "1.5", "0", "-1", ".inf", "[1]", "010", "1_000", "0x10", "1:30"])
def test_numbers_are_numbers(value: str) -> None:
    line, said = problem(f"{HEAD}batch:\n  max_frames: {value}\n")
    assert line == 6
    assert said.startswith("batch.max_frames: ")


def test_the_size_of_a_batch_may_be_left_to_the_worker() -> None:
    assert load_pipeline(f"{HEAD}batch:\n  max_frames: ~\n", "civic.yaml").batch.max_frames is None


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "true", "'1'", "-0.1", "100.1", "1e400", "~"])
def test_scores_are_finite_and_bounded(value: str) -> None:
    line, said = problem(f"{HEAD}quality:\n  pass_score: {value}\n")
    assert (line, said.split(":")[0]) == (6, "quality.pass_score")


@pytest.mark.parametrize(
    ("value", "expected"), [("65", 65.0), ("6.5e1", 65.0), ("65.", 65.0), (".5", 0.5), ("1e1", 10.0)]
)
def test_scores_may_be_written_in_any_way(value: str, expected: float) -> None:
    assert load_pipeline(f"{HEAD}quality: {{pass_score: {value}}}\n", "a.yaml").quality.pass_score == expected


@pytest.mark.parametrize("name", ["Civic", "a.b", "-a", "", "a" * 65, '"a\\n"'])
def test_names_suit_topics(name: str) -> None:
    assert problem(HEAD.replace("name: civic", f"name: {name}"))[0] == 1


def test_dates_and_yes_stay_text() -> None:
    assert load_pipeline(HEAD + "description: 2024-02-31\n", "a.yaml").description == "2024-02-31"
    assert load_pipeline(HEAD + "description: yes\n", "a.yaml").description == "yes"


def test_anchors_and_merges_work() -> None:
    text = HEAD + "quality:\n  blur: &low {weight: 3}\n  exposure: {<<: *low, min_range: 90}\n"
    quality = load_pipeline(text, "a.yaml").quality
    assert (quality.exposure.weight, quality.exposure.min_range) == (3, 90)


def test_aliases_that_grow_or_turn_in_circles_end() -> None:
    rows = "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9))
    assert problem(f"a0: &a0 [x]\n{rows}")[1] == "a0: unknown key"
    assert problem("name: &a [*a]\n")[0] == 1


def test_a_definition_does_not_change() -> None:
    definition: Any = load_pipeline(HEAD, "a.yaml")
    with pytest.raises(ValueError, match="frozen"):
        definition.gate = "flag"


@given(
    st.text(max_size=60) | st.lists(st.sampled_from(list("abc:-[]{}&*!|>'\"#%@`? \n\t<~0.")), max_size=40).map("".join)
)
def test_any_text_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigurationError):
        load_pipeline(text, "a.yaml")

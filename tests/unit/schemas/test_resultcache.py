import pytest

from schemas.resultcache import cache_key

SHA = "ab" * 32
MODELS = {"detector": "d1", "classifier": "c1"}
KEY = cache_key(SHA, "gesture", MODELS, "s1")


def test_a_key_is_the_same_on_any_worker() -> None:
    """Written out: workers of two releases share a cache."""
    assert KEY.pipeline == "gesture"
    assert KEY.digest == "927ad4f53e8ec079bdcc32afd448fc02c2536d30ea7075de0767a6e9bc02b415"


def test_the_order_in_which_roles_are_named_does_not_matter() -> None:
    assert cache_key(SHA, "gesture", dict(reversed(MODELS.items())), "s1") == KEY


@pytest.mark.parametrize(
    ("sha256", "pipeline", "digests", "settings_digest"),
    [
        ("cd" * 32, "gesture", MODELS, "s1"),
        (SHA, "pose", MODELS, "s1"),
        (SHA, "gesture", {"detector": "d2", "classifier": "c1"}, "s1"),
        (SHA, "gesture", {"detector": "c1", "classifier": "d1"}, "s1"),
        (SHA, "gesture", {"detector": "d1"}, "s1"),
        (SHA, "gesture", {}, "s1"),
        (SHA, "gesture", MODELS, "s2"),
    ],
    ids=["content", "pipeline", "model", "models swapped", "fewer models", "no models", "settings"],
)
def test_whatever_an_answer_depends_on_changes_its_key(
    sha256: str, pipeline: str, digests: dict[str, str], settings_digest: str
) -> None:
    assert cache_key(sha256, pipeline, digests, settings_digest).digest != KEY.digest

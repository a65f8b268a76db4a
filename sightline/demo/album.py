"""The overlays as files that a person can open: one for each picture, and a page that shows them all."""

import threading
from collections.abc import Iterator
from html import escape
from pathlib import Path, PurePosixPath

from schemas.errors import ConfigurationError
from schemas.result import ArtifactReference, Result
from sightline.demo.tally import Tally
from sightline.demo.words import findings_of, verdict_of
from sightline.runtime.objectstore import ObjectStore

FOLDER = "overlays"
_PAGE = "index.html"
_EVERY_S = 0.5
_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>sightline demo: overlays</title>
<style>
  body { font-family: system-ui, sans-serif; margin: 2rem; background: #fafafa; color: #222 }
  section { display: flex; flex-wrap: wrap; gap: 1rem }
  figure { margin: 0; width: 20rem } img { width: 100%; background: #ddd } figcaption { font-size: .85rem }
</style>
<h1>sightline demo: what the models saw</h1>
<p>A file's name says what was drawn. The models know drawn scenes only and are not for use.</p>
"""


class Album:
    """Keeps the overlay of each of our pictures as `overlays/PIPELINE/NAME.jpg`, and `page`, which shows them.

    The folder is made with the first picture.
    """

    def __init__(self, tally: Tally, store: ObjectStore, folder: Path) -> None:
        self._tally = tally
        self._store = store
        self._folder = folder / FOLDER
        self._kept: dict[tuple[str, str], tuple[str, Result]] = {}

    @property
    def page(self) -> Path:
        """Where the page lies, once there is a picture."""
        return self._folder / _PAGE

    def run(self, stop: threading.Event) -> None:
        """Keep up with the answers until `stop`. Raises as `update`."""
        while not stop.wait(_EVERY_S):
            self.update()

    def update(self) -> None:
        """Fetch what is new among the objects. Raises OutageError, and ConfigurationError where it cannot write."""
        new = [(place, result) for place, result in self._tally.drawn().items() if self._fetch(place, result)]
        if new:
            self._write(self.page, "".join(self._lines()).encode())

    def count(self) -> int:
        """Return how many pictures there are."""
        return len(self._kept)

    def _fetch(self, place: tuple[str, str], result: Result) -> bool:
        """Write a picture's overlay where it is new and the sink has stored it; return whether."""
        reference = _overlay(result)
        if reference is None or self._kept.get(place, ("",))[0] == reference.key:
            return False
        if self._store.stat(reference.key) is None:
            return False
        self._write(self._folder / _file(place, reference.key), self._store.get(reference.key, reference.size_bytes))
        self._kept[place] = reference.key, result
        return True

    def _write(self, path: Path, data: bytes) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise ConfigurationError("--dir", f"{path}: {error.strerror}") from None

    def _lines(self) -> Iterator[str]:
        yield _HEAD
        for pipeline in sorted({pipeline for pipeline, _ in self._kept}):
            yield f"<h2>{escape(pipeline)}</h2>\n<section>\n"
            for place, (key, result) in sorted(self._kept.items()):
                if place[0] == pipeline:
                    yield _figure(_file(place, key), place[1], result)
            yield "</section>\n"


def _overlay(result: Result) -> ArtifactReference | None:
    return next((artifact for artifact in result.artifacts or () if artifact.kind == "overlay"), None)


def _file(place: tuple[str, str], key: str) -> str:
    pipeline, name = place
    return f"{pipeline}/{PurePosixPath(name).stem}{PurePosixPath(key).suffix}"


def _figure(file: str, name: str, result: Result) -> str:
    words = ", ".join(part for part in (verdict_of(result), findings_of(result)) if part)
    return (
        f'<figure><a href="{escape(file)}"><img src="{escape(file)}" alt="" loading="lazy"></a>'
        f"<figcaption>{escape(name)}: <b>{escape(words)}</b></figcaption></figure>\n"
    )

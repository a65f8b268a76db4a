"""Makes the demo models: draws scenes, trains, exports, scores on unseen scenes, and writes cards and reports.

python demo_models/make.py [NAME...] [--evaluate-only] [--work FOLDER] [--scenes N]
python demo_models/make.py dataset NAME FOLDER [--count N] [--unseen]

The first form needs torch, ultralytics, onnx, onnxruntime and Pillow, the second only numpy, OpenCV and PyYAML.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo_models.making import dataset
from demo_models.making.subjects import DESCRIPTIONS, SUBJECTS, folder_of

_WORK = Path(tempfile.gettempdir()) / "sightline-demo-models"


def main() -> None:
    """Run one of the two forms."""
    if sys.argv[1:2] == ["dataset"]:
        _write_dataset(_dataset_arguments().parse_args(sys.argv[2:]))
    else:
        _make(_make_arguments().parse_args())


def _make_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(DESCRIPTIONS)}; none: all")
    parser.add_argument("--evaluate-only", action="store_true", help="score the models that are there")
    parser.add_argument("--work", type=Path, default=_WORK, help="where scenes and checkpoints are kept")
    parser.add_argument("--scenes", type=int, default=300, help="how many unseen scenes to score on")
    return parser


def _dataset_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make.py dataset", description="Write scenes in YOLO folder form.")
    parser.add_argument("name", choices=sorted(SUBJECTS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--unseen", action="store_true", help="scenes of the kind that training never saw")
    return parser


def _write_dataset(chosen: argparse.Namespace) -> None:
    dataset.write(SUBJECTS[chosen.name], chosen.folder, range(chosen.count), unseen=chosen.unseen)


def _make(chosen: argparse.Namespace) -> None:
    # Before torch is loaded: its threads then sleep while they wait, and ultralytics installs and fetches nothing.
    os.environ.update(OMP_WAIT_POLICY="PASSIVE", YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")
    from demo_models.making.build import build, score  # noqa: PLC0415 - the other form runs without torch
    from demo_models.making.figures import write_figures  # noqa: PLC0415

    for name in chosen.names or DESCRIPTIONS:
        if name not in DESCRIPTIONS:
            sys.exit(f"{name} is not a demo model; there are {', '.join(DESCRIPTIONS)}")
        report = score(name, chosen.scenes) if chosen.evaluate_only else build(name, chosen.work, chosen.scenes)
        print(name, json.dumps(report, indent=2))
        (folder_of(name) / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        write_figures()


if __name__ == "__main__":
    main()

"""Runs as a plain file in the export environment, which has ultralytics and torch and knows nothing of sightline.

Usage: python script.py REQUEST.json. The request names a `.pt` file, the variants to export and the pictures to run
the original on; the answer goes to the file that it names. Standard output and error are for people.
"""

import ast
import json
import shutil
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

Request = dict[str, Any]
Answer = dict[str, Any]

# How ultralytics is asked for each variant; the size and the calibration pictures come in addition.
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "onnx": {"format": "onnx", "dynamic": True},
    "onnx-int8": {"format": "onnx", "dynamic": True, "quantize": 8},
    "coreml": {"format": "coreml"},
}
_COREML_TYPES = {65552: "float16", 65568: "float32", 65600: "float64", 131104: "int32"}


def main(request_file: str) -> None:
    """Do what the request says; what fails is written down with its kind and message, and the rest goes on."""
    request: Request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    answer: Answer = {"variants": {}, "recordings": {}}
    try:
        model = _describe(request, answer)
        for variant in request["variants"]:
            answer["variants"][variant] = _attempt(lambda variant=variant: _export(request, variant))  # type: ignore[misc]
        for recording in request["recordings"]:
            recording["size"] = request["size"]
            name = recording["name"]
            answer["recordings"][name] = _attempt(lambda recording=recording: _record(model, recording))  # type: ignore[misc]
    except Exception as error:  # noqa: BLE001  # whatever it is, the other side reads it from the answer
        answer["error"] = _facts(error)
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def _describe(request: Request, answer: Answer) -> Any:
    torch, ultralytics = import_module("torch"), import_module("ultralytics")
    # Nothing of this is anybody else's business.
    ultralytics.settings.update({"sync": False})
    torch.set_num_threads(request["threads"])
    answer["ultralytics"], answer["torch"] = ultralytics.__version__, torch.__version__
    model = ultralytics.YOLO(request["weights"])
    size = request["size"] or model.overrides.get("imgsz") or 640
    request["size"] = size if isinstance(size, int) else list(size)
    answer["task"], answer["size"] = model.task, request["size"]
    answer["classes"] = [model.names[number] for number in sorted(model.names)]
    return model


def _attempt(step: Callable[[], Answer]) -> Answer:
    try:
        return step()
    except Exception as error:  # noqa: BLE001  # as above
        return {"error": _facts(error)}


def _facts(error: Exception) -> Answer:
    traceback.print_exc()
    return {"kind": type(error).__name__, "message": str(error)[:1000]}


def _export(request: Request, variant: str) -> Answer:
    """Export a copy of the weights in a folder of its own, since the exporter writes beside them."""
    ultralytics = import_module("ultralytics")
    folder = Path(request["folder"], variant)
    folder.mkdir()
    if variant == "onnx-fp16":
        return {"path": _halve(Path(request["folder"], "onnx", "model.onnx"), folder / "model.onnx")}
    weights = Path(shutil.copy(request["weights"], folder / "model.pt"))
    model = ultralytics.YOLO(str(weights))
    arguments = {**_ARGUMENTS[variant], "imgsz": request["size"], "device": "cpu", "verbose": False}
    if arguments.get("quantize") == 8:  # noqa: PLR2004  # bits
        arguments.update(data=_calibration(request, model), split="val", batch=1)
    exported = Path(model.export(**arguments))
    answer: Answer = {"path": str(exported)}
    if variant == "coreml":
        answer["interface"] = _coreml_interface(exported)
    else:
        _forget_the_data_set(exported)
    return answer


def _forget_the_data_set(exported: Path) -> None:
    """Take the path of the pictures out of the file, which ultralytics writes there: it may name a person."""
    onnx = import_module("onnx")
    model = onnx.load(str(exported))
    for entry in model.metadata_props:
        if entry.key == "description":
            entry.value = entry.value.partition(" trained on ")[0]
    onnx.save(model, str(exported))


def _halve(source: Path, target: Path) -> str:
    """Convert an exported FP32 file, up to where boxes and scores are worked out; inputs and outputs stay float32.

    Half precision has 11 bits: of coordinates up to 640 nothing below half a pixel would be left.
    """
    onnx, float16 = import_module("onnx"), import_module("onnxruntime.transformers.float16")
    model = onnx.load(str(source))
    kept = _after_the_last_weights(model.graph.node)
    halved = float16.convert_float_to_float16(model, keep_io_types=True, node_block_list=kept)
    _skip_detours(halved.graph.node, full=onnx.TensorProto.FLOAT, half=onnx.TensorProto.FLOAT16)
    graph = import_module("onnxruntime.transformers.onnx_model").OnnxModel(halved)
    graph.prune_graph()
    graph.topological_sort()
    for entry in halved.metadata_props:
        if entry.key == "args":
            entry.value = str({**ast.literal_eval(entry.value), "quantize": 16})
    onnx.save(halved, str(target))
    return str(target)


def _after_the_last_weights(nodes: Any) -> list[str]:
    """Return the names of the nodes from which no learned weights follow; they stand in the order of execution."""
    feeding: set[str] = set()
    kept = []
    for node in reversed(nodes):
        # "dfl" is the mean of a distribution over distances, written as a convolution with the weights 0, 1, 2 ...
        weighted = node.op_type in {"Conv", "ConvTranspose", "Gemm", "MatMul"} and "/dfl/" not in node.name
        if weighted or feeding.intersection(node.output):
            feeding.update(node.input)
        else:
            kept.append(node.name)
    return kept


def _skip_detours(nodes: Any, full: int, half: int) -> None:
    """Undo casts to half precision and back, which the conversion puts between any two nodes that it leaves alone.

    A tensor that two of these read it casts twice, under one name; one of both goes.
    """
    casts: dict[str, Any] = {}
    for place in reversed(range(len(nodes))):
        if nodes[place].op_type == "Cast" and nodes[place].output[0] in casts:
            del nodes[place]
        elif nodes[place].op_type == "Cast":
            casts[nodes[place].output[0]] = nodes[place]
    for cast in casts.values():
        before = casts.get(cast.input[0])
        if before is not None and _cast_to(cast) == full and _cast_to(before) == half:
            cast.input[0] = before.input[0]


def _cast_to(cast: Any) -> Any:
    return next(attribute.i for attribute in cast.attribute if attribute.name == "to")


def _calibration(request: Request, model: Any) -> str:
    """Lay the pictures out as links in a folder of ours, since ultralytics writes files beside what it reads.

    They need no labels: calibration looks at pixels only. Returns what `data=` takes.
    """
    root = Path(request["folder"], "calibration")
    classify = model.task == "classify"
    for number, (picture, class_name) in enumerate(request["calibration"]):
        folders = [root / split / class_name for split in ("train", "val")] if classify else [root / "images"]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:06}{Path(picture).suffix}").symlink_to(picture)
    if classify:
        return str(root)
    content = {"path": str(root), "train": "images", "val": "images", "names": list(model.names.values())}
    if model.task == "pose":
        content["kpt_shape"] = list(model.model.kpt_shape)
    data = root / "data.yaml"
    data.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return str(data)


def _coreml_interface(package: Path) -> Answer:
    """Read what a Core ML package takes and gives; running it needs Apple's systems."""
    description = import_module("coremltools").utils.load_spec(str(package)).description
    return {
        "inputs": [_coreml_feature(feature) for feature in description.input],
        "outputs": [_coreml_feature(feature) for feature in description.output],
        "metadata": dict(description.metadata.userDefined),
    }


def _coreml_feature(feature: Any) -> Answer:
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        return {
            "name": feature.name,
            "kind": "image",
            "wh": [feature.type.imageType.width, feature.type.imageType.height],
        }
    array = feature.type.multiArrayType
    return {"name": feature.name, "kind": _COREML_TYPES.get(array.dataType, kind), "shape": list(array.shape)}


def _record(model: Any, recording: Answer) -> Answer:
    """Run the original on each picture by itself; one JSON line a picture, in their order."""
    pictures = recording["pictures"]
    with Path(recording["path"]).open("w", encoding="utf-8") as file:
        for picture in pictures:
            result = model.predict(
                picture,
                imgsz=recording["size"],
                rect=False,
                conf=recording["confidence"],
                iou=recording["iou"],
                max_det=recording["max_detections"],
                device="cpu",
                verbose=False,
                save=False,
            )[0]
            file.write(json.dumps(_line(result)) + "\n")
    return {"path": recording["path"], "pictures": len(pictures)}


def _line(result: Any) -> Answer:
    height, width = result.orig_shape
    line: Answer = {"wh": [width, height]}
    if result.probs is not None:
        line["probabilities"] = _rounded(result.probs.data, 6)
        return line
    line["boxes"] = _rounded(result.boxes.xyxy, 3)
    line["confidences"] = _rounded(result.boxes.conf, 6)
    line["classes"] = [int(number) for number in result.boxes.cls.tolist()]
    if result.masks is not None:
        line["rings"] = [_rings(mask, result.orig_shape) for mask in result.masks.data.numpy().astype("uint8")]
    if result.keypoints is not None:
        line["keypoints"] = _rounded(result.keypoints.data, 3)
    return line


def _rings(mask: Any, original_hw: tuple[int, int]) -> Any:
    """Outline each piece of a mask by itself, in pixels of the original; ultralytics' own outline joins them to one."""
    scale = import_module("ultralytics.utils.ops").scale_coords
    cv2 = import_module("cv2")
    found, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    rings = [ring.reshape(-1, 2).astype("float32") for ring in found]
    return [_rounded(scale(mask.shape, ring, original_hw), 2) for ring in rings]


def _rounded(values: Any, digits: int) -> Any:
    """Turn a tensor or array, of any depth, into lists of rounded numbers."""
    return _round(values.tolist(), digits)


def _round(value: Any, digits: int) -> Any:
    return [_round(one, digits) for one in value] if isinstance(value, list) else round(value, digits)


if __name__ == "__main__":
    main(sys.argv[1])

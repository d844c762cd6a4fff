"""Times that others measured and published: what the estimator is fitted to, and apart from them what it is tested on.

A time is that of the network on the GPU, batch 1, without copies. Fitted to: ``FIT``, and for other families ``LANES``,
``THOR`` and ``CPU``. ``SEEN`` was looked at while the form of the model was chosen; ``UNSEEN`` was first compared when
form and fit were done, and nothing was changed after. Thor failed the same test, so it got ``THOR`` to be fitted to;
``THOR_TEST`` is what was left of its times.
"""

from __future__ import annotations

from dataclasses import dataclass

from prosthesis.board.boards import PRECISIONS, Precision


@dataclass(frozen=True, slots=True)
class Measured:
    """One published time of a network of ``networks.py`` on a board in a power mode, in ms; ``power_w`` if told."""

    network: str
    board: str
    mode: str
    precision: Precision
    ms: float
    source: str
    power_w: float | None = None


CHOI = "hokwangchoi/jetson-orin-nano-benchmarks, raw JSON of 2026-04-14 (JetPack 6.2, TensorRT 10.3, trtexec GPU time)"
KIM = "the0807/YOLOv8-ONNX-TensorRT (Orin Nano, nvpmodel -m 0, jetson_clocks)"
IDEIN = "Idein/aicast_jetson_benchmark (JetPack 5.1.2, 4.6.1; trtexec's throughput, for FP16 on Orin its GPU time)"
DUSTY = "dusty-nv/jetson-inference, change log of 2019-10-03 (frames a second; FP16)"
NOTA = "Nota NetsPresso Trainer, table of TensorRT latencies (FP16; power mode not told, the fastest assumed)"

ULTRALYTICS = "docs.ultralytics.com/guides/nvidia-jetson, versions 8.3.51 to 8.3.226 (without pre- and post-processing)"

FIT: tuple[Measured, ...] = (
    Measured("yolov8n", "orin_nano_8gb_super", "15W", "fp32", 11.04, CHOI, 10.88),
    Measured("yolov8n", "orin_nano_8gb_super", "15W", "fp16", 6.13, CHOI, 10.21),
    Measured("yolov8n", "orin_nano_8gb_super", "15W", "int8", 4.90, CHOI, 9.08),
    Measured("yolov8n", "orin_nano_8gb_super", "MAXN_SUPER", "fp32", 8.36, CHOI, 14.30),
    Measured("yolov8n", "orin_nano_8gb_super", "MAXN_SUPER", "fp16", 4.43, CHOI, 14.14),
    Measured("yolov8n", "orin_nano_8gb_super", "MAXN_SUPER", "int8", 3.49, CHOI, 12.49),
    Measured("yolov8n", "orin_nano_8gb", "15W", "fp16", 7.3, KIM),
    Measured("yolov8s", "orin_nano_8gb", "15W", "fp16", 11.4, KIM),
    Measured("yolov8m", "orin_nano_8gb", "15W", "fp16", 23.6, KIM),
    Measured("yolov8n", "orin_nano_8gb", "15W", "int8", 5.8, KIM),
    Measured("yolov8s", "orin_nano_8gb", "15W", "int8", 8.2, KIM),
    Measured("yolov8m", "orin_nano_8gb", "15W", "int8", 17.1, KIM),
)

# boards without tensor cores have one efficiency of their own
LANES: tuple[Measured, ...] = (
    Measured("yolox-s leaky", "jetson_nano", "MAXN", "fp32", 1000 / 6.5, IDEIN),
    Measured("yolox-s leaky", "jetson_nano", "MAXN", "fp16", 1000 / 10.6, IDEIN),
)

SEEN: tuple[Measured, ...] = (
    Measured("yolox-s leaky", "orin_nano_8gb", "15W", "fp32", 1000 / 49.0, IDEIN),
    Measured("yolox-s leaky", "orin_nano_8gb", "15W", "fp16", 10.18, IDEIN),
    Measured("yolox-s leaky", "orin_nano_8gb", "15W", "int8", 1000 / 126.3, IDEIN),
    Measured("fcn-resnet18 512x256", "jetson_nano", "MAXN", "fp16", 1000 / 48, DUSTY),
    Measured("fcn-resnet18 1024x512", "jetson_nano", "MAXN", "fp16", 1000 / 12, DUSTY),
    *(
        Measured(network, board, mode, "fp16", ms, NOTA)
        for board, mode, times in (
            ("orin_nano_8gb", "15W", (1.99792, 3.48368, 4.80201, 1.56278, 2.51209, 15.508, 32.276, 53.4317)),
            ("agx_orin_64gb", "MAXN", (0.520046, 0.87017, 1.1421, 0.721624, 0.919789, 3.18338, 6.2141, 9.27001)),
            ("xavier_nx", "MODE_20W_6CORE", (1.78444, 3.28956, 4.16903, 1.24565, 1.96175, 13.7659, 29.2506, 49.0844)),
            ("jetson_tx2", "MAXN", (4.18611, 7.52092, 11.0185, 3.64664, 4.96121, 35.8665, 82.2585, 153.366)),
            ("jetson_nano", "MAXN", (10.8578, 19.5193, 29.2816, 5.0241, 11.278, 95.8883, 224.517, 415.363)),
        )
        for network, ms in zip(
            (
                "resnet-18",
                "resnet-34",
                "resnet-50",
                "mobilenet-v3-small",
                "mobilenet-v3-large",
                "yolox-s",
                "yolox-m",
                "yolox-l",
            ),
            times,
            strict=True,
        )
    ),
)

_UNSEEN: tuple[Measured, ...] = tuple(
    Measured(network, board, mode, precision, ms, ULTRALYTICS)
    for board, mode, times in (
        ("orin_nano_8gb_super", "MAXN_SUPER", (7.60, 4.91, 3.91, 13.29, 7.30, 5.25, 28.21, 13.99, 9.58)),
        ("orin_nx_16gb", "MAXN", (7.94, 4.80, 4.17, 13.93, 7.47, 5.66, 30.49, 14.93, 10.32)),
        ("agx_orin_64gb", "MAXN", (3.93, 2.55, 2.18, 6.52, 3.65, 2.81, 12.53, 6.25, 4.69)),
        ("thor_t5000", "MAXN", (1.70, 1.20, 1.29, 2.57, 1.55, 1.50, 5.29, 2.42, 2.20)),
    )
    for (network, precision), ms in zip(
        ((network, precision) for network in ("yolo11n", "yolo11s", "yolo11m") for precision in PRECISIONS),
        times,
        strict=True,
    )
)
# Thor's own family: one factor from the middle network, tested on the others
THOR = tuple(item for item in _UNSEEN if item.board == "thor_t5000" and item.network == "yolo11s")
THOR_TEST = tuple(item for item in _UNSEEN if item.board == "thor_t5000" and item not in THOR)
UNSEEN = tuple(item for item in _UNSEEN if item.board != "thor_t5000")

OURS = "measured by us: ONNX Runtime 1.32, one thread of an AVX2 server processor, least processor time of 12 runs"
CPU, CPU_TEST = (
    tuple(Measured(graph, "laptop_cpu", "one_core", "fp32", ms, OURS) for graph, ms in times)
    for times in (
        (
            ("objects/graph", 18.72),
            ("reading/find", 75.51),
            ("faces/embedder", 12.49),
            ("learned-letters-64/graph", 1.12),
            ("edges-64/graph", 0.30),
        ),
        (("reading/read", 29.21), ("faces/detector", 7.85), ("saliency-64/graph", 0.33)),
    )
)

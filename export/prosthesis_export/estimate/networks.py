"""Published networks, written down from their papers: what others have timed on boards, so what we are checked on.

No weights and no code of theirs; tests hold the totals against the papers' own counts.
"""

from __future__ import annotations

from collections.abc import Callable

from prosthesis_export.estimate.layers import Layer, Shape, Sheet


def resnet(depths: tuple[int, int, int, int], size: tuple[int, int] = (224, 224), classes: int = 1000) -> list[Layer]:
    """ResNet-18 and -34 (He et al. 2016, arXiv 1512.03385, table 1); ``size`` is (height, width)."""
    sheet = Sheet()
    at = _resnet_trunk(sheet, depths, size)
    at = sheet.mean(at)
    sheet.linear(1, at[0], classes)
    return sheet.rows


def resnet50(classes: int = 1000) -> list[Layer]:
    """ResNet-50 (He et al. 2016, table 1), the stride on the 3x3 as in the implementations that are timed."""
    sheet = Sheet()
    at = sheet.pool(sheet.conv((3, 224, 224), 64, 7, 2), 2)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            if not block:
                sheet.conv(at, 4 * width, 1, stride)
            inner = sheet.conv(sheet.conv(at, width), width, 3, stride)
            at = sheet.conv(inner, 4 * width, residual=True)
    at = sheet.mean(at)
    sheet.linear(1, at[0], classes)
    return sheet.rows


def fcn_resnet18(height: int, width: int, classes: int = 21) -> list[Layer]:
    """ResNet-18 without its head, then 3x3 and 1x1 convolutions (Long et al. 2015, arXiv 1411.4038).

    As deployed in jetson-inference: no dilation, and the result is enlarged outside of the network.
    """
    sheet = Sheet()
    at = _resnet_trunk(sheet, (2, 2, 2, 2), (height, width))
    sheet.conv(sheet.conv(at, 128, 3), classes)
    return sheet.rows


def mobilenet_v3(*, large: bool, classes: int = 1000) -> list[Layer]:
    """MobileNetV3 (Howard et al. 2019, arXiv 1905.02244, tables 1 and 2) at 224x224."""
    sheet = Sheet()
    at = sheet.conv((3, 224, 224), 16, 3, 2, gated=True)
    for kernel, wide, out, squeeze, stride, gated in _LARGE if large else _SMALL:
        at = _inverted(sheet, at, kernel, wide, out, stride, squeeze=squeeze, gated=gated)
    at = sheet.mean(sheet.conv(at, 960 if large else 576, gated=True))
    hidden = 1280 if large else 1024
    sheet.linear(1, at[0], hidden)
    sheet.linear(1, hidden, classes)
    return sheet.rows


def yolov8(depth: float, width: float, most: int, side: int = 640, classes: int = 80) -> list[Layer]:
    """YOLOv8 as its public description draws it (docs.ultralytics.com/models/yolov8): n, s and m by two factors."""
    sheet = Sheet(gated=True)

    def wide(channels: int) -> int:
        return -(-round(min(channels, most) * width) // 8) * 8

    def deep(blocks: int) -> int:
        return max(1, round(blocks * depth))

    at = sheet.conv(sheet.conv((3, side, side), wide(64), 3, 2), wide(128), 3, 2)
    at = _c2f(sheet, at, wide(128), deep(3), residual=True)
    p3 = _c2f(sheet, sheet.conv(at, wide(256), 3, 2), wide(256), deep(6), residual=True)
    p4 = _c2f(sheet, sheet.conv(p3, wide(512), 3, 2), wide(512), deep(6), residual=True)
    at = _c2f(sheet, sheet.conv(p4, wide(1024), 3, 2), wide(1024), deep(3), residual=True)
    p5 = _pyramid_pool(sheet, at, at[0])
    n4 = _c2f(sheet, _join(sheet.up(p5), p4), wide(512), deep(3))
    n3 = _c2f(sheet, _join(sheet.up(n4), p3), wide(256), deep(3))
    n4 = _c2f(sheet, _join(sheet.conv(n3, wide(256), 3, 2), n4), wide(512), deep(3))
    n5 = _c2f(sheet, _join(sheet.conv(n4, wide(512), 3, 2), p5), wide(1024), deep(3))
    boxes, kinds = max(16, n3[0] // 4, 64), max(n3[0], min(classes, 100))
    for level in (n3, n4, n5):
        sheet.conv(sheet.conv(sheet.conv(level, boxes, 3), boxes, 3), 64, gated=False)
        sheet.conv(sheet.conv(sheet.conv(level, kinds, 3), kinds, 3), classes, gated=False)
    _list_of_boxes(sheet, (n3, n4, n5), classes)
    return sheet.rows


def yolo11(depth: float, width: float, most: int, *, nested: bool, side: int = 640, classes: int = 80) -> list[Layer]:
    """YOLO11 as its public description draws it (docs.ultralytics.com/models/yolo11); ``nested`` for m and larger."""
    sheet = Sheet(gated=True)

    def wide(channels: int) -> int:
        return -(-round(min(channels, most) * width) // 8) * 8

    blocks = max(1, round(2 * depth))

    def stage(at: Shape, channels: int, *, deep: bool, share: float = 0.5) -> Shape:
        return _c3k2(sheet, at, wide(channels), blocks, nested=deep or nested, share=share)

    at = sheet.conv(sheet.conv((3, side, side), wide(64), 3, 2), wide(128), 3, 2)
    at = stage(at, 256, deep=False, share=0.25)
    p3 = stage(sheet.conv(at, wide(256), 3, 2), 512, deep=False, share=0.25)
    p4 = stage(sheet.conv(p3, wide(512), 3, 2), 512, deep=True)
    at = stage(sheet.conv(p4, wide(1024), 3, 2), 1024, deep=True)
    p5 = _attending(sheet, _pyramid_pool(sheet, at, at[0]), blocks)
    n4 = stage(_join(sheet.up(p5), p4), 512, deep=False)
    n3 = stage(_join(sheet.up(n4), p3), 256, deep=False)
    n4 = stage(_join(sheet.conv(n3, wide(256), 3, 2), n4), 512, deep=False)
    n5 = stage(_join(sheet.conv(n4, wide(512), 3, 2), p5), 1024, deep=True)
    boxes, kinds = max(16, n3[0] // 4, 64), max(n3[0], min(classes, 100))
    for level in (n3, n4, n5):
        sheet.conv(sheet.conv(sheet.conv(level, boxes, 3), boxes, 3), 64, gated=False)
        inner = sheet.conv(sheet.conv(level, level[0], 3, groups=level[0]), kinds)
        inner = sheet.conv(sheet.conv(inner, kinds, 3, groups=kinds), kinds)
        sheet.conv(inner, classes, gated=False)
    _list_of_boxes(sheet, (n3, n4, n5), classes)
    return sheet.rows


def yolox(depth: float, width: float, side: int = 640, classes: int = 80, *, leaky: bool = False) -> list[Layer]:
    """YOLOX (Ge et al. 2021, arXiv 2107.08430): CSPDarknet with a space-to-depth stem, PAFPN, decoupled heads.

    ``leaky`` has leaky rectifiers for SiLU, as compilers for other accelerators want it.
    """
    sheet = Sheet(gated=not leaky)
    base = max(round(3 * depth), 1)
    c = int(64 * width)
    sheet.move("space to depth", 3 * side * side, 3 * side * side)
    at = sheet.conv((12, side // 2, side // 2), c, 3)
    at = _csp(sheet, sheet.conv(at, 2 * c, 3, 2), 2 * c, base, residual=True)
    p3 = _csp(sheet, sheet.conv(at, 4 * c, 3, 2), 4 * c, 3 * base, residual=True)
    p4 = _csp(sheet, sheet.conv(p3, 8 * c, 3, 2), 8 * c, 3 * base, residual=True)
    at = _pyramid_pool(sheet, sheet.conv(p4, 16 * c, 3, 2), 16 * c)
    p5 = _csp(sheet, at, 16 * c, base)
    f5 = sheet.conv(p5, 8 * c)
    f4 = sheet.conv(_csp(sheet, _join(sheet.up(f5), p4), 8 * c, base), 4 * c)
    n3 = _csp(sheet, _join(sheet.up(f4), p3), 4 * c, base)
    n4 = _csp(sheet, _join(sheet.conv(n3, 4 * c, 3, 2), f4), 8 * c, base)
    n5 = _csp(sheet, _join(sheet.conv(n4, 8 * c, 3, 2), f5), 16 * c, base)
    for level in (n3, n4, n5):
        stem = sheet.conv(level, 4 * c)
        sheet.conv(sheet.conv(sheet.conv(stem, 4 * c, 3), 4 * c, 3), classes, gated=False)
        boxes = sheet.conv(sheet.conv(stem, 4 * c, 3), 4 * c, 3)
        sheet.conv(boxes, 5, gated=False)
    places = sum(level[1] * level[2] for level in (n3, n4, n5))
    sheet.move("one list of boxes and scores", (5 + classes) * places, (5 + classes) * places)
    return sheet.rows


NETWORKS: dict[str, Callable[[], list[Layer]]] = {
    "yolov8n": lambda: yolov8(1 / 3, 0.25, 1024),
    "yolov8s": lambda: yolov8(1 / 3, 0.5, 1024),
    "yolov8m": lambda: yolov8(2 / 3, 0.75, 768),
    "yolo11n": lambda: yolo11(0.5, 0.25, 1024, nested=False),
    "yolo11s": lambda: yolo11(0.5, 0.5, 1024, nested=False),
    "yolo11m": lambda: yolo11(0.5, 1.0, 512, nested=True),
    "yolox-s leaky": lambda: yolox(1 / 3, 0.5, leaky=True),
    "yolox-s": lambda: yolox(1 / 3, 0.5),
    "yolox-m": lambda: yolox(2 / 3, 0.75),
    "yolox-l": lambda: yolox(1.0, 1.0),
    "resnet-18": lambda: resnet((2, 2, 2, 2)),
    "resnet-34": lambda: resnet((3, 4, 6, 3)),
    "resnet-50": resnet50,
    "mobilenet-v3-small": lambda: mobilenet_v3(large=False),
    "mobilenet-v3-large": lambda: mobilenet_v3(large=True),
    "fcn-resnet18 512x256": lambda: fcn_resnet18(256, 512),
    "fcn-resnet18 1024x512": lambda: fcn_resnet18(512, 1024),
}

# kernel, expanded width, output, squeeze and excitation, stride, hard swish
_Block = tuple[int, int, int, bool, int, bool]
_LARGE: tuple[_Block, ...] = (
    (3, 16, 16, False, 1, False),
    (3, 64, 24, False, 2, False),
    (3, 72, 24, False, 1, False),
    (5, 72, 40, True, 2, False),
    (5, 120, 40, True, 1, False),
    (5, 120, 40, True, 1, False),
    (3, 240, 80, False, 2, True),
    (3, 200, 80, False, 1, True),
    (3, 184, 80, False, 1, True),
    (3, 184, 80, False, 1, True),
    (3, 480, 112, True, 1, True),
    (3, 672, 112, True, 1, True),
    (5, 672, 160, True, 2, True),
    (5, 960, 160, True, 1, True),
    (5, 960, 160, True, 1, True),
)
_SMALL: tuple[_Block, ...] = (
    (3, 16, 16, True, 2, False),
    (3, 72, 24, False, 2, False),
    (3, 88, 24, False, 1, False),
    (5, 96, 40, True, 2, True),
    (5, 240, 40, True, 1, True),
    (5, 240, 40, True, 1, True),
    (5, 120, 48, True, 1, True),
    (5, 144, 48, True, 1, True),
    (5, 288, 96, True, 2, True),
    (5, 576, 96, True, 1, True),
    (5, 576, 96, True, 1, True),
)


def _resnet_trunk(sheet: Sheet, depths: tuple[int, int, int, int], size: tuple[int, int]) -> Shape:
    at = sheet.pool(sheet.conv((3, *size), 64, 7, 2), 2)
    for stage, blocks in enumerate(depths):
        width = 64 << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            if stride == 2:
                sheet.conv(at, width, 1, 2)
            at = sheet.conv(sheet.conv(at, width, 3, stride), width, 3, residual=True)
    return at


def _inverted(
    sheet: Sheet, at: Shape, kernel: int, wide: int, out: int, stride: int, *, squeeze: bool, gated: bool
) -> Shape:
    inside = sheet.conv(at, wide, gated=gated) if wide != at[0] else at
    inside = sheet.conv(inside, wide, kernel, stride, groups=wide, gated=gated)
    if squeeze:
        few = -(-(wide // 4) // 8) * 8
        sheet.mean(inside)
        sheet.linear(1, wide, few)
        sheet.linear(1, few, wide)
        size = inside[0] * inside[1] * inside[2]
        sheet.move("scale channels", size, size)
    return sheet.conv(inside, out, residual=stride == 1 and out == at[0])


def _c2f(sheet: Sheet, at: Shape, out: int, blocks: int, *, residual: bool = False) -> Shape:
    half = out // 2
    first = sheet.conv(at, out)
    inner: Shape = (half, first[1], first[2])
    for _ in range(blocks):
        inner = sheet.conv(sheet.conv(inner, half, 3), half, 3, residual=residual)
    return sheet.conv(((2 + blocks) * half, inner[1], inner[2]), out)


def _c3k2(sheet: Sheet, at: Shape, out: int, blocks: int, *, nested: bool, share: float) -> Shape:
    part = int(out * share)
    first = sheet.conv(at, 2 * part)
    inner: Shape = (part, first[1], first[2])
    for _ in range(blocks):
        inner = _csp33(sheet, inner) if nested else sheet.conv(sheet.conv(inner, part // 2, 3), part, 3, residual=True)
    return sheet.conv(((2 + blocks) * part, inner[1], inner[2]), out)


def _csp33(sheet: Sheet, at: Shape) -> Shape:
    half = at[0] // 2
    inner = sheet.conv(at, half)
    sheet.conv(at, half)
    for _ in range(2):
        inner = sheet.conv(sheet.conv(inner, half, 3), half, 3, residual=True)
    return sheet.conv((2 * half, inner[1], inner[2]), at[0])


def _attending(sheet: Sheet, at: Shape, blocks: int) -> Shape:
    half, places = at[0] // 2, at[1] * at[2]
    heads = max(1, half // 64)
    sheet.conv(at, 2 * half)
    inner: Shape = (half, at[1], at[2])
    for _ in range(blocks):
        sheet.conv(inner, 2 * half, gated=False)
        sheet.product(heads, places, 32, places)
        sheet.move("softmax", heads * places * places, heads * places * places)
        sheet.product(heads, places, places, 64)
        sheet.conv(inner, half, 3, groups=half, residual=True, gated=False)
        sheet.conv(inner, half, residual=True, gated=False)
        sheet.conv(sheet.conv(inner, 2 * half), half, residual=True, gated=False)
    return sheet.conv((2 * half, at[1], at[2]), at[0])


def _list_of_boxes(sheet: Sheet, levels: tuple[Shape, ...], classes: int) -> None:
    places = sum(level[1] * level[2] for level in levels)
    sheet.move("boxes from distributions", 64 * places, 4 * places)
    sheet.move("one list of boxes and scores", (4 + classes) * places, (4 + classes) * places)


def _csp(sheet: Sheet, at: Shape, out: int, blocks: int, *, residual: bool = False) -> Shape:
    half = out // 2
    inner = sheet.conv(at, half)
    sheet.conv(at, half)
    for _ in range(blocks):
        inner = sheet.conv(sheet.conv(inner, half), half, 3, residual=residual)
    return sheet.conv((2 * half, inner[1], inner[2]), out)


def _pyramid_pool(sheet: Sheet, at: Shape, out: int) -> Shape:
    half = at[0] // 2
    inner = sheet.conv(at, half)
    for _ in range(3):
        sheet.pool(inner)
    return sheet.conv((4 * half, inner[1], inner[2]), out)


def _join(one: Shape, other: Shape) -> Shape:
    # both branches write into one buffer: no kernel of its own
    return (one[0] + other[0], one[1], one[2])

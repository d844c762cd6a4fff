"""Another device's frames as a camera, for two devices that see the same: read at its tap, numbers and times kept."""

from __future__ import annotations

import cv2
import numpy as np
import zmq

from prosthesis.config import CameraConfig
from prosthesis.errors import CameraError, ProsthesisError
from prosthesis.messages import Frame, readonly
from prosthesis.schemas import decode
from prosthesis.taps import Context, listen


class TapCamera:
    """Hands out the newest frame that the device whose tap is at ``address`` (HOST:PORT) has carried.

    ``seq`` and ``t_ns`` are that device's, so that both devices' messages can be compared frame by frame. Its frames
    come to nobody while it is not running. Raises ``CameraError`` when ``address`` is none.
    """

    live = False  # the other device has checked them

    def __init__(self, address: str, config: CameraConfig) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise CameraError(f"camera source 'tap:{address}': write tap:HOST:PORT, the other device's tap")
        self.fault: str | None = None
        self._address = address
        self._size = (config.width, config.height)
        self._context: Context = zmq.Context()
        self._listener = listen([f"tcp://{host}:{port}"], ["frame"], self._context)
        self._closed = False

    def read(self, timeout_s: float) -> Frame | None:
        """Return the newest unseen frame, ``None`` when none came in ``timeout_s``; ``EOFError`` once closed."""
        if self._closed:
            raise EOFError("the camera is closed")
        newest = self._listener.receive(timeout_s)
        while newest is not None and (newer := self._listener.receive(0)) is not None:
            newest = newer
        if newest is None:
            self.fault = f"the device at {self._address} carries no frames"
            return None
        try:
            frame = decode(*newest)
        except ProsthesisError as error:
            raise CameraError(str(error)) from error
        if not isinstance(frame, Frame):
            return None
        if frame.rgb.shape[1::-1] == self._size:
            return frame
        resized = cv2.resize(frame.rgb, self._size, interpolation=cv2.INTER_AREA)
        return Frame(frame.seq, frame.t_ns, readonly(resized, np.uint8))

    def close(self) -> None:
        """Release the socket; reading afterwards raises ``EOFError``."""
        if not self._closed:
            self._closed = True
            self._listener.close()
            self._context.term()

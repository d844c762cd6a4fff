"""Power by a fake INA3221 in sysfs and a fake tegrastats."""

import time

import pytest

from prosthesis.board.power import Meter, sensor_rails, tegrastats_rails, whole

# a real line of an Orin Nano (hokwangchoi/jetson-orin-nano-benchmarks)
LINE = (
    "RAM 519/7607MB (lfb 1x4MB) EMC_FREQ 0%@3199 GR3D_FREQ 0%@[1018] gpu@49.593C "
    "VDD_IN 5971mW/5971mW VDD_CPU_GPU_CV 1669mW/1669mW VDD_SOC 2308mW/2308mW"
)


def rail(root, number, name, millivolts, milliamperes):
    folder = root / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"in{number}_label").write_text(name + "\n")
    if millivolts is not None:
        (folder / f"in{number}_input").write_text(f"{millivolts}\n")
    if milliamperes is not None:
        (folder / f"curr{number}_input").write_text(f"{milliamperes}\n")


@pytest.fixture
def board(tmp_path):
    rail(tmp_path, 1, "VDD_IN", 5000, 1200)
    rail(tmp_path, 2, "VDD_CPU_GPU_CV", 5000, 400)
    rail(tmp_path, 3, "NC", 0, 0)
    rail(tmp_path, 7, "sum of shunt voltages", 12, None)
    return tmp_path


def test_rails_are_volts_times_amperes(board):
    assert sensor_rails(board) == {"VDD_IN": pytest.approx(6.0), "VDD_CPU_GPU_CV": pytest.approx(2.0)}


def test_the_whole_module_is_one_rail_where_there_is_one(board):
    assert whole(sensor_rails(board)) == {"VDD_IN": pytest.approx(6.0)}
    agx = {"VDD_GPU_SOC": 3.0, "VDD_CPU_CV": 2.0, "VIN_SYS_5V0": 4.0}
    assert whole(agx) == agx


def test_tegrastats_is_read_by_its_present_values():
    assert tegrastats_rails(LINE) == {"VDD_IN": 5.971, "VDD_CPU_GPU_CV": 1.669, "VDD_SOC": 2.308}


def test_the_meter_takes_the_mean(board):
    readings = iter([{"VDD_IN": 0.0}, {"VDD_IN": 4.0}, {"VDD_IN": 8.0}])
    with Meter(read=lambda: next(readings, {})) as meter:
        time.sleep(0.2)
    # the first reading only finds the sensor
    assert (meter.drawn.watts, meter.drawn.samples, meter.drawn.sensor) == (6.0, 2, "ina3221")


def test_without_a_sensor_tegrastats_is_run(tmp_path, monkeypatch):
    tool = tmp_path / "tegrastats"
    tool.write_text(f"#!/bin/sh\n[ \"$1\" = --interval ] || exit 2\necho '{LINE}'\nexec sleep 60\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with Meter(tmp_path) as meter:
        end = time.monotonic() + 5
        while not meter._samples and time.monotonic() < end:
            time.sleep(0.01)
    assert (meter.drawn.watts, meter.drawn.sensor) == (5.971, "tegrastats")


def test_without_any_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with Meter(tmp_path) as meter:
        pass
    assert meter.drawn is None

"""What a run does is counted exactly, on every machine alike: a number that changes here is a change of the design."""

import pytest

from benchmarks.counts import count, main
from benchmarks.inputs import Sizes, input_of

SIDE, TILE, SEGMENT = 1024, 512, 256
HALO = 8 + 1 + 1
"""Pixels beside a tile that the chain needs: gaussian sigma 2, sobel, sharpen."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("counts")


def counted(folder, kind="gray", **options):
    return count(input_of(folder, kind, Sizes(SIDE)), folder / "out.ome.zarr", **{"tile": TILE, **options})


def test_windows_are_one_task_per_tile_and_read_the_halo_alone_twice(folder):
    found = counted(folder)
    assert (found.tiles, found.tasks_per_tile) == (4, 1)
    along = SIDE + (SIDE // TILE - 1) * 2 * HALO
    assert found.bytes_read_twice == (along**2 - SIDE**2) * 2
    assert (found.asked, found.decoded) == (0, 0)


def test_a_wider_kernel_reads_more_twice(folder):
    found = counted(folder, stages=[{"op": "gaussian", "sigma": 20, "engine": "separable"}])
    along = SIDE + 2 * 80
    assert found.bytes_read_twice == (along**2 - SIDE**2) * 2


def test_one_tile_reads_nothing_twice(folder):
    found = counted(folder, tile=SIDE)
    assert (found.tiles, found.tasks_per_tile, found.bytes_read_twice) == (1, 1, 0)


def test_overlap_takes_a_bounded_number_of_tasks(folder):
    found = counted(folder, method="overlap")
    assert found.tiles == 4
    assert 1 < found.tasks_per_tile <= 12


def test_the_chain_multiplies_as_often_as_its_kernels_are_long(folder):
    gaussian, sobel, sharpen = 17 + 17, 2 * (3 + 3), 9
    assert counted(folder).operations_per_pixel == gaussian + sobel + sharpen
    assert counted(folder, stages=[{"op": "gaussian", "sigma": 2}]).operations_per_pixel == gaussian
    assert counted(folder, stages=[{"op": "gaussian", "sigma": 2, "engine": "fft"}]).operations_per_pixel == 0


def test_every_compressed_segment_is_decoded_once(folder):
    found = counted(folder, "deflate")
    assert (found.decoded, found.again) == ((SIDE // SEGMENT) ** 2, 0)
    touched = 2 * (TILE // SEGMENT + 1)  # two tiles along an axis, each with a segment of its neighbour's
    assert found.asked == touched**2


def test_main_prints_a_row_per_input_and_halo(folder, capsys):
    assert main(["--folder", str(folder), "--side", "512", "--tile", "256"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[0].strip("| "), row[1]) for row in rows] == [
        (kind, method) for kind in ("gray", "deflate") for method in ("windows", "overlap")
    ]
    assert {row[2] for row in rows} == {"4"}

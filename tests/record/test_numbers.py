"""Numbers as runs against the numbers one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tileconv.record.numbers import Numbers


@given(st.lists(st.booleans(), max_size=40))
def test_they_are_those_that_the_mask_marks(mask):
    numbers, expected = Numbers(np.array(mask, bool)), [n for n, marked in enumerate(mask) if marked]
    assert (list(numbers), len(numbers), bool(numbers)) == (expected, len(expected), bool(expected))
    assert [numbers[n] for n in range(-len(expected), len(expected))] == 2 * expected
    assert (numbers[1:-1], numbers[::-2]) == (expected[1:-1], expected[::-2])
    assert [n in numbers for n in range(len(mask))] == mask


def test_there_is_none_beyond_the_last():
    with pytest.raises(IndexError):
        Numbers(np.array([True, False, True]))[2]


def test_a_million_of_which_a_few_are_missing_take_a_few_bytes():
    mask = np.ones(1_000_000, bool)
    mask[[5, 6, 700_000]] = False
    numbers = Numbers(mask)
    assert sum(column.nbytes for column in vars(numbers).values()) < 200
    assert (len(numbers), numbers[5], numbers[-1]) == (999_997, 7, 999_999)

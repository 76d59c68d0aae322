"""Who is to blame for workers that are lost, and how many tasks are handed out together."""

from __future__ import annotations

import random

import pytest

from mnncompat.fleet.batches import Batches
from mnncompat.fleet.losses import Losses


def test_a_task_that_loses_two_workers_is_to_blame_where_nobody_else_is_lost() -> None:
    losses = Losses()
    losses.note("a", [1, 2])
    assert [losses.is_suspect(task) for task in (0, 1, 2)] == [False, True, True]
    assert not losses.is_accused(1)
    losses.note("b", [1])
    assert [losses.is_accused(task) for task in (0, 1, 2)] == [False, True, False]
    assert losses.is_to_blame(1)
    assert losses.with_task(1) == ("a", "b")


def test_a_task_is_not_blamed_for_workers_that_it_shared() -> None:
    losses = Losses()
    for worker in "abcd":
        losses.note(worker, [1, 2])
    assert not losses.is_accused(1)


def test_where_workers_are_lost_anyway_it_takes_more() -> None:
    losses = Losses()
    for _ in range(100):
        losses.begun()
    for worker in "abc":
        losses.note(worker, [10, 11])
    for count, worker in enumerate("defgh", 1):
        losses.note(worker, [1])
        assert losses.is_to_blame(1) is (count >= 3), count


@pytest.mark.parametrize("seed", range(5))
def test_chance_is_not_blamed_and_a_poisoned_one_always_is(seed: int) -> None:
    """Every run of 200 tasks may lose its worker by chance, one in thirty; task 0 always does."""
    draw = random.Random(seed)
    losses, left = Losses(), list(range(200))
    accused: list[int] = []
    blamed: list[int] = []
    for turn in range(10_000):
        if not left:
            blamed += [each for each in accused if losses.is_to_blame(each)]
            left, accused = [each for each in accused if each not in blamed], []
            if not left:
                break
        task = left.pop(0)
        losses.begun()
        if task == 0 or draw.random() < 1 / 30:
            losses.note(str(turn), [task])
            (accused if losses.is_accused(task) else left).append(task)
    assert (left, blamed) == ([], [0])
    assert len(losses.with_task(0)) <= 6


def test_batches_take_about_as_long_as_they_should() -> None:
    batches = Batches(1000, lambda _task: 1000)
    assert batches.next(2) == (0,)
    for seconds in (1.0, 0.002, 0.002):  # the first of a process takes long
        batches.took(seconds)
    assert len(batches.next(2)) == 200
    assert len(batches.next(2)) == 200
    batches.back([1, 2])
    assert batches.next(200) == (1, 2)  # the end is shared by all


def test_large_models_go_by_themselves() -> None:
    batches = Batches(4, lambda task: 10 << 20 if task else 20 << 20)
    batches.took(0.001)
    assert [batches.next(1), batches.next(1), batches.next(1)] == [(0,), (1,), (2,)]


def test_a_batch_ends_before_what_a_worker_cannot_do() -> None:
    batches = Batches(100, lambda _task: 1)
    batches.took(0.001)
    assert batches.next(1, lambda task: task < 3) == (0, 1, 2)
    assert batches.next(1, lambda task: task < 3) == ()
    assert batches.first == 3

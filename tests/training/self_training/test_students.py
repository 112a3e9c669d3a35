"""What each student learns from: the rows and the teachers of its own fold; the last one from all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sentiment_batch.records import Choice
from sentiment_batch.training import components
from sentiment_batch.training.components import set_up
from sentiment_batch.training.folds import FinishedFold
from sentiment_batch.training.prepare import prepare
from sentiment_batch.training.self_training import distillation
from sentiment_batch.training.self_training.distillation import STUDENT_CROPS, DistillationPlan
from sentiment_batch.training.self_training.students import ALL_ROWS, Students
from sentiment_batch.training.self_training.unlabelled_file import UnlabelledTexts

POOL = UnlabelledTexts(
    name="pool.csv", texts=["one film", "two films"], rows=2, blank=0, labelled=0, limit=9, source=None
)
SURE = 4.0
"""A logit of which both of its signs are far above the confidence."""


@pytest.fixture
def setup(settings, reviews, tiny_base):
    """A run of 120 rows in three folds, or in a split with `folds=0`."""

    def make(**chosen):
        how = settings(**{"folds": 3} | chosen)
        cpu, float32 = Choice(value="cpu", reason="a test"), Choice(value="float32", reason="a test")
        return set_up(prepare([reviews(120)], how), tiny_base, how, cpu, float32, quiet=True)

    return make


def teacher(setup, part, pool, *, strength=1.0, taught=None):
    """A teacher that is right about its rows, with this logit for positive about each unlabelled text."""
    folds, codes = setup.data.folds, setup.data.validation.codes
    codes = codes if folds is None else codes[folds.validation_M == part]
    signs = np.where(codes == 1, strength, -strength)
    return FinishedFold(
        history=(),
        logits_NK=np.stack([-signs, signs], axis=1).astype(np.float32),
        unlabelled_MK=np.array([[-one, one] for one in pool], dtype=np.float32),
        training_NK=taught,
    )


def students_of(setup, teachers, members=1):
    return Students(setup, DistillationPlan(unlabelled=POOL, members=members, confidence=0.8, weight=0.5), teachers)


def learn(students, setup, part):
    """The training texts of a student, and how many of them are unlabelled."""
    training = students.make(setup if part == ALL_ROWS else setup.with_fold(part), part).training
    rows = len(students._find_rows(part))
    return training, rows


@pytest.mark.parametrize(
    ("limit", "chosen", "expected"), [(121, None, STUDENT_CROPS), (123, None, 0.7), (121, 0.3, 0.3), (121, 0.0, 0.0)]
)
def test_a_student_crops_more_often_if_its_texts_are_few(setup, monkeypatch, limit, chosen, expected):
    monkeypatch.setattr(components, "MIN_CROP_TOKENS", 4)
    monkeypatch.setattr(components, "MIN_ROWS_WITHOUT_CROPS", limit)
    run = setup(random_crops=chosen)
    assert run.config.random_crops == (0.7 if chosen is None else chosen), "120 labelled rows are few"
    student = students_of(run, [teacher(run, part, [SURE, SURE]) for part in range(3)]).make(run, ALL_ROWS)
    assert len(student.training) == 122
    assert student.config.random_crops == expected


def test_a_student_of_an_ensemble_alone_crops_as_its_teachers(setup, monkeypatch):
    monkeypatch.setattr(components, "MIN_CROP_TOKENS", 4)
    monkeypatch.setattr(components, "MIN_ROWS_WITHOUT_CROPS", 1)
    run = setup(folds=0, ensemble=2)
    taught = np.zeros((len(run.data.training), 2), dtype=np.float32)
    plan = DistillationPlan(unlabelled=None, members=2, confidence=0.8, weight=0.5)
    student = Students(run, plan, [replace(teacher(run, 0, [SURE], taught=taught), unlabelled_MK=None)] * 2).make(
        run, 0
    )
    assert student.config.random_crops == run.config.random_crops == 0.0


@pytest.mark.parametrize(("longest", "chosen", "noted"), [(4, None, True), (4, 0.5, False), (400, None, False)])
def test_the_random_parts_of_a_student_are_said(setup, monkeypatch, longest, chosen, noted):
    monkeypatch.setattr(distillation, "MIN_CROP_TOKENS", longest)
    run = setup(random_crops=chosen)
    plan = DistillationPlan(unlabelled=POOL, members=1, confidence=0.8, weight=0.5)
    notes = [note for note in distillation.describe_cost(run, plan) if "random part" in note]
    wanted = "the student learns from a random part of a text of more than 4 tokens in 50 % of the cases, or more"
    assert [note.startswith(wanted) for note in notes] == [True] * noted


def test_a_student_learns_from_the_teacher_of_its_fold_alone(setup):
    run = setup()
    students = students_of(run, [teacher(run, part, [sign, sign]) for part, sign in enumerate((SURE, -SURE, 0.0))])
    for part, label in enumerate((1, 0)):
        training, rows = learn(students, run, part)
        assert training.codes[rows:].tolist() == [label, label]
    training, rows = learn(students, run, 2)
    assert len(training) == rows, "its teacher is not sure"


def test_a_student_learns_no_row_of_its_fold(setup):
    run = setup()
    students = students_of(run, [teacher(run, part, [SURE, SURE]) for part in range(3)])
    for part in range(3):
        training, rows = learn(students, run, part)
        kept = np.flatnonzero(run.data.folds.training_N != part)
        assert rows == len(kept) < 120
        assert training.codes[:rows].tolist() == run.data.training.codes[kept].tolist()


def test_the_last_student_learns_from_all_teachers_and_rows(setup):
    run = setup(calibrate=False)
    students = students_of(run, [teacher(run, part, [SURE, sign]) for part, sign in enumerate((SURE, -SURE, SURE))])
    training, rows = learn(students, run, ALL_ROWS)
    assert rows == 120
    assert training.codes[rows:].tolist() == [1], "two of three are no sure majority"


def test_the_rows_of_a_fold_do_not_calibrate_its_teacher(setup):
    run, pool = setup(), [SURE / 2, SURE / 2]

    def soft_labels(strength):
        teachers = [teacher(run, 0, pool, strength=strength), *(teacher(run, part, pool) for part in (1, 2))]
        students = students_of(run, teachers)
        return [learn(students, run, part)[0].soft_labels for part in range(3)]

    before, after = soft_labels(1.0), soft_labels(-3.0)
    assert (before[0] == after[0]).all()
    assert before[1].shape != after[1].shape or (before[1] != after[1]).any()


def test_all_students_have_one_schedule(setup):
    run = setup()
    students = students_of(run, [teacher(run, part, [sign, sign]) for part, sign in enumerate((SURE, 0.0, 0.0))])
    steps = {students.make(run.with_fold(part), part).schedule.steps for part in range(3)}
    assert len(steps) == 1


def test_labelled_rows_learn_from_an_ensemble_as_well(setup):
    run = setup(folds=0)
    taught = np.zeros((len(run.data.training), 2), dtype=np.float32)
    students = students_of(run, [teacher(run, 0, [0.0, 0.0], taught=taught) for _ in range(2)], members=2)
    training = students.make(run, 0).training
    assert sorted(set(training.soft_labels.ravel().tolist())) == [0.25, 0.75], "half of the label, half of 0.5"


def test_without_anything_to_learn_no_student_can_learn(setup):
    run = setup(folds=0)
    assert not students_of(run, [teacher(run, 0, [0.0, 0.0])]).can_learn
    assert students_of(run, [teacher(run, 0, [SURE, 0.0])]).can_learn

import pytest
import torch

from sentiment_batch.training.weight_average import WeightAverage


def weights(classifier) -> dict[str, torch.Tensor]:
    return {name: one.detach().clone() for name, one in classifier.named_parameters()}


def move(classifier, by: float) -> None:
    with torch.no_grad():
        for one in classifier.parameters():
            one += by


def test_it_follows_the_weights_and_is_used_within_its_block(learner):
    classifier, _ = learner()
    before = weights(classifier)
    average = WeightAverage(classifier, decay=0.5)
    move(classifier, 1.0)
    average.update(1_000)
    moved = weights(classifier)
    with average.in_place():
        for name, one in weights(classifier).items():
            torch.testing.assert_close(one, before[name] + 0.5)
    assert all(one.equal(moved[name]) for name, one in weights(classifier).items())


def test_an_error_in_the_block_leaves_the_weights_as_they_were(learner):
    classifier, _ = learner()
    average = WeightAverage(classifier, decay=0.5)
    move(classifier, 1.0)
    moved = weights(classifier)
    with pytest.raises(KeyboardInterrupt), average.in_place():
        raise KeyboardInterrupt
    assert all(one.equal(moved[name]) for name, one in weights(classifier).items())


def test_until_the_decay_is_reached_a_step_counts_by_its_number(learner):
    classifier, _ = learner()
    average = WeightAverage(classifier, decay=0.999)
    begun = weights(classifier)
    for step in range(1, 11):
        move(classifier, 1.0)
        average.update(step)
    mean = sum(step * step for step in range(1, 11)) / sum(range(1, 11))
    for name, one in average.capture().items():
        torch.testing.assert_close(one, begun[name] + mean)


def test_what_was_captured_can_be_gone_on_from(learner):
    classifier, _ = learner()
    first = WeightAverage(classifier, decay=0.9)
    move(classifier, 1.0)
    first.update(50)
    captured = {name: one.clone() for name, one in first.capture().items()}
    second = WeightAverage(classifier, decay=0.9)
    second.restore(captured)
    for average in (first, second):
        average.update(51)
    assert all(one.equal(second.capture()[name]) for name, one in first.capture().items())
    with pytest.raises(KeyError):
        second.restore({})

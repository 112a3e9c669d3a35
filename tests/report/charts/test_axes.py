from sentiment_batch.report.charts.axes import build_axis


def test_rows_have_no_halves_and_shares_have():
    assert build_axis("rows", [0, 1, 2], from_zero=True).ticks == (0, 1, 2)
    assert build_axis("rows", [1], from_zero=True).ticks == (0, 1)
    assert build_axis("rows", [0, 900], from_zero=True).ticks[-1] == 1_000
    assert build_axis("accuracy", [0, 1], percent=True).ticks == (0, 0.5, 1)
    assert build_axis("loss", [0.25, 1]).ticks[1] % 1 > 0

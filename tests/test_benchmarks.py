"""The benchmarks count and write right. How fast anything is, is not tested."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from benchmarks import client, report, targets
from benchmarks.browser import contenders as pages
from benchmarks.columns import columns_of
from benchmarks.contenders import BARE, TEMPORARY, gcs, s3
from benchmarks.groups import GROUPS as ALL_GROUPS
from benchmarks.groups import Group, measure
from benchmarks.measures import MB, Measure, Results, Spread, Work
from benchmarks.stores import discarding
from tests.support.servers import ROOT

SMALL = Work(64 * 1024, 1, 10 * MB)
LARGE = Work(256 * 1024, 1, 10 * MB)


def measured(contender: str, number: int, seconds: float, work: Work = SMALL, **more) -> Measure:
    values = {"cpu": 0.01, "peak": 60 * MB, "idle": 50 * MB, **more}
    return Measure(contender, work, number, seconds, **values)


RESULTS = Results(
    [
        measured("bare", 0, 0.1),
        measured("ours", 0, 0.2, lag=0.003, each=(0.1, 0.2)),
        # The machine was ten times slower in this round.
        measured("ours", 1, 2.0, lag=0.005, client_cpu=0.5),
        measured("bare", 1, 1.0),
        measured("bare", 2, 0.1),
        measured("ours", 2, 0.1, lag=0.004),
    ],
    "bare",
)


def test_a_ratio_compares_what_one_round_measured():
    assert RESULTS.ratio("ours", SMALL) == Spread(0.5, 0.5, 1.0)
    assert RESULTS.ratio("bare", SMALL, "ours") == Spread(2.0, 1.0, 2.0)


def test_a_spread_is_of_what_is_known():
    assert RESULTS.spread("ours", SMALL, lambda m: m.lag_ms) == Spread(4.0, 3.0, 5.0)
    assert RESULTS.spread("ours", SMALL, lambda m: m.client_share) == Spread(25, 25, 25)
    assert RESULTS.spread("ours", SMALL, lambda m: m.unfairness) == Spread(2, 2, 2)
    assert RESULTS.spread("bare", SMALL, lambda m: m.lag_ms) is None
    assert RESULTS.spread("nobody", SMALL, lambda m: m.rate) is None


def test_change_is_from_one_work_to_another():
    results = Results([measured("ours", 0, 1.0), measured("ours", 0, 2.0, LARGE)], "ours")
    assert results.change("ours", LARGE, SMALL) == Spread(0.5, 0.5, 0.5)


def test_a_measure_in_units():
    one = measured("ours", 0, 0.5)
    assert (one.rate, one.cpu_per_gb, one.growth) == (20, 1, 10)


def test_the_table_has_a_row_for_each_contender_and_work():
    lines = report.table(RESULTS).splitlines()
    assert lines[0].startswith("| frames |  | ratio | MB/s | CPU s/GB |")
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| 64 KiB | bare | 1.00 (1.00 to 1.00) | 100 | 1.00 | 10 |  |")
    assert lines[3] == "| 64 KiB | ours | 0.50 (0.50 to 1.00) | 50 | 1.00 | 10 | 4.0 | 2.0 | 25% |"
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("work", "varying", "labels"),
    [
        (LARGE, "frames", ["64 KiB", "256 KiB"]),
        (Work(64 * 1024, 1000, 10 * MB), "at once", ["1", "1,000"]),
        (Work(64 * 1024, 1, 2000 * MB), "size", ["10 MB", "2 GB"]),
    ],
)
def test_works_are_called_by_what_distinguishes_them(work, varying, labels):
    works = [SMALL, work]
    assert report.varying(works) == varying
    assert [report.label(one, works) for one in works] == labels


def test_a_section_replaces_what_is_between_its_markers():
    text = "before\n<!-- a: measured -->\nold\n<!-- a: end -->\nafter\n"
    once = report.replaced(text, "a", "new")
    assert once == "before\n<!-- a: measured -->\n\nnew\n\n<!-- a: end -->\nafter\n"
    assert report.replaced(once, "a", "new") == once
    with pytest.raises(LookupError, match="b: measured"):
        report.replaced(text, "b", "new")


def test_a_target_holds_or_not_or_was_not_measured():
    def rows(bound: float, name: str, at_least: bool = True):
        figure = targets.ratio("group", name, SMALL)
        return targets.row(targets.Target("ours", figure, bound, at_least), {"group": RESULTS})

    assert rows(0.5, "ours") == ["ours", "≥ 0.5", "0.50", "holds"]
    assert rows(0.51, "ours") == ["ours", "≥ 0.51", "0.50", "does not hold"]
    assert rows(0.4, "ours", at_least=False) == ["ours", "≤ 0.4", "0.50", "does not hold"]
    assert rows(0.5, "nobody") == ["ours", "≥ 0.5", "", "not measured"]
    assert "not measured" in targets.table({})


@pytest.mark.parametrize("size", [0, 17, 125, 126, 65535, 65536, 300_000])
def test_the_clients_frames_are_websocket_frames(size):
    payload = bytes(range(256)) * (size // 256 + 1)
    reader = StreamReader()
    reader.feed_data(client.frame_header(2, size) + payload[:size])
    parsing = Frame.parse(reader.read_exact, mask=True)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert (parsed.value.value.opcode, parsed.value.value.data) == (Opcode.BINARY, payload[:size])
    assert not reader.buffer


@pytest.mark.parametrize("size", [0, 125, 126, 70_000])
def test_the_client_takes_a_servers_frames_apart(size):
    frame = Frame(Opcode.TEXT, b"x" * size).serialize(mask=False)
    received = bytearray(frame[:-1])
    assert client.parse(received) is None
    received += frame[-1:] + b"rest"
    assert client.parse(received) == (1, b"x" * size)
    assert received == b"rest"


def test_the_page_has_a_section_for_each_group():
    page = (ROOT / "docs" / "performance.md").read_text()
    for name in ("targets", *(group.name for group in ALL_GROUPS)):
        assert report.replaced(page, name, "figures").count("figures") > page.count("figures")


#: No disk has room for it.
TOO_LARGE = Work(65536, 1, 10**18)

GROUPS = [
    Group(
        "local",
        "Local",
        ("uvicorn",),
        lambda _url: [BARE, TEMPORARY],
        [Work(65536, 3, 10**6), TOO_LARGE],
    ),
    Group("s3", "S3", ("boto3",), s3, [LARGE], store=discarding),
    Group("gcs", "GCS", ("google-cloud-storage",), gcs, [LARGE], store=discarding),
]


BROWSER = Group(
    "browser",
    "Browser",
    ("uvicorn",),
    lambda _url: [pages.GUNICORN, pages.TUS, pages.OURS],
    [Work(0, 1, 10**6)],
    store=pages.chromium,
)


def test_a_real_run_in_the_browser():
    results = measure(BROWSER, rounds=1, full=False)
    for contender in results.contenders():
        [one] = results.of(contender, BROWSER.works[0])
        assert one.seconds > 0 and one.page.thread > 0 and one.page.tab > 10 * MB
        assert one.page.slowest_input > 0, "the probe was pressed"
    assert {column.heading for column in columns_of(results)} >= {"page's thread", "tab, MB"}


def test_files_are_called_by_their_number_and_size():
    works = [Work(0, 100, 100 * MB), Work(0, 2000, 20 * MB)]
    assert [report.label(work, works) for work in works] == ["100 of 1 MB", "2,000 of 10 kB"]


@pytest.mark.parametrize("group", GROUPS, ids=[group.name for group in GROUPS])
def test_a_real_run(tmp_path, group):
    page = tmp_path / "page.md"
    page.write_text(f"<!-- {group.name}: measured --><!-- {group.name}: end -->")
    results = measure(group, rounds=2, full=False)
    assert [*results.works(), *results.skipped] == group.works
    for contender in results.contenders():
        ours = results.of(contender, group.works[0])
        assert [one.round for one in ours] == [0, 1]
        assert all(one.cpu > 0 and one.seconds > 0 and one.idle <= 2 * one.peak for one in ours)
    report.write(page, group, results)
    assert report.table(results) in page.read_text()
    assert ("were left out" in page.read_text()) == (TOO_LARGE in group.works)
    plot = (tmp_path / "page" / f"{group.name}.svg").read_text()
    assert all(contender in plot for contender in results.contenders())

"""The page of docs, the dashboard and the alarms name what there is."""

from __future__ import annotations

import json
import logging
import logging.config
import re

import pytest
from prometheus_client import CollectorRegistry

from djust_uploads import signals
from djust_uploads.observability import PrometheusMetrics
from tests.support.connection import Connection
from tests.support.servers import ROOT

DOCS = (ROOT / "docs" / "observability.md").read_text()
DASHBOARD = (ROOT / "examples" / "observability" / "grafana.json").read_text()
ALARMS = (ROOT / "examples" / "deploy" / "alerts.yml").read_text()
#: What a scrape calls the samples of a metric, by its type.
SUFFIXES = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


@pytest.fixture(scope="module")
def exported():
    """What is exported: the names of samples, each with its labels."""
    registry = CollectorRegistry()
    PrometheusMetrics(registry)
    return {
        family.name + suffix: _labels(registry, family.name)
        for family in registry.collect()
        for suffix in SUFFIXES[family.type]
    }


def _labels(registry, name):
    [collector] = [one for one in registry._collector_to_names if getattr(one, "_name", "") == name]
    return set(collector._labelnames)


def expressions(text):
    """Each use of a metric in PromQL, with the labels by which it is summed."""
    by = r"by \(([a-z_, ]+)\) \((?:rate\()?(djust_uploads_[a-z_]+)"
    return [(name, set(labels.split(", "))) for labels, name in re.findall(by, text)]


@pytest.mark.parametrize("text", [DOCS, DASHBOARD, ALARMS], ids=["docs", "dashboard", "alarms"])
def test_expressions_name_what_is_exported(text, exported):
    queries = "\n".join(re.findall("`([^`]+[({][^`]+)`", text)) if text is DOCS else text
    named = set(re.findall(r"\bdjust_uploads_[a-z_]+", queries))
    assert len(named) > 4
    assert named <= set(exported)
    for name, labels in expressions(queries):
        # Prometheus adds the instance.
        assert labels - {"le", "instance"} <= exported[name], name


def test_the_table_has_each_metric_and_its_labels(exported):
    rows = re.findall(r"^\| `(djust_uploads_\w+)` \|([^|]*)\|", DOCS, re.M)
    table = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    histograms = {name.removesuffix("_sum") for name in exported if name.endswith("_sum")}
    endings = ("_bucket", "_sum", "_count")
    assert table == {
        **{name: labels for name, labels in exported.items() if not name.endswith(endings)},
        **{name: exported[f"{name}_sum"] for name in histograms},
    }


def test_every_metric_has_a_panel(exported):
    drawn = set(re.findall(r"\bdjust_uploads_[a-z_]+", DASHBOARD))
    assert {name for name in exported if not name.endswith(("_sum", "_count"))} == drawn
    assert len({panel["id"] for panel in json.loads(DASHBOARD)["panels"]}) == 11


def test_the_table_has_each_signal():
    named = set(re.findall(r"^\| `(upload_[a-z]+)` \|", DOCS, re.M))
    assert named >= {name for name in vars(signals) if name.startswith("upload_")}


async def test_the_log_as_json(capsys):
    """The configuration in the docs, as it is there."""
    scope: dict = {}
    exec(re.search(r"^LOGGING = .*?^}$", DOCS, re.M | re.S)[0], scope)
    logger = logging.getLogger("djust_uploads")
    try:
        logging.config.dictConfig(scope["LOGGING"])
        async with Connection() as page:
            await page.upload(bytes(1000))
    finally:
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
    line = json.loads(capsys.readouterr().err.splitlines()[0])
    fields = re.findall(r"`(upload_(?:event|id|slot|sink|bytes|size|seconds|code))`", DOCS)
    assert set(fields) <= set(line)
    assert (line["levelname"], line["upload_event"], line["upload_bytes"]) == (
        "INFO",
        "completed",
        1000,
    )

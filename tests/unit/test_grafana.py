"""The Grafana dashboard has what Grafana needs to import and to draw it."""

from itertools import combinations, pairwise

from tests.monitoring import grafana

DASHBOARD = grafana()
PANELS = DASHBOARD["panels"]
COLUMNS = 24


def test_it_can_be_imported():
    assert DASHBOARD["title"]
    assert 0 < len(DASHBOARD["uid"]) <= 40
    assert DASHBOARD["schemaVersion"] >= 36  # since which a data source is an object
    assert DASHBOARD.get("id") is None  # Grafana gives it one


def test_its_data_source_is_chosen_by_a_variable():
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )


def test_every_panel_asks_that_data_source():
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["title"]
        assert panel["type"] in {"row", "stat", "timeseries"}
        if panel["type"] != "row":
            assert panel["datasource"] == source
            assert panel["targets"], panel["title"]
            assert all(target["expr"] and target["datasource"] == source for target in panel["targets"])
            names = [target["refId"] for target in panel["targets"]]
            assert len(set(names)) == len(names)


def test_panels_have_ids_of_their_own():
    ids = [panel["id"] for panel in PANELS]
    assert all(first < second for first, second in pairwise(sorted(ids)))


def test_panels_do_not_overlap():
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] >= 0 <= place["y"]
        assert place["x"] + place["w"] <= COLUMNS
        assert place["w"] > 0 < place["h"]
    for one, other in combinations(PANELS, 2):
        assert not (_meet(one, other, "x", "w") and _meet(one, other, "y", "h")), (
            one["title"],
            other["title"],
        )


def _meet(one, other, start, length):
    first, second = one["gridPos"], other["gridPos"]
    return first[start] < second[start] + second[length] and second[start] < first[start] + first[length]

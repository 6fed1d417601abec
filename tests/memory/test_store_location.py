"""Where the settings say that the memory is, and what of it may be printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pktui.errors import SettingsError, StoreError
from pktui.memory.store.tables import Database
from pktui.memory.store_location import Place, place_of
from pktui.settings import MemorySettings, Paths, Settings

SECRET = "hush-hush-hush"


def place(paths: Paths, uri: str, **storage: str) -> Place:
    return place_of(paths, Settings(memory=MemorySettings(uri=uri, storage=storage)))


def test_without_a_uri_it_is_the_directory_of_the_data(paths: Paths) -> None:
    found = place_of(paths, Settings())
    assert (found.directory, found.shared) == (paths.memory_dir, False)
    assert found.connection() == {}


def test_a_name_that_is_not_utf8_is_said_before_the_store_fails_on_it(paths: Paths) -> None:
    odd = Paths.at(paths.config_dir, paths.data_dir / "caf\udce9")
    with pytest.raises(SettingsError, match="not UTF-8") as caught:
        place_of(odd, Settings())
    assert "PKTUI_DATA_DIR" in caught.value.cure


def test_a_directory_may_be_anywhere(paths: Paths) -> None:
    assert place(paths, "/mnt/team").directory == Path("/mnt/team")
    assert place(paths, "~/team").directory == Path.home() / "team"
    with pytest.raises(SettingsError, match="neither a whole path nor a URI"):
        place(paths, "team")


@pytest.mark.parametrize("uri", ["s3://bucket/team", "gs://bucket/team", "az://box/team"])
def test_object_storage_gets_its_options(
    paths: Paths, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_SECRET", SECRET)
    found = place(paths, uri, aws_region="eu-1", aws_secret_access_key="${TEAM_SECRET}")
    assert (found.directory, found.shared) == (None, True)
    options = {"aws_region": "eu-1", "aws_secret_access_key": SECRET}
    assert found.connection() == {"storage_options": options}
    assert SECRET not in repr(found)


def test_a_database_of_the_cloud_gets_its_key(paths: Paths) -> None:
    found = place(paths, "db://team", api_key=SECRET, region="eu-1", other="x")
    assert found.connection() == {"api_key": SECRET, "region": "eu-1"}


def test_a_variable_that_is_not_set_is_named(paths: Paths) -> None:
    with pytest.raises(SettingsError, match=r"memory\.storage\.key needs .* NO_SUCH_VARIABLE"):
        place(paths, "s3://bucket", key="${NO_SUCH_VARIABLE}")


def test_no_secret_is_shown() -> None:
    found = Place(f"s3://ada:{SECRET}@bucket/x?sas={SECRET}", {"secret_key": SECRET})
    assert found.shown == "s3://bucket/x"
    assert found.without_secrets(f"denied for {SECRET}") == "denied for …"


def test_a_failure_to_connect_shows_no_secret() -> None:
    storage = {"aws_region": SECRET, "aws_secret_access_key": SECRET}
    with pytest.raises(StoreError) as caught:
        Database(Place(f"nosuch://{SECRET}/x", storage, shared=True))
    assert "cannot be used" in str(caught.value)
    assert SECRET not in str(caught.value)

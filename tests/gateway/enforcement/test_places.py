from __future__ import annotations

from pktui.gateway.enforcement.places import place_of


def test_a_place_has_the_clients_directory_where_it_is_known() -> None:
    assert place_of("/srv/shop").project == "/srv/shop"
    assert place_of("").project == ""
    assert place_of("relative").project == ""

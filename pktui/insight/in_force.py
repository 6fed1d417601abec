"""What a gateway goes by besides a server's own document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pktui.policy.argument_check import UNKNOWN, Definition, pinned
from pktui.policy.call_place import Place
from pktui.policy.denied_paths import FILE, DeniedPaths
from pktui.policy.live import LiveDenied
from pktui.policy.managed import NONE, Also, Ceiling, Managed, in_force
from pktui.policy.replay import Surroundings
from pktui.policy.selection import EVERYTHING, Selection
from pktui.real_path import home_directory, real_path

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.policy.document.policy import Policy
    from pktui.settings import Paths, Settings


@dataclass(frozen=True, slots=True)
class Layers:
    """What is laid around a server's document; by default nothing is.

    `definitions`: its tools as they are pinned. `several`: a team's ledger tells people apart.
    """

    definitions: Mapping[str, Definition] = field(default_factory=dict)
    selection: Selection = EVERYTHING
    denied: DeniedPaths | None = None
    ceiling: Ceiling = NONE
    several: bool = True

    def over(self, policy: Policy) -> Policy:
        """Return a document's policy as a gateway decides by it."""
        return in_force(policy.denying(self.denied), self.selection, self.ceiling)

    @property
    def surroundings(self) -> Surroundings:
        """What each call is decided with."""
        home = home_directory()
        return Surroundings(
            lambda tool: self.definitions.get(tool, UNKNOWN),
            lambda project: Place(project, home, real_path),
            self.several,
        )


def layers_of(
    server: str,
    paths: Paths,
    settings: Settings,
    ledger: Ledger | None,
    starts: Also = str,
    selection: Selection = EVERYTHING,
) -> Layers:
    """Return what is laid around a server's document now. Blocks; raises `LedgerUnavailable`.

    `ledger` None: nothing is pinned yet. `starts` gives the name that what its entry starts has by
    itself, `selection` is what the entry leaves in.
    """
    denied = LiveDenied(paths.policies_dir / FILE)
    denied.refresh()
    tools = ledger.catalogue.tools(server) if ledger is not None else ()
    return Layers(
        {tool.name: pinned(tool) for tool in tools},
        selection,
        denied.found,
        Managed(server, starts, paths.bundle_file).current(),
        bool(settings.ledger.uri),
    )

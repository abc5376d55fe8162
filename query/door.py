"""The door out of one process: its services, and what runs beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import facilities as known_facilities
from ledger.vocabulary import built_in
from query.facility_service import FACILITY_SERVICE, FacilityService
from query.item_service import ITEM_SERVICE, ItemService
from query.number_service import NUMBER_SERVICE, NumberService
from query.progress_service import PROGRESS_SERVICE, ProgressService
from query.progress_view import ProgressView
from query.reading import TrailReader
from query.service import TRAIL_SERVICE, TrailService
from query.watches import Watches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import grpc

    from ledger.facilities import Directory
    from ledger.issuing import Issuer
    from ledger.trail_store import TrailStore
    from ledger.vocabulary import Mappings

SERVICE_NAMES = (
    TRAIL_SERVICE,
    PROGRESS_SERVICE,
    NUMBER_SERVICE,
    FACILITY_SERVICE,
    ITEM_SERVICE,
)
"""Full names of the services."""


class QueryDoor:
    """All that answers questions. Add `handlers` to a gRPC server, and keep `run` running."""

    def __init__(
        self,
        store: TrailStore,
        *,
        generations: Mapping[int, int],
        mappings: Mappings | None = None,
        issuer: Issuer | None = None,
        facilities: Directory | None = None,
        now_ns: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`generations` gives the number of partitions of each generation of the log `scans`;
        `mappings` explain sources' own codes and `facilities` are looked up, by default those that
        are built in; `issuer` issues numbers, where this process does; `now_ns` gives nanoseconds
        since 1970, `monotonic` seconds.
        """
        facilities = facilities or known_facilities.built_in()
        mappings = mappings or built_in()
        reader = TrailReader(store, monotonic=monotonic)
        progress = ProgressView(store, generations=generations, monotonic=monotonic)
        self._watches = Watches(progress)
        self._services = (
            TrailService(
                reader,
                progress=progress,
                watches=self._watches,
                mappings=mappings,
                facilities=facilities,
                monotonic=monotonic,
            ),
            ProgressService(progress=progress, watches=self._watches, monotonic=monotonic),
            NumberService(issuer, monotonic=monotonic),
            FacilityService(facilities, now_ns=now_ns, monotonic=monotonic),
            ItemService(
                reader,
                progress=progress,
                watches=self._watches,
                mappings=mappings,
                facilities=facilities,
                now_ns=now_ns,
                monotonic=monotonic,
            ),
        )

    @property
    def handlers(self) -> Sequence[grpc.GenericRpcHandler]:
        """The services, in the order of SERVICE_NAMES."""
        return [service.handler() for service in self._services]

    async def run(self) -> None:
        """Wake watches, until cancelled. Without it they say what is there, and nothing more.

        Raises what the store raises when it is broken or closed.
        """
        await self._watches.run()

"""What every trail store does with rows that are no event of a trail: aliases, and contents."""

from ledger.aliases.records import ALIASES_END, alias_record, other_keys
from ledger.codec import rows_of
from ledger.contents import contents_key
from ledger.event import order_from_time
from ledger.trail_store import TrailStore
from tests.contracts.patience import unique
from tests.contracts.store_under_test import ALL, StoreUnderTest, everything, row, stored


class FurtherRowsContract(StoreUnderTest):
    """Rows at the head of a trail, and beside it."""

    async def test_what_names_other_keys_stands_before_all_events(self, store: TrailStore) -> None:
        """The rows of aliases are the first of their trail, as they were recorded, however late
        they are put: the first rows of one key, or of many, hold them; and a put again is no row.
        """
        key, others = unique(), [unique() for _ in range(3)]
        events = [row(key, time) for time in (0, 1, 1 << 60)]
        records = [
            alias_record(one, other, form=1, other_form=1, by="a", why="b", time_ns=5)
            for one, other in [*((key, each) for each in others), (others[0], key)]
        ]
        # At positions that fall: what is recorded last stands first.
        aliases = [rows_of([record], 1 << 56 | 9 - n, [])[0] for n, record in enumerate(records)]
        await store.put(events)
        await store.put(aliases)
        await store.put(aliases[::-1])

        first = await store.read(key, max_rows=4, max_bytes=ALL)
        many = await store.read_many([others[0], key], max_rows=3, max_bytes=ALL)

        assert list(other_keys(first.rows)) == others[::-1]
        assert [list(other_keys(slice_.rows)) for slice_ in many] == [[key], others[::-1]]
        assert await everything(store, key) == stored([*aliases[:3], *events])
        head = await store.read(key, stop=ALIASES_END, max_rows=ALL, max_bytes=ALL)
        assert list(head.rows) == stored(aliases[:3])
        assert not head.more

    async def test_contents_of_a_container_lie_beside_its_trail(self, store: TrailStore) -> None:
        """What went into a container is read by its time like a trail, alone or with others; its
        own trail has none of it, and a crash between the two rows of a record is mended by putting
        both again.
        """
        bag, item = unique(), unique()
        inside = contents_key(bag)
        put_in = [row(item, time) for time in range(10, 20)]
        both = [one for each in put_in for one in (each, each._replace(tracking_key=inside))]
        trail = [row(bag, time) for time in range(3)]
        await store.put([*trail, *both[:7]])

        await store.put(both[::-1])

        assert await everything(store, inside) == stored(put_in)
        assert await everything(store, bag) == stored(trail)
        start, stop = order_from_time(12), order_from_time(15)
        some = await store.read(inside, start=start, stop=stop, max_rows=ALL, max_bytes=ALL)
        assert list(some.rows) == stored(put_in)[2:5]
        many = await store.read_many([item, inside, bag], max_rows=ALL, max_bytes=ALL)
        assert [list(slice_.rows) for slice_ in many] == [
            stored(put_in),
            stored(put_in),
            stored(trail),
        ]

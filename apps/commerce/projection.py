"""What a batch of events does to carts and orders."""

from apps.commerce import facts, store
from apps.commerce.bookkeeping import Bookkeeper
from apps.commerce.books import Wanted
from apps.commerce.facts import Fact
from apps.events.log import adopted_since
from apps.events.registry import Batch


def apply(batch: Batch) -> None:
    """Bring carts and orders up to date, and tell each cart event which cart it is about.

    Runs inside the pipeline's transaction. History (`is_backfill`) counts like anything else. Of
    what is told again the books take what lists a whole cart or order: the server's figures win.
    """
    repeats = {event.id for event in batch.repeats}
    new = [
        fact
        for event in batch.all_versions()
        if (fact := facts.read(event)) and not (event.id in repeats and fact.is_step)
    ]
    if not new and not batch.adoptions:
        return
    adopted = [fact for event in batch.adopted if (fact := facts.read(event))]
    books = store.load(_wanted(new, adopted, batch.adoptions))
    bookkeeper = Bookkeeper(books)
    bookkeeper.adopt(batch.adoptions, since=adopted_since(batch.now))
    for fact in new:
        bookkeeper.apply(fact)
    bookkeeper.name_carts(adopted)
    store.save(books)


def _wanted(new: list[Fact], adopted: list[Fact], adoptions: dict[str, int]) -> Wanted:
    wanted = Wanted(adopted_browsers=set(adoptions))
    wanted.owners.update(adoptions, adoptions.values())
    for fact in new:
        if fact.owner is not None:
            wanted.owners.add(fact.owner)
            if fact.cart_key is None:
                wanted.recent.add(fact.owner)
        if fact.order:
            wanted.order_keys.add(fact.order.key)
    wanted.cart_keys.update(fact.cart_key for fact in [*new, *adopted] if fact.cart_key)
    return wanted
